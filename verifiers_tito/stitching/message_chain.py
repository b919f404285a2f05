"""The digests of a growing conversation, of which only new messages are hashed.

Entry i of a chain stands for the first i+1 messages. An environment passes the same message objects turn after turn; a
link is kept for each, and used again as long as the message still says what it said. Several conversations are
remembered, because agents may take turns in one trajectory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from verifiers_tito.stitching.digest import chained
from verifiers_tito.stitching.past import NO_PAST, AnyMessage, Past
from verifiers_tito.stitching.snapshot import Snapshot
from verifiers_tito.types import content_to_text, has_media

_REMEMBERED = 4


@dataclass(frozen=True, slots=True)
class Link:
    """What is true of a conversation up to and with one message."""

    snapshot: Snapshot | None
    digest: bytes
    has_media: bool
    has_reasoning: bool
    past: Past

    def still_stands_for(self, message: AnyMessage) -> bool:
        return self.snapshot is not None and self.snapshot.holds(message)


class MessageChains:
    """Chains of the latest conversations."""

    def __init__(self) -> None:
        self._chains: deque[list[Link]] = deque(maxlen=_REMEMBERED)

    def chain(self, messages: Sequence[AnyMessage]) -> list[Link]:
        """One link per message. Costs a comparison per known message, and a digest per new one."""
        extended: list[Link] = []
        count = 0
        for links in self._chains:
            common = _common(links, messages)
            if common > count:
                extended, count = links, common
        made = extended[:count]
        for message in messages[count:]:
            made.append(_link(made[-1] if made else None, message))
        if count == len(extended) > 0:
            self._chains = deque((links for links in self._chains if links is not extended), maxlen=_REMEMBERED)
        self._chains.appendleft(made)
        return made


def _link(before: Link | None, message: AnyMessage) -> Link:
    return Link(
        snapshot=Snapshot.of(message),
        digest=chained(before.digest if before else b"", message),
        has_media=has_media(message) or (before is not None and before.has_media),
        has_reasoning=_reasons(message) or (before is not None and before.has_reasoning),
        past=(before.past if before else NO_PAST).then(message),
    )


def _reasons(message: AnyMessage) -> bool:
    if message["role"] != "assistant":
        return False
    return bool(message.get("reasoning_content") or message.get("reasoning")) or "</think>" in content_to_text(
        message.get("content")
    )


def _common(links: Sequence[Link], messages: Sequence[AnyMessage]) -> int:
    pairs = enumerate(zip(links, messages, strict=False))
    return next(
        (i for i, (link, message) in pairs if not link.still_stands_for(message)), min(len(links), len(messages))
    )
