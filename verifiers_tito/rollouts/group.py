"""A group: several rollouts at once, scored together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol

from verifiers_tito.errors import ConfigError
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
    limit = _limit(max_concurrent)

    async def limited(rollout_input: dict[str, Any]) -> State:
        async with limit:
            return await rollout(rollout_input)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(limited(rollout_input)) for rollout_input in inputs]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    states = [task.result() for task in tasks]
    await scorer.score_group(states)
    return states


def _limit(max_concurrent: int | None) -> AbstractAsyncContextManager[Any]:
    if max_concurrent is None or max_concurrent == -1:
        return nullcontext()
    if max_concurrent < 1:
        raise ConfigError(f"max_concurrent must be positive, or -1 for no limit, got {max_concurrent}")
    return asyncio.Semaphore(max_concurrent)
