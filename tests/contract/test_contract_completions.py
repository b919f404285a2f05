"""Completions: the answer's shape, ends of a generation, log-probabilities, usage, the prefix cache."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.contract.contract_wire import CHAT_TOKENS, HI, NO_THINKING, Wire

END_IDS = {151643, 151645}


async def test_an_answer_has_vllms_keys(wire: Wire) -> None:
    answer = await wire.completion(logprobs=True)
    assert set(answer) == {
        *("id", "object", "created", "model", "choices", "service_tier", "system_fingerprint", "usage"),
        *("prompt_logprobs", "prompt_token_ids", "prompt_text", "kv_transfer_params", "ec_transfer_params"),
        "metrics",
    }
    assert answer["object"] == "chat.completion"
    assert answer["model"] == wire.model
    assert answer["id"].startswith("chatcmpl-")
    (choice,) = answer["choices"]
    assert set(choice) == {
        *("index", "message", "logprobs", "finish_reason", "stop_reason", "token_ids", "routed_experts")
    }
    assert set(choice["message"]) == {
        *("role", "content", "refusal", "annotations", "audio", "function_call", "reasoning")
    }
    assert choice["message"]["role"] == "assistant"


async def test_max_tokens_cuts_the_answer(wire: Wire) -> None:
    answer = await wire.completion(max_tokens=3)
    (choice,) = answer["choices"]
    assert len(choice["token_ids"]) == 3
    assert (choice["finish_reason"], choice["stop_reason"]) == ("length", None)
    assert answer["usage"]["completion_tokens"] == 3
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + 3


async def test_max_completion_tokens_wins_over_max_tokens(wire: Wire) -> None:
    answer = await wire.completion(max_tokens=4, max_completion_tokens=2)
    assert len(answer["choices"][0]["token_ids"]) == 2


async def test_ids_are_told_only_when_asked_for(wire: Wire) -> None:
    answer = await wire.completion(return_token_ids=False)
    assert answer["prompt_token_ids"] is None
    assert answer["choices"][0]["token_ids"] is None
    assert answer["choices"][0]["logprobs"] is None


async def test_a_missing_model_name_means_the_served_one(wire: Wire) -> None:
    assert (await wire.completion(model=None))["model"] == wire.model


async def test_an_answer_that_ends_its_turn_has_the_end_token_in_the_ids_and_not_in_the_text(
    wire: Wire, tokenizer: Any
) -> None:
    answer = await wire.forced("Hello, wörld 🫠!")
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == "Hello, wörld 🫠!"
    assert choice["finish_reason"] == "stop"
    *ids, end = choice["token_ids"]
    assert tokenizer.decode(ids) == "Hello, wörld 🫠!"
    assert end in END_IDS
    assert choice["stop_reason"] == (None if end == tokenizer.eos_token_id else end)
    assert answer["usage"]["completion_tokens"] == len(ids) + 1


async def test_white_space_at_the_borders_survives(wire: Wire) -> None:
    answer = await wire.forced("  hi \n")
    assert answer["choices"][0]["message"]["content"] == "  hi \n"


async def test_control_tokens_are_shown_where_a_reasoning_parser_runs(wire: Wire) -> None:
    answer = await wire.forced("a<|im_end|>b")
    assert answer["choices"][0]["message"]["content"] == "a<|im_end|>b"


@pytest.mark.parametrize("stop", ["lo wo", ["nothing", "lo wo"]])
async def test_a_stop_string_cuts_the_text_and_not_the_ids(stop: Any, wire: Wire, tokenizer: Any) -> None:
    answer = await wire.forced("hello world one two", stop=stop)
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == "hel"
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "lo wo")
    sampled = tokenizer.decode(choice["token_ids"])
    assert sampled.startswith("hello wo")
    assert "hello world one two".startswith(sampled)


async def test_of_two_stop_strings_the_one_that_ends_first_counts(wire: Wire) -> None:
    answer = await wire.forced("hello world one two", stop=["one", "wor"])
    assert answer["choices"][0]["stop_reason"] == "wor"
    assert answer["choices"][0]["message"]["content"] == "hello "


async def test_a_stop_string_can_be_kept(wire: Wire) -> None:
    answer = await wire.forced("hello world", stop=["lo w"], include_stop_str_in_output=True)
    assert answer["choices"][0]["message"]["content"] == "hello w"


async def test_a_stop_string_that_never_comes_changes_nothing(wire: Wire) -> None:
    answer = await wire.forced("hello world", stop=["xyz"])
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == "hello world"
    assert choice["finish_reason"] == "stop"
    assert choice["stop_reason"] != "xyz"


async def test_a_stop_token_is_named_and_its_text_dropped(wire: Wire) -> None:
    first = (await wire.completion(max_tokens=1))["choices"][0]["token_ids"][0]
    every_id = list(range(151_936))
    answer = await wire.completion(stop_token_ids=every_id, **NO_THINKING)
    (choice,) = answer["choices"]
    (sampled,) = choice["token_ids"]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", sampled)
    assert choice["message"]["content"] == ""
    assert first in every_id


async def test_ignore_eos_goes_on_to_max_tokens(wire: Wire) -> None:
    answer = await wire.completion(ignore_eos=True, max_tokens=50)
    assert len(answer["choices"][0]["token_ids"]) == 50
    assert answer["choices"][0]["finish_reason"] == "length"


async def test_n_choices_share_one_prompt(wire: Wire) -> None:
    answer = await wire.completion(n=3, max_tokens=5)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert len({tuple(choice["token_ids"]) for choice in answer["choices"]}) == 3
    usage = answer["usage"]
    assert usage["completion_tokens"] == 15
    assert usage["total_tokens"] == usage["prompt_tokens"] + 15


async def test_logprobs_stand_one_to_one_with_the_ids(wire: Wire) -> None:
    answer = await wire.completion(logprobs=True, max_tokens=6)
    (choice,) = answer["choices"]
    assert set(choice["logprobs"]) == {"content"}
    entries = choice["logprobs"]["content"]
    assert len(entries) == len(choice["token_ids"]) == 6
    for entry in entries:
        assert set(entry) == {"token", "logprob", "bytes", "top_logprobs"}
        assert entry["top_logprobs"] == []
        assert -30 < entry["logprob"] < 0
        assert bytes(entry["bytes"]).decode() == entry["token"]


async def test_logprob_tokens_add_up_to_the_text_also_where_a_character_spans_tokens(wire: Wire) -> None:
    (choice,) = (await wire.forced("a🫠é", logprobs=True))["choices"]
    *entries, end = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == "a🫠é"
    assert "" in [entry["token"] for entry in entries]
    assert end["token"] in ("<|im_end|>", "<|endoftext|>")


async def test_logprob_tokens_can_be_ids(wire: Wire) -> None:
    (choice,) = (await wire.completion(logprobs=True, return_tokens_as_token_ids=True))["choices"]
    named = [entry["token"] for entry in choice["logprobs"]["content"]]
    assert named == [f"token_id:{token_id}" for token_id in choice["token_ids"]]


async def test_top_logprobs_begin_with_the_sampled_token(wire: Wire) -> None:
    (choice,) = (await wire.completion(logprobs=True, top_logprobs=3, max_tokens=2))["choices"]
    for entry in choice["logprobs"]["content"]:
        assert len(entry["top_logprobs"]) == 3
        assert set(entry["top_logprobs"][0]) == {"token", "logprob", "bytes"}
        sampled = {key: entry[key] for key in ("token", "logprob", "bytes")}
        assert sampled == entry["top_logprobs"][0]


async def test_usage_tells_about_cache_and_reasoning(wire: Wire) -> None:
    usage = (await wire.completion(**NO_THINKING))["usage"]
    assert set(usage["prompt_tokens_details"]) == {*("cached_tokens", "created_cache_tokens", "multimodal_tokens")}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 0}


async def test_cached_tokens_grow_with_a_history_sent_as_ids(wire: Wire) -> None:
    prompt = await wire.tokenize(messages=[{"role": "user", "content": uuid.uuid4().hex + " word" * 400}])
    cached = []
    for _ in range(3):
        answer = await wire.completion(path=CHAT_TOKENS, tokens=prompt, max_tokens=150, ignore_eos=True)
        details = answer["usage"]["prompt_tokens_details"]
        cached.append(details["cached_tokens"])
        assert details["cached_tokens"] + details["created_cache_tokens"] <= len(prompt)
        prompt = prompt + answer["choices"][0]["token_ids"] + [198]
    assert cached[0] == 0
    assert cached[0] < cached[1] < cached[2] < len(prompt)
    assert cached[1] >= 256


async def test_another_beginning_finds_nothing_in_the_cache(wire: Wire) -> None:
    words = " word" * 400
    counts = []
    for _ in range(2):
        messages = [{"role": "user", "content": uuid.uuid4().hex + words}]
        answer = await wire.completion(messages=messages, max_tokens=1)
        counts.append(answer["usage"]["prompt_tokens_details"]["cached_tokens"])
    assert counts == [0, 0]


async def test_an_unknown_field_is_ignored(wire: Wire) -> None:
    assert (await wire.completion(zzz=1, messages=[{**HI, "zzz": 2}]))["choices"]
