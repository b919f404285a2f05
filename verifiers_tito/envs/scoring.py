"""When a rubric scores what: each rollout as it ends, or all of a group when the last one has.

A rubric that looks at one rollout at a time is asked as soon as it ends, and the group then only compares rewards.
That way a rollout is complete, and kept, before the others of its group are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from verifiers_tito.errors import ConfigError, EnvironmentHookError
from verifiers_tito.rollouts import Scoring
from verifiers_tito.rubrics import Rubric, assign_advantages
from verifiers_tito.types import State


class ScoringKind(StrEnum):
    """What a finished rollout has: nothing, a reward, or a reward and an advantage over its group."""

    NONE = "none"
    INDEPENDENT = "independent"
    GROUP = "group"


class KindOfScoring(Scoring, Protocol):
    kind: ScoringKind


class Unscored:
    """Rollouts only."""

    kind = ScoringKind.NONE

    async def score_rollout(self, state: State) -> None:
        return

    async def score_group(self, states: Sequence[State]) -> None:
        return


class ScoredAlone:
    """A reward for each, and no advantages."""

    kind = ScoringKind.INDEPENDENT

    def __init__(self, rubric: Rubric) -> None:
        self._rubric = rubric

    async def score_rollout(self, state: State) -> None:
        await self._rubric.score_rollout(state)
        await clean_up(self._rubric, state)

    async def score_group(self, states: Sequence[State]) -> None:
        return


class ScoredThenCompared(ScoredAlone):
    """A reward for each as it ends, advantages when the group is complete."""

    kind = ScoringKind.GROUP

    async def score_group(self, states: Sequence[State]) -> None:
        assign_advantages(states)


class ScoredTogether(Unscored):
    """Rewards and advantages when the group is complete."""

    kind = ScoringKind.GROUP

    def __init__(self, rubric: Rubric) -> None:
        self._rubric = rubric

    async def score_group(self, states: Sequence[State]) -> None:
        await self._rubric.score_group(states)
        for state in states:
            await clean_up(self._rubric, state)


def choose_scoring(rubric: Rubric, *, score_rollouts: bool, independent: bool) -> KindOfScoring:
    """The earliest scoring that the rubric allows. Raises `ConfigError` where rollouts shall be scored independently
    and the rubric has a function that looks at a group."""
    if not score_rollouts:
        return Unscored()
    if independent:
        rubric.require_no_group_functions()
        return ScoredAlone(rubric)
    return ScoredTogether(rubric) if _needs_group(rubric) else ScoredThenCompared(rubric)


async def clean_up(rubric: Rubric, state: State) -> None:
    """The rubric's `cleanup` of a scored rollout: its error is kept unless there is one already."""
    try:
        await rubric.cleanup(state)
    except Exception as error:
        failure = EnvironmentHookError(f"{type(rubric).__name__}.cleanup raised {error!r}")
        failure.__cause__ = error
        state["error"] = state["error"] or failure


def _needs_group(rubric: Rubric) -> bool:
    """Whether it, or a rubric that it is made of, has group functions or a way of its own to score a group."""
    of = type(rubric)
    has_own_way = of.score_group is not Rubric.score_group
    if has_own_way and of.require_no_group_functions is Rubric.require_no_group_functions:
        return True
    try:
        rubric.require_no_group_functions()
    except ConfigError:
        return True
    return any(_needs_group(member) for member in getattr(rubric, "rubrics", ()))
