"""Finding the earlier turn that a prompt continues.

A trajectory need not be one growing conversation: agents interleave, histories are rewritten, branches return.
So the turn to continue is the one whose messages (prompt and completion) are the longest prefix of the new prompt,
the latest of them where two are equally long. Adding a step and looking a prompt up hash new messages only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifiers_tito.stitching.digest import conversation_digest
from verifiers_tito.stitching.message_chain import AnyMessage, Link, MessageChains
from verifiers_tito.stitching.stand_in import Context
from verifiers_tito.types import Message, TrajectoryStep, has_media


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """`step` holds the first `message_count` messages of the prompt; `context` is what templates look back at in
    those before its last, `systems` are the system messages among them, `switch` is the user's last switch for
    thinking. `has_reasoning`: the model reasoned in one."""

    step: TrajectoryStep
    message_count: int
    context: Context
    systems: tuple[AnyMessage, ...] = ()
    switch: str = ""
    has_reasoning: bool = False


@dataclass(frozen=True, slots=True)
class PrefixMiss:
    """No step's messages are a prefix of the prompt, or the trajectory or the prompt holds more than text."""

    has_media: bool = False


class PrefixIndex:
    """The steps of one trajectory by the digest of their messages. Steps without ids cannot be continued."""

    def __init__(self) -> None:
        self._steps: list[TrajectoryStep] = []
        self._by_digest: dict[bytes, TrajectoryStep] = {}
        self._chains = MessageChains()
        self._has_media = False

    def sync(self, trajectory: Sequence[TrajectoryStep]) -> None:
        """Takes in new steps; where the trajectory was cut or edited, starts over."""
        known = len(self._steps)
        same = known <= len(trajectory) and all(a is b for a, b in zip(self._steps, trajectory, strict=False))
        if not same:
            self._steps, self._by_digest, self._has_media, known = [], {}, False, 0
        for step in trajectory[known:]:
            self._add(step)

    def match(self, prompt: Sequence[AnyMessage]) -> PrefixMatch | PrefixMiss:
        """The longest match."""
        if not prompt:
            return PrefixMiss()
        chain = self._chains.chain(prompt)
        if self._has_media or chain[-1].has_media:
            return PrefixMiss(has_media=True)
        for count in range(len(chain), 0, -1):
            step = self._by_digest.get(chain[count - 1].digest)
            if step is not None:
                return _match(step, chain[:count], prompt)
        return PrefixMiss()

    def digest(self, prompt: Sequence[AnyMessage]) -> bytes:
        """Names these messages as they are now; a step that was sent them is found by it, whatever becomes of them."""
        links = self._chains.chain(prompt)
        return links[-1].digest if links else b""

    def _add(self, step: TrajectoryStep) -> None:
        self._steps.append(step)
        links, answered = self._chains.chain(step["prompt"]), _answered(step)
        self._has_media = self._has_media or any(link.has_media for link in links[-1:]) or any(map(has_media, answered))
        served = getattr(step.get("response"), "served", None)
        digest = bytes.fromhex(served.messages_digest) if served is not None else b""
        digest = conversation_digest(answered, before=digest or (links[-1].digest if links else b""))
        if step["tokens"] is not None and digest:
            self._by_digest[digest] = step


def _match(step: TrajectoryStep, chain: Sequence[Link], prompt: Sequence[AnyMessage]) -> PrefixMatch:
    if len(chain) == 1:
        return PrefixMatch(step, 1, Context(), has_reasoning=chain[0].has_reasoning)
    before = chain[-2]
    first = 0 in before.systems
    context = Context(
        system=first,
        later_system=len(before.systems) > first,
        tools=before.has_tools,
        answers_tools=prompt[len(chain) - 2]["role"] == "tool",
    )
    systems = tuple(prompt[place] for place in before.systems)
    reasons = chain[-1].has_reasoning
    return PrefixMatch(step, len(chain), context, systems, switch=before.switch, has_reasoning=reasons)


def _answered(step: TrajectoryStep) -> Sequence[Message]:
    """The message that the step's ids stand for: the model's own, whatever an environment made of it since."""
    message = getattr(step.get("response"), "message", None)
    return step["completion"] if message is None else [message.plain()]
