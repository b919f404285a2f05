"""Tool calls (hermes) and reasoning (qwen3) in texts that are forced upon the server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.contract_wire import WEATHER, Wire

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bonn"}}\n</tool_call>'
OTHER = '<tool_call>{"name":"g","arguments":{"x":1.50,"é":null}}</tool_call>'
TOOLS = {"tools": [WEATHER]}


def _functions(message: dict[str, Any]) -> list[tuple[str, str]]:
    for call in message["tool_calls"]:
        assert set(call) == {"id", "type", "function"}
        assert call["type"] == "function"
        assert call["id"].startswith("chatcmpl-tool-")
    return [(call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]]


@pytest.mark.parametrize(
    ("text", "content", "functions"),
    [
        (CALL, None, [("weather", '{"city": "Bonn"}')]),
        ("Let me see.\n" + CALL, "Let me see.\n", [("weather", '{"city": "Bonn"}')]),
        (" \n" + CALL, None, [("weather", '{"city": "Bonn"}')]),
        (CALL + " Done.", None, [("weather", '{"city": "Bonn"}')]),
        (CALL + "\n" + OTHER, None, [("weather", '{"city": "Bonn"}'), ("g", '{"x": 1.5, "é": null}')]),
        (CALL.removesuffix("</tool_call>"), None, [("weather", '{"city": "Bonn"}')]),
        ('<tool_call>{"name": "g", "arguments": "a"}</tool_call>', None, [("g", '"a"')]),
    ],
)
async def test_tool_calls_are_taken_out_of_the_text(
    text: str, content: str | None, functions: list[tuple[str, str]], wire: Wire, tokenizer: Any
) -> None:
    (choice,) = (await wire.forced(text, **TOOLS))["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == content
    assert _functions(choice["message"]) == functions
    assert tokenizer.decode(choice["token_ids"][:-1]) == text


@pytest.mark.parametrize(
    "text",
    [
        "No call at all.",
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Bonn"}\n</tool_call>',
        '<tool_call>{"name": "weather"}</tool_call>',
        '<tool_call>{"arguments": {}}</tool_call>',
        CALL + "<tool_call>{oops</tool_call>",
        '<tool_call>{"name": "weather", "arguments": {"city": "</tool_call>"}}</tool_call>',
        "<tool_call>",
    ],
)
async def test_one_malformed_call_leaves_the_whole_text(text: str, wire: Wire) -> None:
    (choice,) = (await wire.forced(text, **TOOLS))["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == text
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize("fields", [{}, {**TOOLS, "tool_choice": "none"}])
async def test_without_tools_to_call_the_text_stays(fields: dict[str, Any], wire: Wire) -> None:
    (choice,) = (await wire.forced(CALL, **fields))["choices"]
    assert choice["message"]["content"] == CALL
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


async def test_a_call_that_is_cut_stays_text(wire: Wire, tokenizer: Any) -> None:
    (choice,) = (await wire.forced(CALL, max_tokens=5, **TOOLS))["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"] == tokenizer.decode(choice["token_ids"])


async def test_without_parallel_calls_only_the_first_is_told(wire: Wire) -> None:
    (choice,) = (await wire.forced(CALL + CALL, parallel_tool_calls=False, **TOOLS))["choices"]
    assert len(choice["message"]["tool_calls"]) == 1


@pytest.mark.parametrize(
    ("text", "reasoning", "content"),
    [
        ("thought</think>\n\nanswer", "thought", "\n\nanswer"),
        ("<think>\nthought\n</think>\n\nanswer", "\nthought\n", "\n\nanswer"),
        ("no end", "no end", None),
        ("thought</think>", "thought", None),
        ("</think>answer", None, "answer"),
        ("thought</think>a</think>b", "thought", "ab"),
        ("<think>a</think>b<think>c</think>d", "a", "b<think>cd"),
        ("thought" + CALL, "thought", CALL),
    ],
)
async def test_reasoning_is_parted_from_the_content(
    text: str, reasoning: str | None, content: str | None, wire: Wire
) -> None:
    (choice,) = (await wire.forced_thinking(text))["choices"]
    assert (choice["message"]["reasoning"], choice["message"]["content"]) == (reasoning, content)
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("thought</think>\n\n" + CALL, None),
        ("thought</think>\n\nhi\n" + CALL, "\n\nhi\n"),
        ("thought" + CALL, None),
    ],
)
async def test_a_tool_call_after_thinking(text: str, content: str | None, wire: Wire) -> None:
    (choice,) = (await wire.forced_thinking(text, **TOOLS))["choices"]
    assert choice["message"]["reasoning"] == "thought"
    assert choice["message"]["content"] == content
    assert _functions(choice["message"]) == [("weather", '{"city": "Bonn"}')]
    assert choice["finish_reason"] == "tool_calls"


async def test_with_thinking_off_the_marks_are_text(wire: Wire) -> None:
    (choice,) = (await wire.forced("<think>\na\n</think>\n\nb"))["choices"]
    assert choice["message"]["content"] == "<think>\na\n</think>\n\nb"
    assert choice["message"]["reasoning"] is None


async def test_unfinished_thinking_is_reasoning_and_counted(wire: Wire) -> None:
    answer = await wire.completion(max_tokens=4)
    message = answer["choices"][0]["message"]
    assert message["content"] is None
    assert message["reasoning"]
    # vLLM does not count tokens without text, and a random model samples some.
    assert 1 <= answer["usage"]["completion_tokens_details"]["reasoning_tokens"] <= 4


async def test_hidden_reasoning_hides_ids_and_logprobs_too(wire: Wire) -> None:
    answer = await wire.forced_thinking("thought</think>answer", include_reasoning=False, logprobs=True)
    (choice,) = answer["choices"]
    assert choice["message"]["reasoning"] is None
    assert choice["message"]["content"] == "answer"
    assert choice["token_ids"] is None
    assert choice["logprobs"] is None


async def test_arguments_survive_as_the_same_json(wire: Wire) -> None:
    arguments = {"a": [1, 2.5, {"b": False}], "text": 'quote " and \\ and é'}
    text = f"<tool_call>{json.dumps({'name': 'g', 'arguments': arguments}, ensure_ascii=False)}</tool_call>"
    (choice,) = (await wire.forced(text, **TOOLS))["choices"]
    ((_, told),) = _functions(choice["message"])
    assert json.loads(told) == arguments
