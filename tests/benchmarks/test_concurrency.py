"""The benchmark's own workings, with a handful of rollouts. No time is asserted."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from benchmarks.concurrency import LoopLag, Options, Pool, Run, conclusion, run
from verifiers_tito.errors import ConfigError


@pytest.mark.long
async def test_every_pool_finishes_all_rollouts(qwen3_tiny: Path) -> None:
    runs = await run(Options(model_folder=qwen3_tiny, rollouts=(2, 5), turns=3))
    assert [(one.rollouts, one.pool) for one in runs] == [(count, pool) for count in (2, 5) for pool in Pool]
    assert all((one.failed, one.retries) == (0, 0) for one in runs)
    assert all(one.turns_per_second > 0 for one in runs)


async def test_a_loop_that_stands_still_is_seen() -> None:
    async with LoopLag() as lag:
        await asyncio.sleep(0.03)
        time.sleep(0.08)  # noqa: ASYNC251  what must not happen, and has to be noticed
        await asyncio.sleep(0.03)
    assert lag.quantile(1.0) > 50


async def test_what_the_loop_did_itself_is_told_from_what_it_waited_for() -> None:
    async with LoopLag() as waited:
        await asyncio.sleep(0.03)
        time.sleep(0.2)  # noqa: ASYNC251  as if another program had the processor
        await asyncio.sleep(0.03)
    assert waited.longest_own < 100 < waited.quantile(1.0)
    async with LoopLag() as worked:
        await asyncio.sleep(0.03)
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass
        await asyncio.sleep(0.03)
    assert worked.longest_own > 50


@pytest.mark.parametrize(("longest", "verdict"), [(50.0, "met"), (51.0, "MISSED")])
def test_the_conclusion_is_about_the_pool_that_is_used(longest: float, verdict: str) -> None:
    figures = {
        "longest_own_ms": 1.0,
        "turns_per_second": 1.0,
        "median_lag_ms": 1.0,
        "high_lag_ms": 1.0,
        "retries": 0,
        "failed": 0,
    }
    runs = [
        Run(pool=pool, rollouts=1, longest_lag_ms=ms, kb_per_rollout=1.0, **figures)
        for pool, ms in ((Pool.AIOHTTP, longest), (Pool.HTTPX2, 9000.0))
    ]
    assert conclusion(runs).endswith(f"{verdict}.")
    with pytest.raises(ConfigError, match="at least 1"):
        Options(rollouts=())
