"""An event loop's time in slices, so that many answers at once do not keep timers and sockets waiting.

    answers  ||||||||||||||||||      all there in one round of the loop
    rounds   ||||| ||||| ||||| |||   worked on until a slice of time is up, the others in the next round

A task that has waited for bytes goes on at once, and asyncio runs all that are ready before it looks at a timer: with
hundreds of answers in one round that is a tenth of a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SLICE_SECONDS = 0.005


class Slices:
    """Of one event loop. What a task does after `turn` may overrun the slice: nothing interrupts it."""

    def __init__(self, *, seconds: float = SLICE_SECONDS, clock: Callable[[], float] = time.perf_counter) -> None:
        self._seconds = seconds
        self._clock = clock
        self._end: float | None = None

    async def turn(self) -> None:
        """Returns in a round of the loop whose slice is not used up, in the order of the callers."""
        while self._clock() >= self._end_of_this_round():  # noqa: ASYNC110  rounds of the loop are what it waits for
            await asyncio.sleep(0)

    def _end_of_this_round(self) -> float:
        if self._end is None:
            self._end = self._clock() + self._seconds
            asyncio.get_running_loop().call_soon(self._begin_round)
        return self._end

    def _begin_round(self) -> None:
        self._end = None
