"""ToolEnv: calls are answered in order, whatever goes wrong with them. Rollouts run on the scripted fake."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

import verifiers_tito as vf
from tests.conftest import FAKE_MODEL, FakeMaker, locally
from tests.envs.tool_calls import calling, sampled
from verifiers_tito.testing import FakeVLLM, replies_by_turn


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


async def fail(reason: str = "the disk is full") -> str:
    raise OSError(reason)


def make(*tools: Callable[..., Any], **options: Any) -> vf.ToolEnv:
    return vf.ToolEnv(tools=tools, **{"dataset": [{"question": "What is 2+3?"}], **options})


async def roll(env: vf.Environment, fake: FakeVLLM, row: dict[str, Any] | None = None) -> vf.State:
    config = vf.ClientConfig(base_url=fake.base_url, max_retries=0, stitching=locally(fake))
    async with vf.OpenAIChatCompletionsTokenClient(config) as client:
        return await env.run_rollout(row or env.get_dataset(1)[0], client, FAKE_MODEL)


async def answers(env: vf.ToolEnv, *calls: tuple[str, Any]) -> list[Any]:
    return [message.content for message in await env.env_response(calling(*calls), vf.State())]


async def test_a_rollout_with_tools_goes_in_as_tokens_and_ends_without_a_call(qwen3_fake: FakeMaker) -> None:
    script = replies_by_turn([sampled(("add", {"a": 2, "b": 3})), sampled(("add", {"a": 5, "b": 1})), "It is 6."])
    async with qwen3_fake(script, tool_call_parser="hermes") as fake:
        state = await roll(make(add), fake)
        offered = [request.body["tools"] for request in fake.requests if request.body and "tools" in request.body]
    assert state["error"] is None
    assert state["stop_condition"] == "no_tools_called"
    results = [message for message in state["completion"] if message.role == "tool"]
    calls = [call for step in state["trajectory"] for call in step["completion"][0].tool_calls or []]
    assert [(message.tool_call_id, message.content) for message in results] == [(calls[0].id, "5"), (calls[1].id, "6")]
    assert vf.summarize(state).served == {"chat (first turn)": 1, "chat/tokens": 2}
    assert vf.summarize(state).extending_turns == 2
    assert {tools[0]["function"]["name"] for tools in offered} == {"add"}
    assert state["metrics"] == {"total_tool_calls": 2.0, "add_calls": 2.0}


async def test_turns_are_limited(qwen3_fake: FakeMaker) -> None:
    script = replies_by_turn([sampled(("add", {"a": 1, "b": 1}))] * 2)
    async with qwen3_fake(script, tool_call_parser="hermes") as fake:
        state = await roll(make(add, max_turns=2), fake)
    assert state["stop_condition"] == "max_turns_reached"
    assert make(add).max_turns == 10


async def test_calls_of_one_turn_run_at_once_and_are_answered_in_their_order() -> None:
    """The first call ends only after the second, so that one after the other they would never end."""
    second_is_done = asyncio.Event()

    async def first() -> str:
        await second_is_done.wait()
        return "first"

    async def second() -> str:
        second_is_done.set()
        return "second"

    said = await make(first, second).env_response(calling(("first", {}), ("second", {})), vf.State())
    assert [(message.role, message.tool_call_id, message.content) for message in said] == [
        ("tool", "call-0", "first"),
        ("tool", "call-1", "second"),
    ]


async def test_blocking_functions_run_at_once_too() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet(name: str) -> str:
        meeting.wait()
        return name

    assert await answers(make(meet), ("meet", {"name": "a"}), ("meet", {"name": "b"})) == ["a", "b"]


async def test_calls_run_one_after_the_other_where_asked() -> None:
    running: list[str] = []

    async def work(name: str) -> str:
        running.append(f"{name} begins")
        await asyncio.sleep(0)
        running.append(f"{name} ends")
        return name

    env = make(work, tools_in_parallel=False)
    assert await answers(env, ("work", {"name": "a"}), ("work", {"name": "b"})) == ["a", "b"]
    assert running == ["a begins", "a ends", "b begins", "b ends"]


PARTS = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,x"}}]


@pytest.mark.parametrize(
    ("result", "content"), [("text", "text"), ({"a": [1]}, '{"a": [1]}'), (None, "null"), (PARTS, PARTS)]
)
async def test_results_are_texts_json_or_parts(result: Any, content: Any) -> None:
    def give() -> Any:
        return result

    assert await answers(make(give), ("give", {})) == [content]


MISTAKES = [
    (("subtract", {}), "there is no tool 'subtract'; the tools are add, fail"),
    (("add", "{a: 1}"), "add was not called: its arguments are no JSON: "),
    (("add", "[1, 2]"), "add was not called: its arguments must be a JSON object, got list"),
    (("add", "[" * 100_000), "add was not called: its arguments are no JSON: "),
    (("add", {"a": "x", "c": 1}), "add was not called: a: Input should be a valid integer"),
    (("add", {"a": 1}), "add was not called: b: Field required. It takes a, b"),
    (("fail", {}), "the disk is full"),
    (("fail", ""), "the disk is full"),
    (("fail", {"reason": ""}), "OSError"),
]


@pytest.mark.parametrize(("call", "told"), MISTAKES)
async def test_what_is_wrong_with_a_call_is_told_to_the_model(call: tuple[str, Any], told: str) -> None:
    wrong, right = await answers(make(add, fail), call, ("add", {"a": 1, "b": 1}))
    assert wrong.startswith(told)
    assert right == "2"


async def test_an_error_formatter_has_the_last_word() -> None:
    env = make(add, fail, error_formatter=lambda error: f"Error: {type(error).__name__}")
    assert await answers(env, ("fail", {}), ("add", "x"), ("none", {})) == [
        "Error: OSError",
        "Error: ToolParseError",
        "Error: ToolCallError",
    ]


@pytest.mark.parametrize(
    ("stop_error", "call", "raised", "cause"),
    [
        (OSError, ("fail", {}), vf.ToolCallError, OSError),
        (Exception, ("fail", {}), vf.ToolCallError, OSError),
        (json.JSONDecodeError, ("add", "x"), vf.ToolParseError, json.JSONDecodeError),
        (vf.ToolParseError, ("add", "x"), vf.ToolParseError, json.JSONDecodeError),
        (vf.ToolError, ("none", {}), vf.ToolCallError, type(None)),
    ],
)
async def test_stop_errors_end_the_rollout_with_their_cause(
    stop_error: type[Exception], call: tuple[str, Any], raised: type[Exception], cause: type
) -> None:
    for in_parallel in (True, False):
        env = make(add, fail, stop_errors=[stop_error], tools_in_parallel=in_parallel)
        with pytest.raises(raised) as caught:
            await answers(env, ("add", {"a": 1, "b": 1}), call)
        assert isinstance(caught.value.__cause__, cause)


async def test_other_errors_do_not_end_the_rollout() -> None:
    assert await answers(make(fail, stop_errors=[KeyError]), ("fail", {})) == ["the disk is full"]


async def test_a_stop_error_is_the_error_of_its_rollout(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(replies_by_turn([sampled(("fail", {}))]), tool_call_parser="hermes") as fake:
        state = await roll(make(fail, stop_errors=[OSError]), fake)
    assert str(state["error"]) == "tool fail raised OSError: the disk is full"
    assert (state["stop_condition"], state["reward"]) == ("has_error", None)


async def test_a_tool_that_hangs_is_timed_out_and_the_others_are_not() -> None:
    cancelled = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    env = make(hang, add, tool_timeout_seconds=0.5)
    assert await answers(env, ("hang", {}), ("add", {"a": 1, "b": 1})) == ["hang gave no result in 0.5 seconds", "2"]
    assert cancelled.is_set()


async def test_a_blocking_tool_that_hangs_is_left_to_itself() -> None:
    go_on = threading.Event()

    def hang() -> None:
        go_on.wait()

    try:
        assert await answers(make(hang, tool_timeout_seconds=0.5), ("hang", {})) == [
            "hang gave no result in 0.5 seconds"
        ]
    finally:
        go_on.set()


async def test_a_time_limit_may_end_the_rollout() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    env = make(hang, tool_timeout_seconds=0.5, stop_errors=[TimeoutError])
    with pytest.raises(vf.ToolCallError, match=r"hang gave no result in 0\.5 seconds"):
        await answers(env, ("hang", {}))


async def test_a_tool_s_own_timeout_and_cancellation_are_errors_like_others() -> None:
    async def times_out() -> None:
        raise TimeoutError("the database took too long")

    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    calls = [("times_out", {}), ("cancels_itself", {})]
    told = ["the database took too long", "cancels_itself was cancelled from within"]
    assert await answers(make(times_out, cancels_itself, tool_timeout_seconds=60), *calls) == told
    assert await answers(make(times_out, cancels_itself, tools_in_parallel=False), *calls) == told


@pytest.mark.parametrize("in_parallel", [True, False])
async def test_a_cancelled_rollout_cancels_its_tools(in_parallel: bool) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    env = make(hang, tools_in_parallel=in_parallel)
    answering = asyncio.create_task(answers(env, ("hang", {})))
    await started.wait()
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert cancelled.is_set()


def test_tools_are_added_and_removed_with_definition_and_metric() -> None:
    env = make(add, rubric=vf.Rubric(lambda: 1.0))
    env.add_tool(fail)
    assert ([tool.name for tool in env.tool_defs], env.tools) == (["add", "fail"], [add, fail])
    assert env.tool_map == {"add": add, "fail": fail}
    env.remove_tool(add)
    assert ([tool.name for tool in env.tool_defs], env.tools, env.tool_map) == (["fail"], [fail], {"fail": fail})
    assert [function.__name__ for function in env.rubric.funcs] == ["<lambda>", "total_tool_calls", "fail_calls"]
    with pytest.raises(vf.ConfigError, match="add is no tool of this environment; it has fail"):
        env.remove_tool(add)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(vf.ConfigError, match="there is a tool add already"):
        make(add, add)


async def test_call_tool_may_be_overridden_and_tools_may_live_elsewhere() -> None:
    class RemoteEnv(vf.ToolEnv):
        async def call_tool(
            self, tool_name: str, tool_args: dict[str, Any], tool_call_id: str, **kwargs: Any
        ) -> vf.ToolMessage:
            return vf.ToolMessage(tool_call_id=tool_call_id, content=f"{tool_name} {tool_args}")

    remote = {"name": "search", "description": "Searches.", "parameters": {"type": "object", "properties": {}}}
    env = RemoteEnv(tools=[add], tool_defs=[remote], dataset=[])
    assert await answers(env, ("search", {"a": "1"}), ("add", {"a": "1"})) == ["search {'a': '1'}", "add {'a': '1'}"]
    with pytest.raises(vf.ConfigError, match="tool search has a definition and no function; override call_tool"):
        await answers(make(tool_defs=[remote]), ("search", {}))


async def test_a_function_that_an_author_puts_into_the_map_is_called() -> None:
    def add(a: int, b: int) -> str:
        return f"{a} and {b}"

    env = make(add)
    env.tool_map["add"] = lambda a, b: "replaced"
    env.tool_map["add"].__name__ = "add"
    assert await answers(env, ("add", {"a": 1, "b": 2})) == ["replaced"]


async def test_a_turn_without_calls_is_answered_with_nothing() -> None:
    env = make(add)
    assert await env.env_response([vf.AssistantMessage(content="hm")], vf.State()) == []
    assert await env.env_response([], vf.State()) == []
