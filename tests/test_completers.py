"""Completers over a fake vLLM and the model's own template: ids and messages as they were sampled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from tests.conftest import FakeMaker
from verifiers_tito.completers import (
    MessageCompleter,
    TokenCompleter,
    TokensWithLogprobs,
    VLLMMessageCompleter,
    VLLMTokenCompleter,
    judge_reward,
)
from verifiers_tito.renderers import Renderer, get_renderer, get_text_content
from verifiers_tito.sampling import SamplingClient, ServiceClient
from verifiers_tito.testing import FakeTokenizer, FakeVLLM, Script, replies
from verifiers_tito.types import ModelInput

PROMPT = ModelInput.from_ints([1, 2, 3])
QUESTION = [{"role": "user", "content": "What is 7 * 8?"}]
On = Callable[[Script], AbstractAsyncContextManager[tuple[FakeVLLM, SamplingClient]]]


@pytest.fixture
def on(qwen3_fake: FakeMaker) -> On:
    @asynccontextmanager
    async def make(script: Script) -> AsyncIterator[tuple[FakeVLLM, SamplingClient]]:
        async with qwen3_fake(script) as fake:
            with ServiceClient(base_url=fake.base_url, max_retries=0) as service:
                yield fake, await service.create_sampling_client_async()

    return make


@pytest.fixture(scope="module")
def renderer(qwen3_tokenizer: FakeTokenizer) -> Renderer:
    return get_renderer(qwen3_tokenizer.transformers_tokenizer)


async def test_tokens_come_with_log_probabilities_and_a_reason(on: On, renderer: Renderer) -> None:
    async with on(replies(["56."])) as (_, client):
        completer: TokenCompleter = VLLMTokenCompleter(client, max_tokens=128, temperature=0.7)
        result = await completer(renderer.build_generation_prompt(QUESTION), stop=renderer.get_stop_sequences())
    assert renderer.tokenizer.decode(result.tokens) == "56.<|im_end|>"
    assert len(result.logprobs) == len(result.tokens)
    assert result.stop_reason == "stop"


@pytest.mark.parametrize(
    ("settings", "per_call", "sent"),
    [
        ({"max_tokens": 10}, None, 10),
        ({"max_tokens": 10}, 4, 4),
        ({"max_tokens": 10}, 40, 10),
        ({"max_tokens": 10, "context_window": 8}, None, 5),
        ({"max_tokens": 10, "context_window": 8}, 2, 2),
    ],
)
async def test_the_smallest_of_all_limits_holds(
    settings: dict[str, Any], per_call: int | None, sent: int, on: On
) -> None:
    async with on(replies(["a"])) as (fake, client):
        await VLLMTokenCompleter(client, **settings)(PROMPT, ["\n"], max_tokens=per_call)
        body = fake.posts[-1].body
    assert (body["max_tokens"], body["stop"]) == (sent, ["\n"])


async def test_a_prompt_that_fills_the_window_names_both_numbers(on: On) -> None:
    async with on(replies([])) as (_, client):
        with pytest.raises(ValueError, match=r"a prompt of 3 tokens leaves no room .* context window of 3"):
            await VLLMTokenCompleter(client, 10, context_window=3)(PROMPT, [])


async def test_a_prompt_in_text_is_sampled_from_but_has_no_length_to_hold_against_a_window(on: On) -> None:
    prompt = ModelInput.from_str("Hi.")
    async with on(replies(["a"])) as (fake, client):
        with pytest.raises(ValueError, match=r"context_window=9 needs .* a TextChunk .* give ModelInput\.from_ints\("):
            await VLLMTokenCompleter(client, 10, context_window=9)(prompt, [])
        assert fake.posts == []
        await VLLMTokenCompleter(client, 10)(prompt, [])
        assert fake.posts[-1].body["prompt"] == client.get_tokenizer().encode("Hi.", add_special_tokens=False)


def test_log_probabilities_that_are_not_there_are_an_error() -> None:
    with pytest.raises(ValueError, match="told no log-probabilities of these 2 tokens"):
        _ = TokensWithLogprobs([1, 2], None).logprobs


async def test_a_conversation_gets_its_next_message(on: On, renderer: Renderer) -> None:
    turns = [*QUESTION, {"role": "assistant", "content": "56."}, {"role": "user", "content": "And 7 * 9?"}]
    async with on(replies(["63."])) as (fake, client):
        completer: MessageCompleter = VLLMMessageCompleter(client, renderer, max_tokens=256)
        message = await completer(turns)
        body = fake.posts[-1].body
    assert (message["role"], get_text_content(message)) == ("assistant", "63.")
    assert body["prompt"] == renderer.build_generation_prompt(turns).to_ints()
    assert body["stop_token_ids"] == renderer.get_stop_sequences()


async def test_tool_calls_are_kept(on: On, renderer: Renderer) -> None:
    call = '<tool_call>\n{"name": "multiply", "arguments": {"a": 7, "b": 8}}\n</tool_call>'
    async with on(replies([call])) as (_, client):
        message = await VLLMMessageCompleter(client, renderer, max_tokens=256)(QUESTION)
    (parsed,) = message["tool_calls"]
    assert "multiply" in str(parsed)


async def test_a_stop_condition_takes_the_place_of_the_renderers(on: On, renderer: Renderer) -> None:
    async with on(replies(["one\ntwo"])) as (fake, client):
        await VLLMMessageCompleter(client, renderer, max_tokens=9, stop_condition=["\n"])(QUESTION)
        body = fake.posts[-1].body
    assert (body["stop"], "stop_token_ids" in body) == (["\n"], False)


@pytest.mark.parametrize(
    ("reply", "reward"),
    [("4", 0.8), ("Score: 5/5", 1.0), ("I give it a 3.", 0.6), ("Excellent!", 0.0), ("0", 0.0)],
)
async def test_a_judge_s_score_is_a_reward(reply: str, reward: float, on: On, renderer: Renderer) -> None:
    async with on(replies([reply])) as (fake, client):
        judge = VLLMMessageCompleter(client, renderer, max_tokens=16)
        assert await judge_reward(judge, "Why {x}?", "Because {y}.") == pytest.approx(reward)
        asked = renderer.tokenizer.decode(fake.posts[-1].body["prompt"])
    assert "Rate this answer 1-5.\nQ: Why {x}?\nA: Because {y}.\nScore:" in asked


async def test_a_completer_can_be_run_from_a_script_call_by_call(on: On, renderer: Renderer) -> None:
    async with on(replies(["one", "two"])) as (_, client):
        completer = VLLMMessageCompleter(client, renderer, max_tokens=16)
        texts = [await asyncio.to_thread(lambda: get_text_content(asyncio.run(completer(QUESTION)))) for _ in range(2)]
    assert texts == ["one", "two"]
