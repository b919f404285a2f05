"""Token ids in: our route `/v1/chat/completions/tokens`, and stock vLLM's own way."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.contract.contract_wire import CHAT, CHAT_TOKENS, HI, WEATHER, Refused, Wire, bad_request

LIMIT = 8192
VOCABULARY = 151_936
NO_ROOM = bad_request("max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)", "max_tokens")


async def test_the_prompt_is_exactly_what_was_sent(wire: Wire) -> None:
    tokens = random.Random(1).sample(range(VOCABULARY), 300)
    answer = await wire.completion(path=CHAT_TOKENS, tokens=tokens, logprobs=True)
    assert answer["prompt_token_ids"] == tokens
    assert answer["usage"]["prompt_tokens"] == 300
    assert len(answer["choices"][0]["logprobs"]["content"]) == len(answer["choices"][0]["token_ids"]) == 4


async def test_an_answer_to_ids_has_the_keys_of_an_answer_to_messages(wire: Wire) -> None:
    to_messages = await wire.completion()
    to_ids = await wire.completion(path=CHAT_TOKENS, tokens=to_messages["prompt_token_ids"])
    assert set(to_ids) == set(to_messages)
    assert set(to_ids["choices"][0]) == {*to_messages["choices"][0], "weight_versions"}
    assert to_ids["prompt_token_ids"] == to_messages["prompt_token_ids"]


@pytest.mark.parametrize("messages", [[], [HI], [{"role": "user", "content": "something else"}]])
async def test_messages_beside_the_ids_are_not_looked_at(messages: list[Any], wire: Wire) -> None:
    answer = await wire.completion(path=CHAT_TOKENS, tokens=[1, 2, 3], messages=messages)
    assert answer["prompt_token_ids"] == [1, 2, 3]


async def test_messages_may_be_missing(wire: Wire) -> None:
    response = await wire.post(CHAT_TOKENS, {"tokens": [1, 2, 3], "max_tokens": 2})
    assert response.status_code == 200
    assert response.json()["usage"]["prompt_tokens"] == 3


async def test_the_highest_id_that_the_model_has_is_taken(wire: Wire) -> None:
    answer = await wire.completion(path=CHAT_TOKENS, tokens=[VOCABULARY - 1, 0])
    assert answer["prompt_token_ids"] == [VOCABULARY - 1, 0]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "tokens must be a non-empty list of token ids, got an empty list"),
        (None, "tokens must be a non-empty list of token ids, got NoneType"),
        ("abc", "tokens must be a non-empty list of token ids, got str 'abc'"),
        ({"a": 1}, "tokens must be a non-empty list of token ids, got dict"),
        ([1, -7, 3], "tokens[1] is negative: -7"),
        ([1, 2.0], "tokens[1] must be an integer token id, got float 2.0"),
        (["1"], "tokens[0] must be an integer token id, got str '1'"),
        ([1, True], "tokens[1] must be an integer token id, got bool True"),
        ([1, None], "tokens[1] must be an integer token id, got NoneType"),
        (
            [1, 2, VOCABULARY],
            f"Token id {VOCABULARY} at tokens[2] is out of vocabulary (the model has ids 0 to {VOCABULARY - 1})",
        ),
        (
            [2**63],
            f"Token id {2**63} at tokens[0] is out of vocabulary (the model has ids 0 to {VOCABULARY - 1})",
        ),
    ],
)
async def test_bad_ids_are_refused_by_number(tokens: Any, message: str, wire: Wire) -> None:
    assert await wire.refusal(path=CHAT_TOKENS, tokens=tokens) == bad_request(message, "tokens")


async def test_missing_ids_are_refused(wire: Wire) -> None:
    error = await wire.refusal(path=CHAT_TOKENS)
    assert error == bad_request("tokens must be a non-empty list of token ids, got NoneType", "tokens")


async def test_one_id_over_the_limit_is_overlong(wire: Wire) -> None:
    error = await wire.refusal(path=CHAT_TOKENS, tokens=[5] * (LIMIT + 1))
    assert (error.status, error.type, error.param) == (400, "BadRequestError", "input_tokens")
    assert error.message == (
        f"This model's maximum context length is {LIMIT} tokens. However, your prompt contains at least {LIMIT + 1} "
        "input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the "
        f"input prompt. (parameter=input_tokens, value={LIMIT + 1})"
    )


async def test_ids_that_fill_the_context_leave_no_room(wire: Wire) -> None:
    assert await wire.refusal(path=CHAT_TOKENS, tokens=[5] * LIMIT) == NO_ROOM


async def test_the_answer_ends_where_the_context_ends(wire: Wire) -> None:
    answer = await wire.completion(path=CHAT_TOKENS, tokens=[5] * (LIMIT - 1), max_tokens=10)
    assert answer["usage"]["total_tokens"] == LIMIT


@pytest.mark.parametrize("fields", [{"echo": True}, {"truncate_prompt_tokens": 5}, {"use_beam_search": True}])
async def test_what_would_change_the_prompt_or_the_sampling_is_refused(fields: dict[str, Any], wire: Wire) -> None:
    (name,) = fields
    error = await wire.refusal(path=CHAT_TOKENS, tokens=[1], **fields)
    assert (error.status, error.type, error.param) == (400, "BadRequestError", name)
    assert error.message.startswith(f"{CHAT_TOKENS} does not take {name}")


async def test_an_unknown_model_is_not_found(wire: Wire) -> None:
    error = await wire.refusal(path=CHAT_TOKENS, tokens=[1], model="x")
    message = f"The model `x` does not exist. Valid aliases: {wire.model}."
    assert error == Refused(404, "NotFoundError", "model", message)


async def test_n_answers_to_the_same_ids(wire: Wire) -> None:
    answer = await wire.completion(path=CHAT_TOKENS, tokens=[1, 2, 3], n=2)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert answer["usage"]["prompt_tokens"] == 3


async def test_ids_in_can_be_streamed(wire: Wire) -> None:
    first, *chunks = await wire.events(path=CHAT_TOKENS, tokens=[1, 2, 3])
    assert first["prompt_token_ids"] == [1, 2, 3]
    assert sum(len(chunk["choices"][0]["token_ids"]) for chunk in chunks) == 4


async def test_tool_calls_are_parsed_when_ids_are_sent(wire: Wire) -> None:
    text = '<tool_call>{"name": "weather", "arguments": {}}</tool_call>'
    answer = await wire.forced_thinking(f"a</think>{text}", tools=[WEATHER])
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "weather"


async def test_stock_vllm_takes_ids_in_kv_transfer_params(wire: Wire) -> None:
    answer = await wire.completion(path=CHAT, messages=[], kv_transfer_params={"prompt_token_ids": [1, 2, 3]})
    assert answer["prompt_token_ids"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (
            ids,
            "`kv_transfer_params['prompt_token_ids']` must be a non-empty list of non-negative integers. "
            "(parameter=kv_transfer_params.prompt_token_ids)",
        )
        for ids in ([], [-1], ["a"], [True], [1.5], "x")
    ]
    + [
        (
            [VOCABULARY],
            f"Token id {VOCABULARY} is out of vocabulary (parameter=kv_transfer_params.prompt_token_ids)",
        )
    ],
)
async def test_bad_ids_in_kv_transfer_params(ids: Any, message: str, wire: Wire) -> None:
    error = await wire.refusal(messages=[], kv_transfer_params={"prompt_token_ids": ids})
    assert error == bad_request(message, "kv_transfer_params.prompt_token_ids")


async def test_overlong_ids_in_kv_transfer_params_have_other_words(wire: Wire) -> None:
    error = await wire.refusal(messages=[], kv_transfer_params={"prompt_token_ids": [5] * (LIMIT + 1)})
    assert error == bad_request(f"Input length ({LIMIT + 1}) exceeds model's maximum context length ({LIMIT}).")
