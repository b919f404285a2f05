from __future__ import annotations

import asyncio

from verifiers_tito.rubrics.shared_calls import SharedCalls


async def test_only_so_many_calls_run_at_once() -> None:
    running, most, calls = 0, 0, SharedCalls[int](max_concurrent=3)

    async def call() -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1
        return 1

    assert sum(await asyncio.gather(*(calls.run(str(number), call) for number in range(10)))) == 10
    assert most == 3


async def test_a_call_goes_on_while_anybody_waits_and_ends_with_the_last() -> None:
    calls, go, ended = SharedCalls[str](max_concurrent=1), asyncio.Event(), asyncio.Event()

    async def call() -> str:
        try:
            await go.wait()
            return "answer"
        finally:
            ended.set()

    first, second = (asyncio.create_task(calls.run("q", call)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert not ended.is_set()
    go.set()
    assert await second == "answer"

    go.clear(), ended.clear()
    alone = asyncio.create_task(calls.run("q", call))
    for _ in range(5):
        await asyncio.sleep(0)
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)
    await ended.wait()
    assert not go.is_set()


async def test_what_a_call_raises_reaches_all_who_wait_and_is_not_remembered() -> None:
    calls, tries = SharedCalls[str](max_concurrent=1), []

    async def call() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise LookupError("first")
        return "second"

    both = await asyncio.gather(calls.run("q", call), calls.run("q", call), return_exceptions=True)
    assert [type(one) for one in both] == [LookupError, LookupError]
    assert await calls.run("q", call) == "second"


def test_event_loops_may_come_and_go() -> None:
    calls = SharedCalls[int](max_concurrent=1)

    async def call() -> int:
        await asyncio.sleep(0)
        return 1

    async def several() -> int:
        return sum(await asyncio.gather(*(calls.run(str(number), call) for number in range(3))))

    for _ in range(2):
        with asyncio.Runner() as runner:
            assert runner.run(several()) == 3
