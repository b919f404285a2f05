"""Whatever bytes a server answers with, a client takes them for a turn or raises an error of this library."""

from __future__ import annotations

import asyncio
import copy
import json
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import verifiers_tito as vf
from tests.tokenization.tiny import byte_tokenizer
from verifiers_tito.clients.answer_checks import check_echo, check_not_aborted, check_vocabulary
from verifiers_tito.clients.own_reading import AnswerReader
from verifiers_tito.clients.prompt_runs import PromptRun
from verifiers_tito.clients.turn_ways import TurnWay
from verifiers_tito.parsing import format_by_names, parse_request
from verifiers_tito.tokenization import LocalTokenizer
from verifiers_tito.types import Served
from verifiers_tito.wire.token_routes import TOKEN_ROUTES

SENT = PromptRun.of([1, 2, 3])
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
ENDED = {"index": 0, "finish_reason": "stop", "stop_reason": None, "token_ids": [4, 5]}
VERSIONS = {"weight_versions": [{"version": "default", "start": 0, "end": 2}]}
CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "created": 1,
    "model": "m",
    "prompt_token_ids": None,
    "prompt_digest": msgspec.to_builtins(SENT.digest.answer()),
    "usage": USAGE,
    "choices": [
        {
            **ENDED,
            **VERSIONS,
            "message": {
                "role": "assistant",
                "content": "hi",
                "reasoning": "hm",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            "logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": [97]}, {"token": "b", "logprob": -1.0}]},
        }
    ],
}
GENERATED: dict[str, Any] = {
    "request_id": "generate-tokens-1",
    "created": 1,
    "model": "m",
    "prompt_token_ids": [1, 2, 3],
    "usage": USAGE,
    "choices": [
        {
            **ENDED,
            **VERSIONS,
            "logprobs": {"content": [{"token_id": 4, "logprob": -0.5, "rank": 1}, {"token_id": 5, "logprob": -1.0}]},
        }
    ],
}
COMPLETED: dict[str, Any] = {
    "id": "cmpl-1",
    "created": 1,
    "model": "m",
    "usage": USAGE,
    "choices": [
        {**ENDED, "text": "hi", "prompt_token_ids": [1, 2, 3], "logprobs": {"token_logprobs": [-0.5, -1.0]}},
    ],
}
GOOD = {"chat/tokens": CHAT, "generate": GENERATED, "completions": COMPLETED}
ROUTES = pytest.mark.parametrize("route", GOOD)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
QUICK = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all values inside a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    inner = [place for key in keys for place in places(value[key], (*way, key))]
    return [*([way] if way else []), *inner]


@cache
def way_of(route: str) -> TurnWay:
    way = next(way for way in TOKEN_ROUTES if way.route == route)
    if way.sampled is None:
        return TurnWay(route=way)
    tokenizer = LocalTokenizer(byte_tokenizer(["<tool_call>"], template="{{ messages[0].content }}"))
    form = format_by_names(reasoning_parser="qwen3", tool_call_parser="hermes")
    return TurnWay(
        route=way, reader=AnswerReader(format=form, tokenizer=tokenizer, request=parse_request(None), fields={})
    )


@cache
def reading_client() -> vf.OpenAIChatCompletionsTokenClient:
    """It asks nobody. To make one takes longer than to read an answer."""
    return vf.OpenAIChatCompletionsTokenClient(vf.ClientConfig(base_url="http://127.0.0.1:9/v1"))


def read(route: str, body: bytes) -> vf.Response:
    """As a turn reads an answer to ids."""
    check_not_aborted(body)
    completion = way_of(route).read(body, SENT, Served(route=vf.Route(route)))
    check_echo(SENT, completion.answer)
    completion.note_prompt(SENT.token_ids)
    check_vocabulary(completion.answer, 100)

    async def convert() -> vf.Response:
        await reading_client().raise_from_native_response(completion)
        return await reading_client().from_native_response(completion)

    return asyncio.run(convert())


def turn_or_error(route: str, body: bytes) -> vf.Response | vf.Error:
    try:
        return read(route, body)
    except vf.Error as error:
        return error


@ROUTES
def test_the_good_answer_is_a_turn(route: str) -> None:
    response = read(route, json.dumps(GOOD[route]).encode())
    assert response.message.tokens is not None
    assert response.message.tokens.completion_ids == [4, 5]
    assert response.message.tokens.completion_logprobs == [-0.5, -1.0]


@ROUTES
@QUICK
@given(body=st.binary(max_size=200))
def test_bytes(route: str, body: bytes) -> None:
    assert isinstance(turn_or_error(route, body), vf.Error)


@ROUTES
@QUICK
@given(data=st.data(), value=VALUES, missing=st.booleans())
def test_an_answer_with_something_else_in_some_place(
    route: str, data: st.DataObject, value: Any, missing: bool
) -> None:
    answer = copy.deepcopy(GOOD[route])
    *way, last = data.draw(st.sampled_from(places(GOOD[route])))
    holder = answer
    for key in way:
        holder = holder[key]
    if missing:
        del holder[last]
    else:
        holder[last] = value
    read_as = turn_or_error(route, json.dumps(answer).encode())
    if isinstance(read_as, vf.Response):
        tokens = read_as.message.tokens
        assert tokens is None or len(tokens.completion_ids) == len(tokens.completion_logprobs)


@ROUTES
@QUICK
@given(data=st.data())
def test_an_answer_that_is_cut_off(route: str, data: st.DataObject) -> None:
    whole = json.dumps(GOOD[route]).encode()
    body = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert isinstance(turn_or_error(route, body), vf.InvalidModelResponseError)


@ROUTES
@pytest.mark.parametrize("spelling", ["a", "token_id:4", 4, None])
def test_however_a_server_spells_a_token_its_ids_are_read(route: str, spelling: Any) -> None:
    """Failure 28: the spelling changed from version to version, and clients that read it broke."""
    answer = copy.deepcopy(GOOD[route])
    logprobs = answer["choices"][0]["logprobs"]
    if "content" in logprobs:
        logprobs["content"] = [{**entry, "token": spelling, "token_id": spelling} for entry in logprobs["content"]]
    else:
        logprobs["tokens"] = [spelling] * 2
    tokens = read(route, json.dumps(answer).encode()).message.tokens
    assert tokens is not None
    assert (tokens.completion_ids, tokens.completion_logprobs) == ([4, 5], [-0.5, -1.0])


@ROUTES
def test_numbers_that_are_none_in_json_are_refused(route: str) -> None:
    body = json.dumps(GOOD[route]).replace("-0.5", "NaN").encode()
    assert isinstance(turn_or_error(route, body), vf.InvalidModelResponseError)


@pytest.mark.parametrize("route", ["generate", "completions"])
@pytest.mark.parametrize("token_id", [-1, 2**32, 2**70])
def test_ids_that_nobody_can_decode_are_refused(route: str, token_id: int) -> None:
    answer = copy.deepcopy(GOOD[route])
    answer["choices"][0]["token_ids"] = [token_id, 5]
    assert isinstance(turn_or_error(route, json.dumps(answer).encode()), vf.InvalidModelResponseError)
