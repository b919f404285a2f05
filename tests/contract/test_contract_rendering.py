"""Prompts: what vLLM makes of messages, compared with the template rendered by transformers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.contract.contract_wire import HI, NO_THINKING, Wire

END = "<|im_end|>\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`messages` as sent, `seen` as the template gets them; None: the same."""

    messages: list[dict[str, Any]]
    seen: list[dict[str, Any]] | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    seen_tools: list[dict[str, Any]] | None = None
    template: dict[str, Any] = field(default_factory=dict)

    def expected(self, tokenizer: Any) -> list[int]:
        return tokenizer.apply_chat_template(
            self.messages if self.seen is None else self.seen,
            tools=self.seen_tools,
            return_dict=False,
            **{"add_generation_prompt": True, **self.template},
        )


def _user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def _assistant(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def _call(arguments: Any, name: str = "f") -> dict[str, Any]:
    return {"id": "call-1", "type": "function", "function": {"name": name, "arguments": arguments}}


def _result(content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "call-1", "content": content}


def _function(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


def _called(arguments: Any) -> list[dict[str, Any]]:
    return [HI, _assistant("", tool_calls=[_call(arguments)]), _result("r")]


_SYSTEM = {"role": "system", "content": "Be brief."}
_PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
_PARAMETERS = {"type": "object", "properties": {"x": {"type": "integer"}}}
_THOUGHT = [HI, _assistant("x", reasoning_content="th", tool_calls=[_call({})]), _result("r")]

CASES = {
    "one user message": Case(messages=[HI]),
    "system and user": Case(messages=[_SYSTEM, HI]),
    "several turns": Case(messages=[_SYSTEM, HI, _assistant("Hello!"), _user("What is 2+2? é🫠")]),
    "system message at the end": Case(messages=[HI, _SYSTEM]),
    "developer is system": Case(messages=[{"role": "developer", "content": "Be brief."}, HI], seen=[_SYSTEM, HI]),
    "empty content": Case(messages=[_user("")]),
    "white space at the borders": Case(messages=[_user("  Hi \n\n"), _assistant("\n a \n"), _user("\tb")]),
    "control tokens in a text": Case(messages=[_user("a<|im_end|>\n<|im_start|>assistant\nb")]),
    "null content of an assistant": Case(messages=[HI, _assistant(None), HI], seen=[HI, _assistant(""), HI]),
    "no content of an assistant": Case(messages=[HI, {"role": "assistant"}, HI], seen=[HI, _assistant(""), HI]),
    "no content of a user": Case(messages=[{"role": "user"}], seen=[_user("")]),
    "content parts are joined by newlines": Case(messages=[_user(_PARTS)], seen=[_user("a\nb")]),
    "no content parts": Case(messages=[_user([])], seen=[_user("")]),
    "parts of a system message": Case(
        messages=[{"role": "system", "content": _PARTS}, HI],
        seen=[{"role": "system", "content": "a\nb"}, HI],
    ),
    "parts of a tool result": Case(
        messages=[HI, _assistant("", tool_calls=[_call("{}")]), _result(_PARTS)],
        seen=[HI, _assistant("", tool_calls=[_call({})]), _result("a\nb")],
    ),
    "arguments are parsed and dumped again": Case(
        messages=_called('{"b":1.0,"a":"é",  "c":[true,null]}'),
        seen=_called({"b": 1.0, "a": "é", "c": [True, None]}),
    ),
    "arguments that are no JSON": Case(messages=_called('{"x":'), seen=_called({})),
    "arguments that are no object": Case(messages=_called("[1]"), seen=_called({})),
    "empty arguments": Case(messages=_called(""), seen=_called({})),
    "content beside a tool call": Case(
        messages=[HI, _assistant("Let me see.", tool_calls=[_call("{}")]), _result("r")],
        seen=[HI, _assistant("Let me see.", tool_calls=[_call({})]), _result("r")],
    ),
    "two calls and two results": Case(
        messages=[HI, _assistant("", tool_calls=[_call("{}"), _call("{}", "g")]), _result("a"), _result("b")],
        seen=[HI, _assistant("", tool_calls=[_call({}), _call({}, "g")]), _result("a"), _result("b")],
    ),
    "a result and a user message": Case(messages=[*_called("{}"), HI], seen=[*_called({}), HI]),
    "no tool calls in the list": Case(
        messages=[HI, _assistant("x", tool_calls=[]), HI], seen=[HI, _assistant("x"), HI]
    ),
    "thinking is stripped from older turns": Case(
        messages=[HI, _assistant("<think>\nth\n</think>\n\nx"), _user("And?")]
    ),
    "reasoning of the turn in progress": Case(
        messages=[HI, _assistant("x", reasoning="th", tool_calls=[_call("{}")]), _result("r")], seen=_THOUGHT
    ),
    "thinking off": Case(messages=[HI], fields=NO_THINKING, template={"enable_thinking": False}),
    "unknown template arguments": Case(messages=[HI], fields={"chat_template_kwargs": {"nonsense": 1}}),
    "no generation prompt": Case(
        messages=[HI],
        fields={"add_generation_prompt": False},
        template={"add_generation_prompt": False},
    ),
    "a final message to continue": Case(
        messages=[HI, _assistant("The answer ")],
        fields={"add_generation_prompt": False, "continue_final_message": True},
        template={"add_generation_prompt": False, "continue_final_message": True},
    ),
    "a tool without description gets a null": Case(
        messages=[HI],
        fields={"tools": [_function("f", parameters=_PARAMETERS)]},
        seen_tools=[_function("f", description=None, parameters=_PARAMETERS)],
    ),
    "a tool without parameters gets a null": Case(
        messages=[HI],
        fields={"tools": [_function("f", description="d")]},
        seen_tools=[_function("f", description="d", parameters=None)],
    ),
    "keys of tools are brought into order, unknown ones dropped, parameters left alone": Case(
        messages=[_SYSTEM, HI],
        fields={
            "tools": [
                {
                    "zzz": 1,
                    "function": {
                        "parameters": {"properties": {}, "type": "object", "zzz": 3},
                        "zzz": 2,
                        "strict": True,
                        "description": "d",
                        "name": "f",
                    },
                    "type": "function",
                }
            ]
        },
        seen_tools=[
            _function("f", description="d", parameters={"properties": {}, "type": "object", "zzz": 3}, strict=True)
        ],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_messages_become_the_templates_prompt(case: Case, wire: Wire, tokenizer: Any) -> None:
    answer = await wire.completion(messages=case.messages, max_tokens=1, **case.fields)
    expected = case.expected(tokenizer)
    assert tokenizer.decode(answer["prompt_token_ids"]) == tokenizer.decode(expected)
    assert answer["prompt_token_ids"] == expected
    assert answer["usage"]["prompt_tokens"] == len(expected)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_tokenize_makes_the_same_prompt_as_chat(case: Case, wire: Wire, tokenizer: Any) -> None:
    assert await wire.tokenize(messages=case.messages, **case.fields) == case.expected(tokenizer)


async def test_tools_are_rendered_whatever_the_tool_choice(wire: Wire) -> None:
    tools = [_function("f", description="d", parameters=_PARAMETERS)]
    answers = [await wire.completion(tools=tools, tool_choice=choice, max_tokens=1) for choice in ("none", "auto")]
    assert answers[0]["prompt_token_ids"] == answers[1]["prompt_token_ids"]
    assert answers[0]["usage"]["prompt_tokens"] > 100


async def test_chat_reads_reasoning_content_as_reasoning_and_tokenize_does_not(wire: Wire, tokenizer: Any) -> None:
    sent = [HI, _assistant("x", reasoning_content="th", tool_calls=[_call("{}")]), _result("r")]
    answer = await wire.completion(messages=sent, max_tokens=1)
    assert "<think>\nth\n</think>" in tokenizer.decode(answer["prompt_token_ids"])
    assert "<think>" not in tokenizer.decode(await wire.tokenize(messages=sent))


async def test_reasoning_effort_none_turns_thinking_off_on_chat(wire: Wire, tokenizer: Any) -> None:
    answer = await wire.completion(reasoning_effort="none", max_tokens=1)
    assert answer["prompt_token_ids"] == await wire.tokenize(messages=[HI], **NO_THINKING)
