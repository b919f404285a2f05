"""Finding the earlier turn that a prompt continues.

A trajectory need not be one growing conversation: agents interleave, histories are rewritten, branches return.
So the turn to continue is the one whose messages (prompt and completion) are the longest prefix of the new prompt,
the latest of them where two are equally long. Adding a step and looking a prompt up hash new messages only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifiers_tito.stitching.digest import conversation_digest
from verifiers_tito.stitching.message_chain import Link, MessageChains
from verifiers_tito.stitching.past import NO_PAST, AnyMessage, Past
from verifiers_tito.types import Message, TrajectoryStep, has_media


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """`step` holds the first `message_count` messages of the prompt; `past` is what templates look back at in those
    before its last. `has_reasoning`: the model reasoned in one."""

    step: TrajectoryStep
    message_count: int
    past: Past = NO_PAST
    has_reasoning: bool = False


@dataclass(frozen=True, slots=True)
class PrefixMiss:
    """No step's messages are a prefix of the prompt, or the trajectory or the prompt holds more than text."""

    has_media: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """A prompt that was read: one link per message. `digest` names its messages as they were then."""

    links: Sequence[Link]

    @property
    def digest(self) -> bytes:
        return self.links[-1].digest if self.links else b""

    @property
    def has_media(self) -> bool:
        return bool(self.links) and self.links[-1].has_media


class PrefixIndex:
    """The steps of one trajectory by the digest of their messages. Steps without ids cannot be continued."""

    def __init__(self) -> None:
        self._steps: list[TrajectoryStep] = []
        self._by_digest: dict[bytes, TrajectoryStep] = {}
        self._chains = MessageChains()
        self._media: dict[bytes, bool] = {}
        """Whether a conversation holds more than text, by its digest."""
        self._has_media = False

    def sync(self, trajectory: Sequence[TrajectoryStep]) -> None:
        """Takes in new steps; where the trajectory was cut or edited, starts over."""
        known = len(self._steps)
        same = known <= len(trajectory) and all(a is b for a, b in zip(self._steps, trajectory, strict=False))
        if not same:
            self._steps, self._by_digest, self._has_media, known = [], {}, False, 0
        for step in trajectory[known:]:
            self._add(step)

    def read(self, prompt: Sequence[AnyMessage]) -> Conversation:
        """Looks at a prompt as it is now: once a turn."""
        conversation = Conversation(self._chains.chain(prompt))
        self._media[conversation.digest] = conversation.has_media
        return conversation

    def match(self, prompt: Sequence[AnyMessage]) -> PrefixMatch | PrefixMiss:
        """The longest match of messages that nobody has read yet."""
        return self.find(self.read(prompt))

    def find(self, prompt: Conversation) -> PrefixMatch | PrefixMiss:
        """The longest match."""
        chain = prompt.links
        if not chain:
            return PrefixMiss()
        if self._has_media or prompt.has_media:
            return PrefixMiss(has_media=True)
        for count in range(len(chain), 0, -1):
            step = self._by_digest.get(chain[count - 1].digest)
            if step is not None:
                past = chain[count - 2].past if count > 1 else NO_PAST
                return PrefixMatch(step, count, past, has_reasoning=chain[count - 1].has_reasoning)
        return PrefixMiss()

    def _add(self, step: TrajectoryStep) -> None:
        self._steps.append(step)
        served = getattr(step.get("response"), "served", None)
        digest = bytes.fromhex(served.messages_digest) if served is not None else b""
        if not digest or digest not in self._media:
            read = self.read(step["prompt"])
            digest = digest or read.digest
            self._media[digest] = read.has_media
        answered = _answered(step)
        self._has_media = self._has_media or self._media[digest] or any(map(has_media, answered))
        digest = conversation_digest(answered, before=digest)
        if step["tokens"] is not None and digest:
            self._by_digest[digest] = step


def _answered(step: TrajectoryStep) -> Sequence[Message]:
    """The message that the step's ids stand for: the model's own, whatever an environment made of it since."""
    message = getattr(step.get("response"), "message", None)
    return step["completion"] if message is None else [message.plain()]
