"""Kinds of tails: what a template is tried out with, once for all tails that look alike to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifiers_tito.stitching.plan import NativeMessage


@dataclass(frozen=True, slots=True)
class TailKind:
    """The roles of a tail, and whether the turn it answers called tools. More than two in a row of one role are as
    two."""

    roles: tuple[str, ...]
    calls: bool = False

    @classmethod
    def of(cls, tail: Sequence[NativeMessage], *, after: NativeMessage) -> TailKind:
        roles = [str(message["role"]) for message in tail]
        kept = [role for i, role in enumerate(roles) if i < 2 or roles[i - 2 : i] != [role] * 2]
        return cls(tuple(kept), calls=bool(after.get("tool_calls")))

    def __str__(self) -> str:
        return " + ".join(self.roles) + (" (unanswered call)" if self.calls and "tool" not in self.roles else "")


STANDARD_KINDS = (
    TailKind(("user",)),
    TailKind(("tool",), calls=True),
    TailKind(("tool", "tool"), calls=True),
    TailKind(("tool", "user"), calls=True),
    TailKind(("system", "user")),
)
"""What is tried before a run."""
