"""Many answers at once are worked on in slices of time, with timers and sockets in between."""

from __future__ import annotations

import asyncio

from verifiers_tito.transport.slices import Slices


class Clock:
    """Seconds that pass only where somebody works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def rounds_of(tasks: int, *, work_seconds: float) -> list[int]:
    """In which round of the loop each of `tasks`, all ready at once, does its work. A slice is 10 seconds."""
    clock = Clock()
    slices = Slices(seconds=10.0, clock=clock)
    rounds: list[int] = []
    current = 0

    async def work() -> None:
        await slices.turn()
        clock.now += work_seconds
        rounds.append(current)

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(work())
        while len(rounds) < tasks:
            await asyncio.sleep(0)
            current += 1
    return [number - rounds[0] for number in rounds]


async def test_a_round_ends_when_its_slice_is_used_up_and_nobody_is_forgotten() -> None:
    assert await rounds_of(7, work_seconds=4.0) == [0, 0, 0, 1, 1, 1, 2]


async def test_work_longer_than_a_slice_has_a_round_of_its_own() -> None:
    assert await rounds_of(3, work_seconds=25.0) == [0, 1, 2]


async def test_quick_work_waits_for_nothing() -> None:
    assert await rounds_of(500, work_seconds=0.0) == [0] * 500


async def test_a_task_that_is_cancelled_while_it_waits_keeps_nobody_back() -> None:
    clock = Clock()
    slices = Slices(seconds=10.0, clock=clock)
    await slices.turn()
    clock.now = 50.0
    waiting = asyncio.create_task(slices.turn())
    waiting.cancel()
    async with asyncio.timeout(5):
        await slices.turn()
    assert waiting.cancelled()
