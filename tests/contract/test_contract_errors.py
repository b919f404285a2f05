"""Errors of the chat route: status, type, parameter and words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.contract_wire import CHAT, HI, WEATHER, Refused, Wire, bad_request, refused

LIMIT = 8192
OVERLONG = bad_request(
    f"This model's maximum context length is {LIMIT} tokens. However, your prompt contains at least {LIMIT + 1} "
    "input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input "
    f"prompt. (parameter=input_tokens, value={LIMIT + 1})",
    "input_tokens",
)
NO_ROOM = bad_request("max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)", "max_tokens")
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}


async def test_an_unknown_model_is_not_found(wire: Wire) -> None:
    message = f"The model `x` does not exist. Valid aliases: {wire.model}."
    assert await wire.refusal(model="x") == Refused(404, "NotFoundError", "model", message)


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"max_tokens": 0}, "max_tokens", "max_tokens must be at least 1, got 0."),
        ({"max_tokens": -1}, "max_tokens", "max_tokens must be at least 1, got -1."),
        (
            {"max_tokens": 8193},
            "max_tokens",
            "max_tokens=8193 cannot be greater than max_model_len=8192. Please request fewer output tokens.",
        ),
        ({"temperature": -1}, "temperature", "temperature must be non-negative, got -1.0."),
        ({"top_p": 2}, "top_p", "top_p must be in (0, 1], got 2.0."),
    ],
)
async def test_a_value_out_of_range_is_told_with_its_parameter(
    fields: dict[str, Any], param: str, message: str, wire: Wire
) -> None:
    (value,) = fields.values()
    shown = value if param == "max_tokens" else float(value)
    assert await wire.refusal(**fields) == bad_request(f"{message} (parameter={param}, value={shown})", param)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n": 0}, "n must be at least 1, got 0."),
        ({"min_tokens": 9}, "min_tokens must be less than or equal to max_tokens=4, got 9."),
        ({"min_p": 2}, "min_p must be in [0, 1], got 2.0."),
        ({"top_k": -2}, "top_k must be 0 (disable), or at least 1, got -2."),
        ({"frequency_penalty": 5}, "frequency_penalty must be in [-2, 2], got 5.0."),
        ({"stop": ""}, "stop cannot contain an empty string."),
        ({"structured_outputs": {"choice": []}}, "Choice '[]' cannot be an empty list"),
        (
            {"messages": []},
            "Cannot apply chat template to an empty conversation. Provide at least one message.",
        ),
        (
            {"chat_template": "x"},
            "Chat template is passed with request, but --trust-request-chat-template is not set. Refused request with "
            "untrusted chat template.",
        ),
        (
            {"structured_outputs": {"choice": ["a"], "regex": "b"}},
            "You can only use one kind of constraints for structured outputs ('json', 'regex' or 'choice').",
        ),
    ],
)
async def test_other_refusals_name_no_parameter(fields: dict[str, Any], message: str, wire: Wire) -> None:
    assert await wire.refusal(**fields) == bad_request(message)


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"tool_choice": "auto"}, "tool_choice", "When using `tool_choice`, `tools` must be set."),
        (
            {"tool_choice": "zzz", "tools": [WEATHER]},
            "tool_choice",
            'Invalid value for `tool_choice`: zzz! Only named tools, "none", "auto" or "required" are supported.',
        ),
        (
            {"tools": []},
            "tools",
            "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely.",
        ),
        (
            {"top_logprobs": 2},
            "top_logprobs",
            "when using `top_logprobs`, `logprobs` must be set to true.",
        ),
    ],
)
async def test_fields_that_do_not_go_together(fields: dict[str, Any], param: str, message: str, wire: Wire) -> None:
    assert await wire.refusal(**fields) == bad_request(f"{message} (parameter={param})", param)


async def test_more_than_twenty_top_logprobs_are_refused(wire: Wire) -> None:
    message = "Requested sample logprobs of 21, which is greater than max allowed: 20 (parameter=logprobs, value=21)"
    assert await wire.refusal(logprobs=True, top_logprobs=21) == bad_request(message, "logprobs")


@pytest.mark.parametrize(
    ("fields", "param", "kind"),
    [
        ({"messages": "hi"}, "body.messages", "list_type"),
        ({"max_tokens": "a"}, "body.max_tokens", "int_parsing"),
        ({"max_tokens": 1.5}, "body.max_tokens", "int_from_float"),
        ({"n": "a"}, "body.n", "int_parsing"),
        ({"seed": "a"}, "body.seed", "int_parsing"),
        ({"temperature": "hot"}, "body.temperature", "float_parsing"),
        ({"stream": "maybe"}, "body.stream", "bool_parsing"),
        ({"logprobs": 3}, "body.logprobs", "bool_parsing"),
        ({"model": 3}, "body.model", "string_type"),
        ({"stop_token_ids": ["a"]}, "body.stop_token_ids.0", "int_parsing"),
        ({"tools": "x"}, "body.tools", "list_type"),
    ],
)
async def test_a_field_of_the_wrong_type_is_named(fields: dict[str, Any], param: str, kind: str, wire: Wire) -> None:
    error = await wire.refusal(**fields)
    assert (error.status, error.type, error.param) == (400, "Bad Request", param)
    assert error.message.startswith(f"1 validation error:\n  {{'type': '{kind}', 'loc': '{param}', 'msg': '")


@pytest.mark.parametrize("stop", [3, ["a"] * 5])
async def test_a_wrong_stop_is_refused_for_both_of_its_types(stop: Any, wire: Wire) -> None:
    error = await wire.refusal(stop=stop)
    assert (error.status, error.type, error.param) == (400, "Bad Request", "body.stop")
    assert error.message.startswith("2 validation errors:\n")


async def test_a_tool_of_another_kind_is_refused(wire: Wire) -> None:
    error = await wire.refusal(tools=[{"type": "x"}])
    assert (error.status, error.type, error.param) == (400, "Bad Request", "body.tools.0.type")


@pytest.mark.parametrize(
    "message",
    [{"content": "x"}, {"role": "user", "content": None}, {"role": "user", "content": 3}],
)
async def test_a_message_without_role_or_with_a_wrong_content_is_refused(message: dict[str, Any], wire: Wire) -> None:
    error = await wire.refusal(messages=[message])
    assert (error.status, error.type) == (400, "Bad Request")
    assert (error.param or "").startswith("body.messages")


async def test_arguments_of_a_tool_call_must_be_a_string(wire: Wire) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    error = await wire.refusal(messages=[HI, {"role": "assistant", "tool_calls": [call]}])
    assert (error.status, error.type) == (400, "Bad Request")


async def test_an_image_is_refused_by_a_text_model(wire: Wire) -> None:
    error = await wire.refusal(messages=[{"role": "user", "content": [IMAGE]}])
    assert (error.status, error.type, error.param) == (400, "BadRequestError", None)
    assert error.message.endswith(" is not a multimodal model")


@pytest.mark.parametrize(
    ("content", "message", "param"),
    [
        (b"", "{'type': 'missing', 'loc': 'body', 'msg': 'Field required', 'input': 'None'}", "body"),
        (
            b"{x",
            "{'type': 'json_invalid', 'loc': 'body.1', 'msg': 'JSON decode error', 'input': '<dict of 0 items>', "
            "'ctx': {'error': 'Expecting property name enclosed in double quotes'}}",
            "body.1",
        ),
        (
            b"[1]",
            "{'type': 'model_attributes_type', 'loc': 'body', 'msg': 'Input should be a valid dictionary or object to "
            "extract fields from', 'input': '<list of 1 items>'}",
            "body",
        ),
        (
            b"{}",
            "{'type': 'missing', 'loc': 'body.messages', 'msg': 'Field required', 'input': '<dict of 0 items>'}",
            "body.messages",
        ),
    ],
)
async def test_a_malformed_body(content: bytes, message: str, param: str, wire: Wire) -> None:
    headers = {"content-type": "application/json"}
    error = refused(await wire.client.post(CHAT, content=content, headers=headers))
    assert error == Refused(400, "Bad Request", param, f"1 validation error:\n  {message}")


async def test_another_content_type_is_refused(wire: Wire) -> None:
    response = await wire.client.post(CHAT, content=b"{}", headers={"content-type": "text/plain"})
    message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"
    assert refused(response) == Refused(400, "Bad Request", None, message)


async def _messages_of(wire: Wire, tokens: int) -> list[dict[str, Any]]:
    around = len(await wire.tokenize(messages=[HI]))
    return [{"role": "user", "content": "Hi" + " a" * (tokens - around)}]


async def test_one_token_over_the_limit_is_overlong(wire: Wire) -> None:
    messages = await _messages_of(wire, LIMIT + 1)
    assert await wire.refusal(messages=messages) == OVERLONG
    assert await wire.refusal(messages=messages, max_tokens=None) == OVERLONG
    assert await wire.refusal(messages=messages, stream=True) == OVERLONG


async def test_far_over_the_limit_is_told_as_one_over(wire: Wire) -> None:
    assert await wire.refusal(messages=await _messages_of(wire, LIMIT + 5000)) == OVERLONG


async def test_a_prompt_that_fills_the_context_leaves_no_room(wire: Wire) -> None:
    messages = await _messages_of(wire, LIMIT)
    assert await wire.refusal(messages=messages) == NO_ROOM
    assert await wire.refusal(messages=messages, max_tokens=None) == NO_ROOM


@pytest.mark.parametrize("max_tokens", [10, None])
async def test_the_answer_ends_where_the_context_ends(max_tokens: int | None, wire: Wire) -> None:
    answer = await wire.completion(messages=await _messages_of(wire, LIMIT - 2), max_tokens=max_tokens)
    assert answer["usage"]["total_tokens"] == LIMIT
    assert answer["choices"][0]["finish_reason"] == "length"
