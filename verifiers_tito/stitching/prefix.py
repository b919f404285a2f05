"""Finding the earlier turn that a prompt continues.

A trajectory need not be one growing conversation: agents interleave, histories are rewritten, branches return.
So the turn to continue is the one whose messages (prompt and completion) are the longest prefix of the new prompt,
the latest of them where two are equally long. Adding a step and looking a prompt up cost one digest chain each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verifiers_tito.stitching.digest import chain_digests
from verifiers_tito.types import Message, TrajectoryStep, has_media


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """`step` holds the first `message_count` messages of the prompt."""

    step: TrajectoryStep
    message_count: int


class PrefixIndex:
    """The steps of one trajectory by the digest of their messages. Steps without ids cannot be continued.

    `has_media` says whether any prompt held more than text; from such a step on nothing is digested, because a
    trajectory with media is never stitched.
    """

    def __init__(self) -> None:
        self._steps: list[TrajectoryStep] = []
        self._by_digest: dict[bytes, TrajectoryStep] = {}
        self.has_media = False

    def sync(self, trajectory: Sequence[TrajectoryStep]) -> None:
        """Takes in new steps; where the trajectory was cut or edited, starts over."""
        known = len(self._steps)
        same = known <= len(trajectory) and all(a is b for a, b in zip(self._steps, trajectory, strict=False))
        if not same:
            self._steps, self._by_digest, self.has_media, known = [], {}, False, 0
        for step in trajectory[known:]:
            self._add(step)

    def match(self, prompt: Sequence[Message | Mapping[str, Any]]) -> PrefixMatch | None:
        """The longest match, or None where no step's messages are a prefix of `prompt`."""
        chain = chain_digests(prompt)
        for count in range(len(chain), 0, -1):
            step = self._by_digest.get(chain[count - 1])
            if step is not None:
                return PrefixMatch(step, count)
        return None

    def _add(self, step: TrajectoryStep) -> None:
        self._steps.append(step)
        self.has_media = self.has_media or any(map(has_media, step["prompt"]))
        if step["tokens"] is not None and not self.has_media:
            self._by_digest[chain_digests([*step["prompt"], *_answered(step)])[-1]] = step


def _answered(step: TrajectoryStep) -> Sequence[Message]:
    """The message that the step's ids stand for: the model's own, whatever an environment made of it since."""
    message = getattr(step.get("response"), "message", None)
    return step["completion"] if message is None else [message.plain()]
