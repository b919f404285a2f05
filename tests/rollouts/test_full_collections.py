"""The collector's threshold while rollouts run. What a collection takes is measured by `benchmarks.concurrency`."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import verifiers_tito as vf
from tests.clients.turns import MODEL
from tests.conftest import FakeMaker, locally
from verifiers_tito.rollouts.full_collections import NEVER, FullCollections, resident_bytes
from verifiers_tito.testing import replies

OWN = (700, 10, 7)


@pytest.fixture(autouse=True)
def own_thresholds() -> Iterator[None]:
    before, enabled = gc.get_threshold(), gc.isenabled()
    gc.set_threshold(*OWN)
    yield
    gc.set_threshold(*before)
    if enabled:
        gc.enable()
    assert not [
        callback for callback in gc.callbacks if isinstance(getattr(callback, "__self__", None), FullCollections)
    ]


class Memory:
    """So many bytes, as somebody says."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self) -> int:
        return self.size


def oldest_threshold() -> int:
    return gc.get_threshold()[2]


class TalkingEnv(vf.MultiTurnEnv):
    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> vf.Messages:
        return [vf.UserMessage(content=f"{oldest_threshold()}")]


def test_only_the_oldest_generation_waits_and_its_threshold_comes_back() -> None:
    with vf.postponed_full_collections():
        assert gc.get_threshold() == (*OWN[:2], NEVER)
    assert gc.get_threshold() == OWN
    with pytest.raises(KeyboardInterrupt), vf.postponed_full_collections():
        raise KeyboardInterrupt
    assert gc.get_threshold() == OWN


def test_the_last_of_nested_and_overlapping_blocks_puts_it_back() -> None:
    first, second = vf.postponed_full_collections(), vf.postponed_full_collections()
    first.__enter__()
    with vf.postponed_full_collections():
        second.__enter__()
    first.__exit__(None, None, None)
    assert oldest_threshold() == NEVER
    second.__exit__(None, None, None)
    assert gc.get_threshold() == OWN


def test_blocks_of_several_threads_are_counted_together() -> None:
    all_in, ends = threading.Barrier(9), threading.Event()

    def run() -> None:
        for _ in range(50):
            with vf.postponed_full_collections():
                gc.collect(1)
        with vf.postponed_full_collections():
            all_in.wait()
            ends.wait()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    all_in.wait()
    assert oldest_threshold() == NEVER
    ends.set()
    for thread in threads:
        thread.join()
    assert gc.get_threshold() == OWN


def test_thresholds_that_somebody_sets_meanwhile_are_kept() -> None:
    with vf.postponed_full_collections():
        gc.set_threshold(500, 5, 3)
        gc.collect()
        assert gc.get_threshold() == (500, 5, 3)
    assert gc.get_threshold() == (500, 5, 3)


def test_python_s_own_rule_holds_again_once_memory_has_grown_and_until_a_full_collection() -> None:
    memory = Memory(1000)
    with FullCollections(measure=memory, most_growth_bytes=500).postponed():
        memory.size = 1500
        gc.collect(1)
        assert oldest_threshold() == NEVER
        memory.size = 1501
        gc.collect(0)
        assert oldest_threshold() == NEVER  # looked at with the middle generation, often enough
        gc.collect(1)
        assert gc.get_threshold() == OWN
        gc.collect(1)
        assert gc.get_threshold() == OWN
        gc.collect(2)
        assert oldest_threshold() == NEVER
        gc.collect(1)
        assert oldest_threshold() == NEVER  # 2001 is the new limit
    assert gc.get_threshold() == OWN


def test_cyclic_garbage_is_found_by_python_itself_once_memory_has_grown() -> None:
    """No collection is asked for here: allocations bring it about, as they do in a run."""

    class Knot:
        def __init__(self) -> None:
            self.me = self

    memory = Memory(1000)
    gc.collect()
    with FullCollections(measure=memory, most_growth_bytes=10).postponed():
        knot = Knot()
        seen = weakref.ref(knot)
        gc.collect(1)  # it is of the oldest generation now
        del knot
        kept: list[list[int]] = [[] for _ in range(300_000)]
        assert seen() is not None
        memory.size = 5000
        kept += [[] for _ in range(200_000)]
        assert seen() is None
    assert len(kept) == 500_000


def test_memory_is_told_in_bytes() -> None:
    assert 10 * 2**20 < resident_bytes() < 2**40


@pytest.mark.parametrize("postponed", [True, False])
async def test_generate_postpones_them_unless_told_otherwise(qwen3_fake: FakeMaker, postponed: bool) -> None:
    env = TalkingEnv(dataset=[{"question": "Talk."}], rubric=vf.Rubric(lambda **kw: 1.0), max_turns=2)
    async with qwen3_fake(replies(["a", "b"] * 2)) as fake:
        config = vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake))
        run = await env.evaluate(
            config, MODEL, show_progress=False, rollouts_per_example=2, postpone_full_collections=postponed
        )
    said = {
        message["content"] for output in run["outputs"] for message in output["completion"] if message["role"] == "user"
    }
    assert said == {str(NEVER if postponed else OWN[2])}
    assert gc.get_threshold() == OWN


async def test_a_run_that_is_cancelled_puts_the_threshold_back(qwen3_fake: FakeMaker) -> None:
    asked = asyncio.Event()

    class WaitingEnv(vf.MultiTurnEnv):
        async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> vf.Messages:
            asked.set()
            return await asyncio.Future()

    env = WaitingEnv(dataset=[{"question": "Talk."}], rubric=vf.Rubric(lambda **kw: 1.0), max_turns=2)
    async with qwen3_fake(replies(["a"])) as fake:
        config = vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake))
        running = asyncio.create_task(env.evaluate(config, MODEL, show_progress=False))
        await asked.wait()
        assert oldest_threshold() == NEVER
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert gc.get_threshold() == OWN


async def test_finished_rollouts_are_freed_without_the_collector(qwen3_fake: FakeMaker) -> None:
    """So postponing it costs no memory."""
    begun: list[weakref.ref[vf.State]] = []

    class SeenEnv(TalkingEnv):
        async def setup_state(self, state: vf.State) -> vf.State:
            begun.append(weakref.ref(state))
            return state

    env = SeenEnv(dataset=[{"question": "Talk."}], rubric=vf.Rubric(lambda **kw: 1.0), max_turns=3)
    async with qwen3_fake(replies(["a", "b", "c"] * 8)) as fake:
        config = vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake))
        gc.disable()
        run = await env.evaluate(config, MODEL, show_progress=False, rollouts_per_example=8)
    assert [output["error"] for output in run["outputs"]] == [None] * 8
    assert [state() for state in begun] == [None] * 8
