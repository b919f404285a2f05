"""Prompts as they were sent, so that the next turn's costs only what it adds.

A prompt of sixty thousand ids is a list that a trainer reads, a JSON text that goes over the wire and a digest that the
server sends back. The last two grow with the prompt: their common beginning is kept instead of made anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import msgspec

from verifiers_tito.wire.prompt_digest import PromptDigest

_REMEMBERED = 4
"""Conversations of one trajectory that go on in turns."""


@dataclass(frozen=True, slots=True, eq=False)
class PromptRun:
    """Ids (P,), a copy of them as they were sent, their JSON without its brackets, and their digest.

    A run that has grown is used up: its copy is the longer run's now, so that no turn copies all ids.
    """

    token_ids: list[int]
    sent: list[int]
    json: bytes
    digest: PromptDigest

    @classmethod
    def of(cls, token_ids: list[int]) -> PromptRun:
        return cls(token_ids, list(token_ids), _json(token_ids), PromptDigest().extend(token_ids))

    def grown_to(self, token_ids: list[int]) -> PromptRun:
        """The run of a longer list, which begins with the ids of this one."""
        new = token_ids[len(self.token_ids) :]
        separator = b"," if self.json and new else b""
        self.sent.extend(new)
        return PromptRun(token_ids, self.sent, self.json + separator + _json(new), self.digest.extend(new))

    @property
    def wire_form(self) -> msgspec.Raw:
        return msgspec.Raw(b"[" + self.json + b"]")


class PromptRuns:
    """The latest prompts of one rollout."""

    def __init__(self) -> None:
        self._runs: deque[PromptRun] = deque(maxlen=_REMEMBERED)

    def run(self, token_ids: list[int], *, earlier: list[int]) -> PromptRun:
        """The run of `token_ids`, which begin with `earlier`: the very list of a prompt before, if it is known, and
        nobody has edited it."""
        known = next((run for run in self._runs if run.token_ids is earlier and run.sent == earlier), None)
        if known is None:
            return self.keep(PromptRun.of(token_ids))
        self._runs.remove(known)
        return self.keep(known.grown_to(token_ids))

    def keep(self, run: PromptRun) -> PromptRun:
        self._runs.appendleft(run)
        return run


def _json(token_ids: list[int]) -> bytes:
    return msgspec.json.encode(token_ids)[1:-1]
