"""Ids in, ids and log-probabilities out, over the wire of a fake vLLM."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

import verifiers_tito as vf
from tests.sampling.conftest import SamplingOn
from verifiers_tito.sampling import SamplingClient
from verifiers_tito.testing import Completion, FakeRequest, random_tokens
from verifiers_tito.types import ImageChunk, ModelInput, SamplingParams

PROMPT = ModelInput.from_ints([11, 22, 33])
ONE = SamplingParams(max_tokens=4)


def numbered(request: FakeRequest) -> Completion:
    """Each sample tells which one it is, and of which prompt."""
    return Completion(token_ids=(request.prompt_ids[0], 1000 + request.choice), finish="length")


async def test_each_sample_has_its_ids_log_probabilities_and_end(sampling_on: SamplingOn) -> None:
    async with sampling_on(random_tokens(shortest=4, longest=4)) as (_, client):
        response = await client.sample(PROMPT, 3, ONE)
    assert len({tuple(sequence.tokens) for sequence in response.sequences}) == 3
    for sequence in response.sequences:
        assert sequence.logprobs is not None
        assert len(sequence.logprobs) == len(sequence.tokens) == 4
        assert all(logprob < 0 for logprob in sequence.logprobs)
        assert sequence.stop_reason == "length"
    assert (response.prompt_logprobs, response.topk_prompt_logprobs) == (None, None)


async def test_samples_of_prompts_side_by_side_go_to_their_own_prompt(sampling_on: SamplingOn) -> None:
    """Failure 18."""
    async with sampling_on(numbered) as (_, client):
        futures = [client.sample(ModelInput.from_ints([number]), 3, ONE) for number in range(20)]
        responses = await asyncio.gather(*(future.result_async() for future in futures))
    sampled = [[sequence.tokens for sequence in response.sequences] for response in responses]
    assert sampled == [[[number, 1000], [number, 1001], [number, 1002]] for number in range(20)]


async def test_the_forms_for_threads_and_for_loops_give_the_same(sampling_on: SamplingOn) -> None:
    async with sampling_on(numbered) as (_, client):
        awaited = await client.sample_async(PROMPT, 2, ONE)
        waited_for = await asyncio.to_thread(lambda: client.sample(PROMPT, 2, ONE).result())
        assert awaited == waited_for
        assert await client.compute_logprobs_async(PROMPT) == await client.compute_logprobs(PROMPT)


async def test_greedy_samples_are_sampled_once(sampling_on: SamplingOn) -> None:
    async with sampling_on(random_tokens()) as (fake, client):
        response = await client.sample(PROMPT, 8, SamplingParams(max_tokens=4, temperature=0.0))
        assert [request.body["n"] for request in fake.posts] == [1]
    first, *others = response.sequences
    assert others == [first] * 7
    assert others[0].tokens is not first.tokens


async def test_the_log_probabilities_of_a_prompt_begin_with_none(sampling_on: SamplingOn) -> None:
    async with sampling_on(numbered) as (_, client):
        response = await client.sample(PROMPT, 2, ONE, include_prompt_logprobs=True, topk_prompt_logprobs=2)
        alone = await client.compute_logprobs(PROMPT)
        single = await client.compute_logprobs(ModelInput.from_ints([7]))
    assert response.prompt_logprobs == alone
    assert alone[0] is None
    assert all(logprob is not None and logprob < 0 for logprob in alone[1:])
    assert single == [None]
    assert response.topk_prompt_logprobs == [
        None,
        [(22, alone[1]), (23, alone[1] - 1)],
        [(33, alone[2]), (34, alone[2] - 1)],
    ]


async def test_the_slice_behind_a_prompt_is_what_was_sampled(sampling_on: SamplingOn) -> None:
    async with sampling_on(random_tokens(shortest=4, longest=4)) as (_, client):
        (sequence,) = (await client.sample(PROMPT, 1, ONE)).sequences
        everything = await client.compute_logprobs(ModelInput.from_ints([*PROMPT.to_ints(), *sequence.tokens]))
    assert everything[PROMPT.length :] == sequence.logprobs


async def test_a_prompt_that_fills_the_context_has_log_probabilities_too(sampling_on: SamplingOn) -> None:
    ids = list(range(64))

    def allowed(request: FakeRequest) -> Completion:
        (token_id,) = request.body["allowed_token_ids"]
        return Completion(token_ids=(token_id,), finish="length")

    async with sampling_on(allowed, max_model_len=64) as (fake, client):
        logprobs = await client.compute_logprobs(ModelInput.from_ints(ids))
        assert fake.posts[-1].body["prompt"] == ids[:-1]
    assert (len(logprobs), logprobs[0], None in logprobs[1:]) == (64, None, False)


@pytest.mark.parametrize(
    ("stop", "fields"),
    [
        (None, {}),
        ([], {"ignore_eos": True}),
        ("\n", {"stop": ["\n"]}),
        (["a", "b"], {"stop": ["a", "b"]}),
        ([5, 6], {"stop_token_ids": [5, 6]}),
    ],
)
async def test_stops_go_to_the_server_in_its_own_words(
    stop: Any, fields: dict[str, Any], sampling_on: SamplingOn
) -> None:
    async with sampling_on(numbered) as (fake, client):
        await client.sample(PROMPT, 1, SamplingParams(max_tokens=2, stop=stop))
        body = fake.posts[-1].body
    assert {name: body[name] for name in ("stop", "stop_token_ids", "ignore_eos") if name in body} == fields


async def test_a_stop_stays_in_the_ids(sampling_on: SamplingOn) -> None:
    async with sampling_on(lambda request: Completion(text="one\ntwo")) as (_, client):
        tokenizer = client.get_tokenizer()
        by_string = await client.sample(PROMPT, 1, SamplingParams(max_tokens=9, stop=["\n"]))
        by_end_token = await client.sample(PROMPT, 1, SamplingParams(max_tokens=9))
        by_control_string = await client.sample(PROMPT, 1, SamplingParams(max_tokens=9, stop=["<|im_end|>"]))
        never = await client.sample(PROMPT, 1, SamplingParams(max_tokens=9, stop=[]))
    texts = [tokenizer.decode(one.sequences[0].tokens) for one in (by_string, by_end_token, by_control_string)]
    assert texts == ["one\n", "one\ntwo<|im_end|>", "one\ntwo<|im_end|>"]
    assert by_string.sequences[0].stop_reason == "stop"
    assert (never.sequences[0].stop_reason, len(never.sequences[0].tokens)) == ("length", 9)


async def test_a_request_leaves_nothing_to_the_models_generation_config(sampling_on: SamplingOn) -> None:
    async with sampling_on(numbered) as (fake, client):
        await client.sample(PROMPT, 1, SamplingParams(max_tokens=2))
        body = fake.posts[-1].body
    neutral = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
    assert {name: body[name] for name in neutral} == neutral
    assert (body["presence_penalty"], body["frequency_penalty"], "seed" in body) == (0.0, 0.0, False)


async def test_without_max_tokens_a_completion_may_fill_the_context(sampling_on: SamplingOn) -> None:
    async with sampling_on(numbered, max_model_len=64) as (fake, client):
        await client.sample(PROMPT, 1, SamplingParams())
        assert fake.posts[-1].body["max_tokens"] == 61
        with pytest.raises(vf.OverlongPromptError, match="the prompt of 64 ids leaves no room in the 64"):
            await client.sample(ModelInput.from_ints([5] * 64), 1, SamplingParams())
        with pytest.raises(vf.OverlongPromptError, match="maximum context length is 64"):
            await client.sample(ModelInput.from_ints([5] * 65), 1, ONE)


@pytest.mark.parametrize(
    ("prompt", "count", "params", "message"),
    [
        (ModelInput.empty(), 1, ONE, "the prompt holds no ids"),
        (PROMPT, 0, ONE, "num_samples must be at least 1, got 0"),
        (PROMPT, 1, SamplingParams(max_tokens=0), "max_tokens must be at least 1, got 0"),
        (PROMPT, 1, SamplingParams(stop=["a", 5]), "all of one kind, got int, str"),  # type: ignore[list-item]
        (PROMPT, 1, SamplingParams(stop=""), "strings that are not empty"),
        (PROMPT, 1, SamplingParams(stop=["a"] * 5), "1 to 4 strings"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused_before_anything_is_sent(
    prompt: ModelInput, count: int, params: SamplingParams, message: str, sampling_on: SamplingOn
) -> None:
    async with sampling_on(numbered) as (fake, client):
        with pytest.raises(vf.ConfigError, match=message):
            client.sample(prompt, count, params)
        assert fake.posts == []


async def test_text_is_tokenized_as_the_models_tokenizer_has_it_without_special_tokens(sampling_on: SamplingOn) -> None:
    async with sampling_on(numbered) as (fake, client):
        text = "How many r's are in <|im_end|> strawberry?"
        ids = client.get_tokenizer().encode(text, add_special_tokens=False)
        await client.sample(ModelInput.from_str(text), 1, ONE)
        await client.sample(ModelInput.from_str(text).append_int(7), 1, ONE)
        logprobs = await client.compute_logprobs(ModelInput.from_str(text))
        asked = [request.body["prompt"] for request in fake.posts]
    assert asked == [ids, [*ids, 7], ids]
    assert len(logprobs) == len(ids)


def test_text_has_no_ids_and_no_length_before_it_is_sampled_from() -> None:
    for unknown in (lambda: ModelInput.from_str("a").to_ints(), lambda: ModelInput.from_str("a").length):
        with pytest.raises(ValueError, match=r"a TextChunk.*; give ModelInput\.from_ints\("):
            unknown()


async def test_an_image_is_refused_by_name_and_with_a_way_out(sampling_on: SamplingOn) -> None:
    seen = PROMPT.append(ImageChunk(data=b"", format="png"))
    async with sampling_on(numbered) as (_, client):
        with pytest.raises(vf.ConfigError, match=r"chunk 1 of 2 .* is an ImageChunk; .* send images as messages"):
            client.sample(seen, 1, ONE)


async def test_what_the_server_refuses_is_told_in_its_words(sampling_on: SamplingOn) -> None:
    async with sampling_on(numbered) as (_, client):
        with pytest.raises(vf.ModelError, match=r"top_p must be in \(0, 1\]"):
            await client.sample(PROMPT, 1, SamplingParams(max_tokens=1, top_p=0.0))
        with pytest.raises(vf.ModelError, match="out of vocabulary"):
            await client.sample(ModelInput.from_ints([999_999]), 1, ONE)


async def test_the_tokenizer_comes_from_where_the_server_says(sampling_on: SamplingOn, tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415  takes a second: not while tests are collected

    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"one": 0, "two": 1})))
    words.save_pretrained(str(tmp_path))
    async with sampling_on(numbered) as (_, client):
        there = SamplingClient(client._connection, replace(client.model, root=str(tmp_path)))
        nowhere = SamplingClient(client._connection, replace(client.model, root=None))
        elsewhere = SamplingClient(client._connection, replace(client.model, root="/on/the/server"))
    assert there.get_tokenizer().decode([0, 1]) == "one two"
    for unknown in (nowhere, elsewhere):
        with pytest.raises(vf.TokenizerUnavailableError, match="tokenizer"):
            unknown.get_tokenizer()
    assert client.get_base_model() == "fake"
