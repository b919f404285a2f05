"""`prompt_echo` on our route: the prompt's ids in an answer, or a digest of what the engine got."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from tests.contract.contract_wire import CHAT, CHAT_TOKENS, NO_THINKING, WEATHER, Wire, bad_request
from verifiers_tito.wire.answers import ChatAnswer
from verifiers_tito.wire.prompt_digest import PromptDigest
from verifiers_tito.wire.requests import tokens_body

VOCABULARY = 151_936


async def _digested(wire: Wire, tokens: list[int], **fields: Any) -> dict[str, Any]:
    return await wire.completion(path=CHAT_TOKENS, tokens=tokens, prompt_echo="digest", **fields)


def _digest(tokens: list[int]) -> dict[str, Any]:
    return msgspec.to_builtins(PromptDigest().extend(tokens).answer())


async def test_a_digest_stands_where_the_ids_would(wire: Wire) -> None:
    tokens = random.Random(2).sample(range(VOCABULARY), 300)
    answer = await _digested(wire, tokens, logprobs=True)
    assert answer["prompt_token_ids"] is None
    assert answer["prompt_digest"] == _digest(tokens)
    (choice,) = answer["choices"]
    assert len(choice["logprobs"]["content"]) == len(choice["token_ids"]) == 4


async def test_but_for_the_digest_an_answer_has_the_same_keys(wire: Wire) -> None:
    with_ids = await wire.completion(path=CHAT_TOKENS, tokens=[1, 2, 3])
    with_digest = await _digested(wire, [1, 2, 3])
    assert set(with_digest) == {*with_ids, "prompt_digest"}
    assert set(with_digest["choices"][0]) == set(with_ids["choices"][0])


@pytest.mark.parametrize("echo", [{}, {"prompt_echo": "ids"}, {"prompt_echo": None}])
async def test_the_ids_are_the_default(echo: dict[str, Any], wire: Wire) -> None:
    answer = await wire.completion(path=CHAT_TOKENS, tokens=[1, 2, 3], **echo)
    assert answer["prompt_token_ids"] == [1, 2, 3]
    assert "prompt_digest" not in answer


async def test_a_digest_that_was_asked_for_comes_also_without_return_token_ids(wire: Wire) -> None:
    answer = await _digested(wire, [1, 2, 3], return_token_ids=False)
    assert (answer["prompt_token_ids"], answer["prompt_digest"]) == (None, _digest([1, 2, 3]))
    assert answer["choices"][0]["token_ids"] is None


async def test_the_size_of_an_answer_does_not_depend_on_the_history(wire: Wire) -> None:
    sizes = []
    for count in (10, 4000):
        body = {"tokens": [VOCABULARY - 1] * count, "max_tokens": 2, "return_token_ids": True, "prompt_echo": "digest"}
        response = await wire.post(CHAT_TOKENS, body)
        assert response.status_code == 200
        sizes.append(len(response.content))
    assert abs(sizes[1] - sizes[0]) < 1000


async def test_the_digest_of_a_turn_is_the_last_ones_extended_by_what_came_since(wire: Wire) -> None:
    prompt = await wire.tokenize(messages=[{"role": "user", "content": "Hi"}], **NO_THINKING)
    digest = PromptDigest().extend(prompt)
    for _ in range(3):
        answer = await _digested(wire, prompt, max_tokens=20)
        assert answer["prompt_digest"] == msgspec.to_builtins(digest.answer())
        since = [*answer["choices"][0]["token_ids"], 198]
        prompt, digest = prompt + since, digest.extend(since)


async def test_several_choices_have_one_digest(wire: Wire) -> None:
    answer = await _digested(wire, [5, 6], n=2)
    assert answer["prompt_digest"] == _digest([5, 6])
    assert len(answer["choices"]) == 2


async def test_tool_calls_are_parsed_beside_a_digest(wire: Wire) -> None:
    text = '<tool_call>{"name": "weather", "arguments": {}}</tool_call>'
    answer = await wire.forced_thinking(f"a</think>{text}", tools=[WEATHER], prompt_echo="digest")
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert answer["prompt_digest"]["count"] == answer["usage"]["prompt_tokens"]


async def test_a_body_and_an_answer_of_the_shared_wire_fit_the_server(wire: Wire) -> None:
    chat = {"model": wire.model, "max_tokens": 2, "return_token_ids": True}
    body = msgspec.json.encode(tokens_body(chat, msgspec.Raw(b"[1,2,3]"), prompt_echo="digest"))
    response = await wire.client.post(CHAT_TOKENS, content=body, headers={"content-type": "application/json"})
    answer = msgspec.json.decode(response.content, type=ChatAnswer)
    assert answer.prompt_digest == PromptDigest().extend([1, 2, 3]).answer()


@pytest.mark.parametrize("echo", ["both", "", "IDS", 3, True, ["digest"], {"digest": True}])
async def test_another_echo_is_refused_by_name(echo: Any, wire: Wire) -> None:
    error = await wire.refusal(path=CHAT_TOKENS, tokens=[1], prompt_echo=echo)
    assert error == bad_request(f'prompt_echo must be "ids" or "digest", got {echo!r}', "prompt_echo")


async def test_a_stream_has_no_digest(wire: Wire) -> None:
    error = await wire.refusal(path=CHAT_TOKENS, tokens=[1], prompt_echo="digest", stream=True)
    message = 'prompt_echo "digest" cannot be streamed: ask for "ids", or leave out stream'
    assert error == bad_request(message, "prompt_echo")


async def test_a_stream_that_asks_for_the_ids_gets_them(wire: Wire) -> None:
    first, *_ = await wire.events(path=CHAT_TOKENS, tokens=[1, 2], prompt_echo="ids")
    assert first["prompt_token_ids"] == [1, 2]


async def test_bad_ids_are_refused_whatever_the_echo(wire: Wire) -> None:
    error = await wire.refusal(path=CHAT_TOKENS, tokens=[1, -7], prompt_echo="digest")
    assert error == bad_request("tokens[1] is negative: -7", "tokens")


async def test_the_chat_route_does_not_know_the_field(wire: Wire) -> None:
    answer = await wire.completion(path=CHAT, prompt_echo="digest")
    assert answer["prompt_token_ids"]
    assert "prompt_digest" not in answer
