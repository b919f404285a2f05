"""Streams: the sequence of chunks and what they add up to."""

from __future__ import annotations

from typing import Any

from tests.contract.contract_wire import CHAT_TOKENS, NO_THINKING, WEATHER, Wire, bad_request

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bonn"}}\n</tool_call>'


def _forced(text: str, **fields: Any) -> dict[str, Any]:
    return {**NO_THINKING, "structured_outputs": {"choice": [text]}, "max_tokens": 200, **fields}


def _joined(chunks: list[dict[str, Any]], part: str) -> str:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get(part) or "" for delta in deltas)


async def test_a_stream_begins_with_the_role_and_the_prompts_ids(wire: Wire) -> None:
    first, *others = await wire.events()
    assert set(first) == {*("id", "object", "created", "model", "choices", "prompt_token_ids", "prompt_text")}
    assert first["object"] == "chat.completion.chunk"
    assert first["choices"] == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }
    ]
    assert first["prompt_token_ids"] == (await wire.completion())["prompt_token_ids"]
    assert all("prompt_token_ids" not in chunk for chunk in others)
    assert {chunk["id"] for chunk in others} == {first["id"]}


async def test_chunks_add_up_to_text_ids_and_logprobs(wire: Wire, tokenizer: Any) -> None:
    _, *chunks = await wire.events(**_forced("Hello, wörld 🫠!", logprobs=True))
    choices = [chunk["choices"][0] for chunk in chunks]
    ids = [token_id for choice in choices for token_id in choice["token_ids"]]
    logprobs = [entry for choice in choices for entry in choice["logprobs"]["content"]]
    assert _joined(chunks, "content") == "Hello, wörld 🫠!"
    assert tokenizer.decode(ids[:-1]) == "Hello, wörld 🫠!"
    assert len(logprobs) == len(ids)
    assert all(len(choice["token_ids"]) == len(choice["logprobs"]["content"]) for choice in choices)


async def test_only_the_last_chunk_tells_the_end(wire: Wire) -> None:
    _, *chunks, last = await wire.events(max_tokens=3)
    (choice,) = last["choices"]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("length", None)
    assert isinstance(last["system_fingerprint"], str)
    for chunk in chunks:
        assert chunk["choices"][0]["finish_reason"] is None
        assert "stop_reason" not in chunk["choices"][0]
        assert "system_fingerprint" not in chunk


async def test_without_ids_asked_for_there_are_none(wire: Wire) -> None:
    first, *others = await wire.events(return_token_ids=False, **NO_THINKING)
    assert first["prompt_token_ids"] is None
    assert all(chunk["choices"][0]["token_ids"] is None for chunk in others)


async def test_usage_comes_last_and_only_when_asked_for(wire: Wire) -> None:
    *chunks, last = await wire.events(stream_options={"include_usage": True}, max_tokens=3)
    assert last["choices"] == []
    usage = last["usage"]
    assert usage["completion_tokens"] == 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + 3
    assert set(usage["prompt_tokens_details"]) == {"cached_tokens", "created_cache_tokens"}
    assert list(usage["completion_tokens_details"]) == ["reasoning_tokens"]
    assert all("usage" not in chunk and "system_fingerprint" not in chunk for chunk in chunks)


async def test_usage_can_come_with_every_chunk(wire: Wire) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = await wire.events(stream_options=options, max_tokens=2, **NO_THINKING)
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts in ([0, 1, 2, 2], [0, 2, 2])  # a busy vLLM puts several tokens into a chunk
    assert all("prompt_tokens_details" not in chunk["usage"] for chunk in chunks[:-1])


async def test_two_choices_share_a_stream(wire: Wire) -> None:
    chunks = await wire.events(n=2, max_tokens=3, **NO_THINKING)
    assert [chunk["choices"][0]["index"] for chunk in chunks[:2]] == [0, 1]
    for index in (0, 1):
        mine = [c for chunk in chunks[2:] for c in chunk["choices"] if c["index"] == index]
        assert sum(len(choice["token_ids"]) for choice in mine) == 3
        assert mine[-1]["finish_reason"] == "length"


async def test_a_stop_string_is_never_streamed(wire: Wire, tokenizer: Any) -> None:
    _, *chunks = await wire.events(**_forced("hello world one", stop=["lo w"]))
    ids = [token_id for chunk in chunks for token_id in chunk["choices"][0]["token_ids"]]
    assert _joined(chunks, "content") == "hel"
    assert tokenizer.decode(ids).startswith("hello w")
    (choice,) = chunks[-1]["choices"]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "lo w")


async def test_reasoning_is_streamed_as_such(wire: Wire) -> None:
    _, *chunks = await wire.events(max_tokens=4)
    assert _joined(chunks, "reasoning")
    assert _joined(chunks, "content") == ""


async def test_after_a_prompt_that_closed_its_thinking_nothing_is_parsed(wire: Wire) -> None:
    tokens = await wire.tokenize(messages=[{"role": "user", "content": "Hi"}], **NO_THINKING)
    forced = {"structured_outputs": {"choice": ["thought</think>answer"]}, "max_tokens": 100}
    _, *chunks = await wire.events(path=CHAT_TOKENS, tokens=tokens, **forced)
    assert _joined(chunks, "content") == "thought</think>answer"
    assert _joined(chunks, "reasoning") == ""


async def test_a_tool_call_begins_with_its_name_and_its_arguments_follow(wire: Wire) -> None:
    _, *chunks = await wire.events(**_forced("ok\n" + CALL, tools=[WEATHER], return_token_ids=False))
    calls = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls") or []]
    first, *others = calls
    assert set(first) == {"id", "type", "index", "function"}
    assert first["id"].startswith("chatcmpl-tool-")
    assert (first["index"], first["function"]["name"]) == (0, "weather")
    assert all(set(call) == {"index", "function"} for call in others)
    assert "".join(call["function"].get("arguments", "") for call in calls) == '{"city": "Bonn"}'
    assert _joined(chunks, "content") == "ok\n"
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_refusal_is_no_stream(wire: Wire) -> None:
    assert await wire.refusal(stream=True, max_tokens=0) == bad_request(
        "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)", "max_tokens"
    )


async def test_stream_options_need_a_stream(wire: Wire) -> None:
    assert await wire.refusal(stream_options={"include_usage": True}) == bad_request(
        "Stream options can only be defined when `stream=True`. (parameter=stream_options)",
        "stream_options",
    )
