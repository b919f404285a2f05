"""Calling functions that block, without blocking the event loop, its end, or each other.

One daemon thread per call: a pool would be full as soon as a few calls hang, and its end would wait for them. A
thread cannot be killed. Whoever stops waiting for a call leaves it behind; it ends by itself or with the process.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

ResultT = TypeVar("ResultT")


async def call_in_thread(call: Callable[[], ResultT], *, name: str) -> ResultT:
    """What `call` returns or raises. The thread sees the caller's context variables.

    What no future can carry, or what would end the whole process (`SystemExit`), becomes a `RuntimeError`.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[ResultT] = loop.create_future()

    def deliver(settle: Callable[[], None]) -> None:
        if not done.done():
            settle()

    def run() -> None:
        try:
            settle = partial(done.set_result, call())
        except BaseException as raised:
            settle = partial(done.set_exception, _carriable(raised))
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, settle)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name=name, daemon=True).start()
    return await done


def _carriable(error: BaseException) -> Exception:
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    carried = RuntimeError(f"{type(error).__name__}: {error}")
    carried.__cause__ = error
    return carried
