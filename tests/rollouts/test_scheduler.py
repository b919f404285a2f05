"""Groups through the scheduler: order, limits, retries, failures, cancelling. Rollouts are functions of the tests."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

import verifiers_tito as vf
from verifiers_tito.rollouts import Limits, PlannedGroup, PlannedRollout, RetryRule, RolloutKey, Scheduler, failed_state


class RefusedKeyError(Exception):
    """Stands for a provider's."""


class Rewarding:
    """Gives each rollout its index as reward, and each group the mean."""

    async def score_rollout(self, state: vf.State) -> None:
        state["reward"] = None if state["error"] else float(state["input"]["index"])

    async def score_group(self, states: Sequence[vf.State]) -> None:
        rewards = [state["reward"] for state in states if state["reward"] is not None]
        for state in states:
            state["advantage"] = sum(rewards) / len(rewards) if rewards else None


class Received:
    def __init__(self) -> None:
        self.rollouts: list[tuple[RolloutKey, vf.State]] = []
        self.groups: list[list[tuple[RolloutKey, vf.State]]] = []
        self.earlier: list[list[vf.State]] = []

    def rollout_finished(self, planned: PlannedRollout, state: vf.State) -> None:
        self.rollouts.append((planned.key, state))

    def group_finished(self, finished: Sequence[tuple[PlannedRollout, vf.State]], earlier: Sequence[vf.State]) -> None:
        self.groups.append([(planned.key, state) for planned, state in finished])
        self.earlier.append(list(earlier))

    @property
    def keys(self) -> set[RolloutKey]:
        return {key for key, _ in self.rollouts}


def planned(examples: int, each: int = 1) -> list[PlannedGroup]:
    return [
        PlannedGroup(
            rollouts=[
                PlannedRollout(key=RolloutKey(example, index), input={"example_id": example, "index": index})
                for index in range(each)
            ]
        )
        for example in range(examples)
    ]


def finished(row: dict[str, Any], error: vf.Error | None = None) -> vf.State:
    state = failed_state(row, error or vf.Error("none"))
    state["error"] = error
    return state


async def at_once(row: dict[str, Any]) -> vf.State:
    return finished(row)


def scheduler(
    rollout: Callable[[dict[str, Any]], Awaitable[vf.State]] = at_once, **fields: Any
) -> tuple[Scheduler, Received]:
    received = Received()
    made = {"scoring": Rewarding(), "receiver": received, "retries": RetryRule(first_seconds=0), **fields}
    return Scheduler(rollout=rollout, fatal=(RefusedKeyError,), **made), received


async def test_every_rollout_is_handed_over_once_and_every_group_when_its_last_is_there() -> None:
    run, received = scheduler()
    await run.run(planned(5, each=3))
    assert sorted(map(str, received.keys)) == sorted(f"example {e}, rollout {i}" for e in range(5) for i in range(3))
    assert len(received.rollouts) == 15
    assert [[key.index for key, _ in group] for group in received.groups] == [[0, 1, 2]] * 5
    assert {state["advantage"] for group in received.groups for _, state in group} == {1.0}


async def test_a_group_is_in_order_whoever_ends_first() -> None:
    first_may_end = asyncio.Event()

    async def rollout(row: dict[str, Any]) -> vf.State:
        if row["index"] == 0:
            await first_may_end.wait()
        else:
            first_may_end.set()
        return finished(row)

    run, received = scheduler(rollout)
    await run.run(planned(1, each=2))
    assert [key.index for key, _ in received.rollouts] == [1, 0]
    assert [key.index for key, _ in received.groups[0]] == [0, 1]


async def test_never_more_rollouts_at_once_than_allowed_and_never_more_tasks() -> None:
    running, most_running, most_tasks = 0, 0, 0

    async def rollout(row: dict[str, Any]) -> vf.State:
        nonlocal running, most_running, most_tasks
        running += 1
        most_running, most_tasks = max(most_running, running), max(most_tasks, len(asyncio.all_tasks()))
        for _ in range(20):
            await asyncio.sleep(0)
        running -= 1
        return finished(row)

    before = len(asyncio.all_tasks())
    run, received = scheduler(rollout, limits=Limits(rollouts=4))
    await run.run(planned(100, each=2))
    assert len(received.rollouts) == 200
    assert most_running == 4
    assert most_tasks <= before + 4


async def test_groups_are_only_read_from_their_source_as_there_is_room() -> None:
    read, most_ahead = 0, 0

    def source() -> Any:
        nonlocal read
        for group in planned(500):
            read += 1
            yield group

    async def rollout(row: dict[str, Any]) -> vf.State:
        nonlocal most_ahead
        most_ahead = max(most_ahead, read - row["example_id"])
        await asyncio.sleep(0)
        return finished(row)

    run, received = scheduler(rollout, limits=Limits(rollouts=3))
    await run.run(source())
    assert len(received.rollouts) == 500
    assert most_ahead <= 5


async def test_states_are_dropped_once_they_are_handed_over() -> None:
    class Counting:
        def __init__(self) -> None:
            self.alive: weakref.WeakSet[Mark] = weakref.WeakSet()
            self.most = 0

        def rollout_finished(self, planned: PlannedRollout, state: vf.State) -> None:
            return

        def group_finished(self, finished: Any, earlier: Any) -> None:
            self.most = max(self.most, len(self.alive))

    class Mark:
        """A state itself cannot be weakly referred to."""

    async def rollout(row: dict[str, Any]) -> vf.State:
        mark = Mark()
        counting.alive.add(mark)
        state = finished(row)
        state["mark"] = mark
        return state

    counting = Counting()
    run, _ = scheduler(rollout, receiver=counting, limits=Limits(rollouts=4))
    await run.run(planned(200, each=2))
    gc.collect()
    assert counting.most <= 4 + 2 * 2
    assert len(counting.alive) == 0


async def test_tokens_in_flight_are_limited_by_the_estimate() -> None:
    in_flight, most = 0, 0

    async def rollout(row: dict[str, Any]) -> vf.State:
        nonlocal in_flight, most
        in_flight += row["tokens"]
        most = max(most, in_flight)
        for _ in range(20):
            await asyncio.sleep(0)
        in_flight -= row["tokens"]
        return finished(row)

    groups = planned(30)
    for group in groups:
        group.rollouts[0].input["tokens"] = 7 + group.rollouts[0].key.example_id % 5
    limits = Limits(tokens=25, tokens_of=lambda row: row["tokens"])
    run, received = scheduler(rollout, limits=limits)
    await run.run(groups)
    assert len(received.rollouts) == 30
    assert 18 <= most <= 25


async def test_a_rollout_larger_than_the_whole_limit_runs_by_itself() -> None:
    run, received = scheduler(limits=Limits(tokens=5, tokens_of=lambda row: 100))
    await run.run(planned(3))
    assert len(received.rollouts) == 3


@pytest.mark.parametrize("fields", [{"rollouts": 0}, {"rollouts": -2}, {"tokens": 0}])
def test_limits_that_let_nothing_through_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(vf.ConfigError, match="must be positive"):
        Limits(**fields)


async def test_a_failed_member_is_tried_again_alone() -> None:
    attempts: list[tuple[int, int]] = []

    async def rollout(row: dict[str, Any]) -> vf.State:
        attempts.append((row["example_id"], row["index"]))
        broken = row["index"] == 1 and attempts.count((row["example_id"], 1)) <= 2
        return finished(row, vf.InfraError("away") if broken else None)

    run, received = scheduler(rollout, retries=RetryRule(most_retries=2, first_seconds=0))
    await run.run(planned(2, each=3))
    assert sorted(attempts) == sorted([(e, i) for e in range(2) for i in (0, 1, 1, 1, 2)])
    assert all(state["error"] is None for _, state in received.rollouts)
    assert sorted(state["_retries"] for _, state in received.rollouts) == [0, 0, 0, 0, 2, 2]


@pytest.mark.parametrize(
    ("error", "attempts"), [(vf.InfraError("away"), 3), (vf.ModelError("no"), 1), (ValueError("bug"), 1)]
)
async def test_only_what_may_help_is_tried_again_and_only_so_often(error: Exception, attempts: int) -> None:
    asked = 0

    async def rollout(row: dict[str, Any]) -> vf.State:
        nonlocal asked
        asked += 1
        raise error

    run, received = scheduler(rollout, retries=RetryRule(most_retries=2, first_seconds=0))
    await run.run(planned(1))
    assert asked == attempts
    assert received.rollouts[0][1]["error"] is not None


def test_waits_between_attempts_double_up_to_a_limit() -> None:
    rule = RetryRule(most_retries=99, first_seconds=0.5, longest_seconds=3)
    assert [rule.seconds(retries) for retries in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    with pytest.raises(vf.ConfigError, match="0 or more, got -1"):
        RetryRule(most_retries=-1)


async def nonsense(row: dict[str, Any]) -> Any:
    return {"completion": []}


async def raising(row: dict[str, Any]) -> vf.State:
    raise ZeroDivisionError("by zero")


async def cancelled_within(row: dict[str, Any]) -> vf.State:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("rollout", "message"),
    [
        (nonsense, "rollout raised TypeError: it returned dict, not its state"),
        (raising, "rollout raised ZeroDivisionError: by zero"),
        (cancelled_within, "awaited something that was cancelled"),
    ],
)
async def test_whatever_a_rollout_does_is_its_own_affair(rollout: Any, message: str) -> None:
    async def one_in_three(row: dict[str, Any]) -> vf.State:
        return await (rollout(row) if row["index"] == 1 else at_once(row))

    run, received = scheduler(one_in_three)
    await run.run(planned(2, each=3))
    by_index = {key.index: state for key, state in received.rollouts}
    assert (by_index[0]["error"], by_index[2]["error"]) == (None, None)
    with pytest.raises(vf.EnvironmentHookError, match=message):
        raise by_index[1]["error"]
    assert len(received.groups) == 2


async def test_scoring_that_raises_fails_the_group_that_it_was_for() -> None:
    class Fails(Rewarding):
        async def score_group(self, states: Sequence[vf.State]) -> None:
            if states[0]["input"]["example_id"] == 1:
                raise KeyError("no such thing")

    run, received = scheduler(scoring=Fails())
    await run.run(planned(3, each=2))
    failed = {key.example_id for group in received.groups for key, state in group if state["error"]}
    assert failed == {1}
    errors = [state for group in received.groups for key, state in group if key.example_id == 1]
    assert all("scoring raised KeyError" in str(state["error"]) and state["reward"] is None for state in errors)


async def test_a_refused_key_ends_the_run_and_cancels_the_rest_after_its_cleanup() -> None:
    cleaned, waiting = [], asyncio.Event()

    async def rollout(row: dict[str, Any]) -> vf.State:
        if row["example_id"] == 0:
            return finished(row)
        if row["example_id"] == 3:
            await waiting.wait()
            raise RefusedKeyError("401")
        try:
            if row["example_id"] == 2:
                waiting.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(row["example_id"])
        raise AssertionError

    run, received = scheduler(rollout, limits=Limits(rollouts=3))
    with pytest.raises(RefusedKeyError, match="401"):
        await run.run(planned(50))
    assert {key.example_id for key in received.keys} == {0}
    assert sorted(cleaned) == [1, 2]


async def test_cancelling_keeps_what_was_handed_over_and_waits_for_the_cleanup_of_the_rest() -> None:
    cleaned, running = [], asyncio.Event()

    async def rollout(row: dict[str, Any]) -> vf.State:
        if row["index"] == 0:
            return finished(row)
        try:
            running.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(row["index"])
        raise AssertionError

    run, received = scheduler(rollout, limits=Limits(rollouts=2))
    task = asyncio.create_task(run.run(planned(1, each=2)))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [key.index for key, _ in received.rollouts] == [0]
    assert received.groups == []
    assert cleaned == [1]


async def test_what_the_receiver_raises_ends_the_run() -> None:
    class Full(Received):
        def rollout_finished(self, planned: PlannedRollout, state: vf.State) -> None:
            raise vf.InfraError("the disk is full")

    run, _ = scheduler(receiver=Full())
    with pytest.raises(vf.InfraError, match="the disk is full"):
        await run.run(planned(2))


async def test_members_that_were_finished_earlier_are_scored_with_the_new_ones() -> None:
    earlier = finished({"example_id": 0, "index": 9})
    earlier["reward"] = 9.0
    group = PlannedGroup(rollouts=planned(1, each=2)[0].rollouts, earlier=lambda: [earlier])
    only_scored = PlannedGroup(rollouts=[], earlier=lambda: [earlier])
    run, received = scheduler()
    await run.run([group, only_scored])
    assert [len(members) for members in received.groups] == [0, 2] or [len(m) for m in received.groups] == [2, 0]
    with_new = next(members for members in received.groups if members)
    assert {state["advantage"] for _, state in with_new} == {10 / 3}
    assert received.earlier == [[earlier], [earlier]]
