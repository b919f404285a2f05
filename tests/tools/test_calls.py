"""Calling tools: values as the function takes them, results as content, blocking functions in threads."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

import pytest

import verifiers_tito as vf
from verifiers_tito.tools import FunctionTool, to_content
from verifiers_tito.tools.threads import call_in_thread


@dataclass
class Point:
    x: int
    y: int = 0


async def call(function: Callable[..., Any], sent: dict[str, Any]) -> Any:
    tool = FunctionTool.of(function)
    return await tool.call(tool.check_complete(sent))


async def test_values_are_converted_to_what_the_hints_say() -> None:
    def describe(point: Point, when: date, count: int = 1) -> str:
        return f"{point.x},{point.y} {when.year} {count}"

    assert await call(describe, {"point": {"x": "3"}, "when": "2024-05-01"}) == "3,0 2024 1"


async def test_every_kind_of_parameter_gets_its_value() -> None:
    def mixed(a: int, /, b: int = 2, *rest: int, c: int = 3, **others: int) -> Any:
        return a, b, rest, c, others

    assert await call(mixed, {"a": 1, "c": 4, "d": 5}) == (1, 2, (), 4, {"d": 5})
    assert await call(functools.partial(mixed, 1, c=9), {"b": 7}) == (1, 7, (), 9, {})


async def test_async_functions_and_whatever_gives_an_awaitable_are_awaited() -> None:
    async def double(n: int) -> int:
        return 2 * n

    class Doubler:
        async def __call__(self, n: int) -> int:
            return 2 * n

    @functools.wraps(double)
    def plain(n: int) -> Any:
        return double(n)

    for function in (double, Doubler(), plain, functools.partial(double)):
        assert await call(function, {"n": 2}) == 4


async def test_async_functions_run_on_the_loop_and_others_in_a_thread_with_the_same_context() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")

    async def here() -> Any:
        return threading.current_thread(), variable.get()

    def elsewhere() -> Any:
        return threading.current_thread(), variable.get()

    assert await call(here, {}) == (threading.current_thread(), "set")
    thread, seen = await call(elsewhere, {})
    assert (thread.name, thread.daemon, seen) == ("tool elsewhere", True, "set")


@pytest.mark.parametrize("raised", [StopIteration("no more"), SystemExit(3), KeyboardInterrupt()])
async def test_what_would_hang_or_end_the_process_is_an_error_like_others(raised: BaseException) -> None:
    def fail() -> None:
        raise raised

    with pytest.raises(RuntimeError, match=type(raised).__name__) as caught:
        await call(fail, {})
    assert caught.value.__cause__ is raised


async def test_a_thread_that_is_given_up_ends_without_a_trace() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def stuck() -> None:
        go_on.wait()
        ended.set()

    waiting = asyncio.create_task(call_in_thread(stuck, name="stuck"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 10)


def test_a_thread_may_outlive_its_loop() -> None:
    started, go_on = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def stuck() -> None:
        threads.append(threading.current_thread())
        started.set()
        go_on.wait()

    async def give_up() -> None:
        waiting = asyncio.create_task(call_in_thread(stuck, name="stuck"))
        await asyncio.to_thread(started.wait, 10)
        waiting.cancel()

    asyncio.run(give_up())
    assert threads[0].is_alive()
    go_on.set()
    threads[0].join(10)
    assert not threads[0].is_alive()


def find(what: str, board: dict[str, int]) -> int:
    return board[what]


async def test_a_hidden_value_is_passed_as_the_very_object() -> None:
    def keep(what: str, board: dict[str, int]) -> Any:
        board[what] = 1
        return board

    tool, board = FunctionTool.of(keep, hidden=["board"]), {"a": 0}
    assert await tool.call(tool.check_complete({"what": "b", "board": board})) is board
    assert board == {"a": 0, "b": 1}


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ({}, "the hidden arguments that the environment adds do not fit: find was not called: board: Field required"),
        ({"board": "x"}, "board: Input should be a valid dictionary"),
    ],
)
def test_a_hidden_value_that_does_not_fit_is_the_environment_s_mistake(added: dict[str, Any], message: str) -> None:
    with pytest.raises(vf.ConfigError, match=message):
        FunctionTool.of(find, hidden=["board"]).check_complete({"what": "a", **added})


def test_a_hidden_argument_that_the_model_sends_is_unknown() -> None:
    with pytest.raises(vf.ToolParseError, match=r"find was not called: board: no such argument. It takes what"):
        FunctionTool.of(find, hidden=["board"]).check_sent({"what": "a", "board": {"a": 1}})


class Size(Enum):
    SMALL = "small"


class Opaque:
    def __str__(self) -> str:
        return "an opaque thing"


PARTS = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:,x"}}]
circle: list[Any] = []
circle.append(circle)


@pytest.mark.parametrize(
    ("result", "content"),
    [
        ("as it is", "as it is"),
        (PARTS, PARTS),
        ([], "[]"),
        ([{"type": "other"}], '[{"type": "other"}]'),
        ({"é": [1, None, True]}, '{"é": [1, null, true]}'),
        (None, "null"),
        (1.5, "1.5"),
        (float("nan"), "NaN"),
        (Point(x=1), '{"x": 1, "y": 0}'),
        ({"size": Size.SMALL, "day": date(2024, 5, 1)}, '{"size": "small", "day": "2024-05-01"}'),
        (Opaque(), "an opaque thing"),
        (circle, "[[...]]"),
        (b"\xff", "b'\\xff'"),
    ],
)
def test_results_become_content(result: Any, content: Any) -> None:
    assert to_content(result) == content
