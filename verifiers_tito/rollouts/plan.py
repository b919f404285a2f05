"""What is to be run: rollouts, and which of them are compared with each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from verifiers_tito.types import State


@dataclass(frozen=True, slots=True)
class RolloutKey:
    """Which rollout of a run this is: the `index`-th (from 0) of an example."""

    example_id: int | str
    index: int

    def __str__(self) -> str:
        return f"example {self.example_id}, rollout {self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRollout:
    """`input` is the dataset's row; `digest` names its content."""

    key: RolloutKey
    input: dict[str, Any]
    digest: str = ""


def nobody() -> Sequence[State]:
    """No member of the group was finished earlier."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGroup:
    """Rollouts to be run, and compared with each other and with those that an earlier run finished.

    `earlier` reads the states of those, when they are needed.
    """

    rollouts: Sequence[PlannedRollout]
    earlier: Callable[[], Sequence[State]] = nobody
