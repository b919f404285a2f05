"""A group: several rollouts at once, scored together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from verifiers_tito.rollouts.limits import NO_LIMIT, Limits
from verifiers_tito.types import State


class Scorer(Protocol):
    """The part of a rubric that a group needs."""

    async def score_group(self, states: Sequence[State]) -> None: ...


async def run_group(
    rollout: Callable[[dict[str, Any]], Awaitable[State]],
    inputs: Sequence[dict[str, Any]],
    *,
    scorer: Scorer,
    max_concurrent: int | None = None,
) -> list[State]:
    """The states of one rollout per input, in the order of `inputs`, scored as one group.

    At most `max_concurrent` run at once; None and -1 are no limit. `rollout` keeps its failures in its state; what it
    raises nevertheless (a refused key, say) concerns all of them, so the others are cancelled and it is raised.
    """
    limits = Limits(rollouts=NO_LIMIT if max_concurrent is None else max_concurrent)
    places = asyncio.Semaphore(limits.most_rollouts)

    async def limited(rollout_input: dict[str, Any]) -> State:
        async with places:
            return await rollout(rollout_input)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(limited(rollout_input)) for rollout_input in inputs]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    states = [task.result() for task in tasks]
    await scorer.score_group(states)
    return states
