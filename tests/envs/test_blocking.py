from __future__ import annotations

import asyncio
import threading

import pytest

from verifiers_tito.envs.blocking import run_blocking


async def thread_name() -> str:
    return threading.current_thread().name


def test_without_a_running_loop_it_runs_in_this_thread() -> None:
    assert run_blocking(thread_name, threads=2) == threading.current_thread().name


async def test_under_a_running_loop_it_runs_in_a_thread_of_its_own() -> None:
    assert run_blocking(thread_name, threads=2) == "verifiers-tito"


async def test_what_it_raises_is_raised_here() -> None:
    async def fails() -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(ZeroDivisionError, match="by zero"):
        run_blocking(fails, threads=1)


async def test_blocking_calls_have_as_many_threads_as_were_asked_for() -> None:
    async def meet() -> None:
        barrier = threading.Barrier(3, timeout=5)
        await asyncio.gather(*(asyncio.to_thread(barrier.wait) for _ in range(3)))

    run_blocking(meet, threads=3)
    with pytest.raises(threading.BrokenBarrierError):
        run_blocking(lambda: _meet_with_little_patience(), threads=2)


async def _meet_with_little_patience() -> None:
    barrier = threading.Barrier(3, timeout=0.05)
    await asyncio.gather(*(asyncio.to_thread(barrier.wait) for _ in range(3)))
