"""Failure 20: what is tried again, when, and that no two attempts run at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

import verifiers_tito as vf
from verifiers_tito.transport import RequestRefusedError, RetryBudget, ServerError, ServerUnreachableError
from verifiers_tito.transport.error_mapping import map_status
from verifiers_tito.transport.retry_policy import GiveUp, RetryPolicy, Situation, Wait
from verifiers_tito.transport.retrying import Retrying

POLICY = RetryPolicy(most_retries=10)
GONE, BUSY = ServerUnreachableError("gone"), ServerError("busy")


def decide(error: vf.Error, *, chance: float = 0.0, **given: Any) -> Wait | GiveUp:
    return POLICY.decide(error, Situation(**{"retries": 0, **given}), chance=chance)


@pytest.mark.parametrize(
    ("error", "given", "decision"),
    [
        (GONE, {}, Wait(0.5)),
        (BUSY, {}, Wait(0.5)),
        (BUSY, {"retries": 1}, Wait(1.0)),
        (BUSY, {"retries": 3}, Wait(4.0)),
        (BUSY, {"retries": 5}, Wait(16.0)),
        (BUSY, {"retries": 9}, Wait(30.0)),
        (BUSY, {"retries": 3, "chance": 1.0}, Wait(3.0)),
        (BUSY, {"retries": 10}, GiveUp.NO_RETRY_LEFT),
        (BUSY, {"left": 0}, GiveUp.ROLLOUT_SPENT),
        (GONE, {"has_answered": False, "retries": 1}, Wait(1.0)),
        (GONE, {"has_answered": False, "retries": 2}, GiveUp.NEVER_ANSWERED),
        (BUSY, {"has_answered": False, "retries": 2}, Wait(2.0)),
        (GONE, {"has_stand_in": True}, Wait(0.5)),
        (GONE, {"has_stand_in": True, "retries": 1}, GiveUp.STAND_IN_TAKES_OVER),
        (BUSY, {"has_stand_in": True, "retries": 1}, Wait(1.0)),
        (ServerError("x", retry_after=3.0), {"chance": 1.0}, Wait(3.0)),
        (ServerError("x", retry_after=121.0), {}, GiveUp.WAIT_TOO_LONG),
        (ServerError("x", may_be_tried_again=False), {}, GiveUp.NOT_RETRYABLE),
        (RequestRefusedError("400"), {}, GiveUp.NOT_RETRYABLE),
        (vf.OverlongPromptError("8193"), {}, GiveUp.NOT_RETRYABLE),
        (vf.InvalidModelResponseError("another prompt"), {}, GiveUp.NOT_RETRYABLE),
    ],
)
def test_the_policy_decides_by_the_error_and_what_was_tried(
    error: vf.Error, given: dict[str, Any], decision: Wait | GiveUp
) -> None:
    assert decide(error, **given) == decision


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_statuses_that_say_not_now_may_be_tried_again(status: int) -> None:
    assert isinstance(decide(map_status(status, b"", operation="x")), Wait)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422, 501])
def test_other_statuses_may_not(status: int) -> None:
    assert decide(map_status(status, b"", operation="x")) is GiveUp.NOT_RETRYABLE


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("7", 7.0), ("0.25", 0.25), ("-3", 0.0), ("", None), ("soon", None), ("nan", None), ("inf", None)],
)
def test_a_server_s_own_time_is_read(told: str, seconds: float | None) -> None:
    error = map_status(429, b"", headers={"retry-after": told}, operation="x")
    assert isinstance(error, ServerError)
    assert error.retry_after == seconds


def test_a_server_s_own_time_may_be_a_date() -> None:
    told = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    error = map_status(503, b"", headers={"retry-after": told}, operation="x")
    assert isinstance(error, ServerError)
    assert 25 < (error.retry_after or 0) <= 30


class Attempts:
    """Fails as told, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.ids: list[str] = []
        self.running = 0
        self.failed = asyncio.Event()

    async def send(self, request_id: str) -> bytes:
        self.ids.append(request_id)
        self.running += 1
        assert self.running == 1, "two attempts at a time"
        try:
            await asyncio.sleep(0)
            if self.errors:
                self.failed.set()
                raise self.errors.pop(0)
            return b"answer"
        finally:
            self.running -= 1


def quick(most_retries: int = 5) -> Retrying:
    policy = RetryPolicy(most_retries=most_retries, first_seconds=0.001, longest_seconds=0.002)
    return Retrying(policy=policy, counts=Counter())


async def test_each_attempt_has_an_id_of_its_own_and_retries_are_counted() -> None:
    attempts, budget, retrying = Attempts(GONE, BUSY), RetryBudget(left=5), quick()
    assert await retrying.run(attempts.send, budget=budget) == b"answer"
    assert len(set(attempts.ids)) == 3
    assert retrying.counts == {"ServerUnreachableError": 1, "ServerError": 1}
    assert (budget.left, budget.used, retrying.outages) == (3, 2, 1)


async def test_what_cannot_be_helped_is_raised_at_once() -> None:
    attempts = Attempts(RequestRefusedError("400"))
    with pytest.raises(RequestRefusedError) as raised:
        await quick().run(attempts.send)
    assert len(attempts.ids) == 1
    assert str(raised.value) == "400"


async def test_the_last_error_says_how_often_it_was_tried() -> None:
    attempts = Attempts(*[ServerError("busy") for _ in range(9)])
    with pytest.raises(ServerError) as raised:
        await quick(most_retries=3).run(attempts.send)
    assert len(attempts.ids) == 4
    assert str(raised.value) == f"busy (tried 4 times: {GiveUp.NO_RETRY_LEFT})"
    assert raised.value.__cause__ is None


async def test_a_rollout_s_retries_are_spent_by_all_its_requests() -> None:
    budget, retrying = RetryBudget(left=3), quick()
    assert await retrying.run(Attempts(ServerError("a"), ServerError("b")).send, budget=budget) == b"answer"
    with pytest.raises(ServerError):
        await retrying.run(Attempts(ServerError("c"), ServerError("d")).send, budget=budget)
    assert (budget.left, budget.used) == (0, 3)


async def test_an_address_at_which_nothing_answers_is_an_error_soon_and_a_server_that_did_is_waited_for() -> None:
    retrying = quick(most_retries=9)
    with pytest.raises(ServerUnreachableError):
        await retrying.run(Attempts(*[ServerUnreachableError("x")] * 5).send)
    assert await retrying.run(Attempts().send) == b"answer"
    assert await retrying.run(Attempts(*[ServerUnreachableError("x")] * 5).send) == b"answer"


async def test_a_refusal_is_an_answer_too() -> None:
    retrying = quick()
    with pytest.raises(RequestRefusedError):
        await retrying.run(Attempts(RequestRefusedError("400")).send)
    assert retrying.has_answered


async def test_an_attempt_whose_connection_broke_is_ended_before_the_next_begins() -> None:
    attempts, ended = Attempts(GONE, BUSY), []

    async def end(request_id: str) -> None:
        assert attempts.ids == [request_id]
        ended.append(request_id)

    await quick().run(attempts.send, end=end)
    assert ended == attempts.ids[:1]  # a server that answers "busy" runs nothing


async def test_the_last_attempt_is_ended_too() -> None:
    attempts, ended = Attempts(GONE), []

    async def end(request_id: str) -> None:
        ended.append(request_id)

    with pytest.raises(ServerUnreachableError):
        await quick(most_retries=0).run(attempts.send, end=end)
    assert ended == attempts.ids


async def test_a_cancelled_request_is_not_tried_again() -> None:
    attempts = Attempts(*[ServerError("busy")] * 5)
    patient = Retrying(policy=RetryPolicy(most_retries=5, first_seconds=60), counts=Counter())
    waiting = asyncio.create_task(patient.run(attempts.send))
    await attempts.failed.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(attempts.ids) == 1
