"""Calls that cost something: equal ones that are under way at the same time are made once, and only so many at a time.

Nothing is remembered once a call is done. A call goes on while anybody waits for it, and is cancelled with the last one
who does. Works in any event loop, also in several after each other.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Semaphore, Task
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class _UnderWay(Generic[ResultT]):
    task: Task[ResultT]
    waiting: int = 0


class SharedCalls(Generic[ResultT]):
    def __init__(self, *, max_concurrent: int) -> None:
        self._max_concurrent = max_concurrent
        self._limits: WeakKeyDictionary[AbstractEventLoop, Semaphore] = WeakKeyDictionary()
        self._under_way: dict[tuple[AbstractEventLoop, str], _UnderWay[ResultT]] = {}

    async def run(self, question: str, call: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """What `call` returns or raises, or an equal question's call that is under way."""
        key = asyncio.get_running_loop(), question
        if key not in self._under_way:
            self._under_way[key] = _UnderWay(asyncio.create_task(self._limited(call)))
        joined = self._under_way[key]
        joined.waiting += 1
        try:
            return await asyncio.shield(joined.task)
        finally:
            joined.waiting -= 1
            if not joined.waiting:
                del self._under_way[key]
                joined.task.cancel()

    async def _limited(self, call: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        limit = self._limits.setdefault(asyncio.get_running_loop(), Semaphore(self._max_concurrent))
        async with limit:
            return await call()
