"""The bridge, on renderings written by hand: what is cut, what is joined, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers_tito.stitching import (
    BoundedCache,
    BridgeNotFoundError,
    bridge_conversation,
    close_conversation,
    cut_bridge,
    cut_close,
    join,
)
from verifiers_tito.tokenization import Rendered

NONCE = "abc"
END, NEWLINE = 100, 10
USER = {"role": "user", "content": "hello"}
CALLING = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "call-1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}],
}


def rendered(*texts: str) -> Rendered:
    """Ids for the texts: END for the close, NEWLINE for a newline, else any number."""
    ids = {"<end>": END, "\n": NEWLINE}
    return Rendered([ids.get(text, 1000 + i) for i, text in enumerate(texts)], list(texts))


def test_the_close_is_what_follows_the_mark() -> None:
    conversation = close_conversation(NONCE)
    assert cut_close(rendered("x", conversation.mark, "<end>", "\n"), conversation) == [END, NEWLINE]


def test_a_template_that_closes_nothing_is_refused() -> None:
    conversation = close_conversation(NONCE)
    with pytest.raises(BridgeNotFoundError, match="writes nothing to close"):
        cut_close(rendered("x", conversation.mark), conversation)


def test_a_close_that_is_plain_text_is_refused_because_sampled_text_may_merge_with_it() -> None:
    conversation = close_conversation(NONCE)
    with pytest.raises(BridgeNotFoundError, match="which is no control token"):
        cut_close(rendered("x", conversation.mark, "\n", "user: "), conversation)


def test_the_bridge_begins_with_the_close_and_holds_all_after_it() -> None:
    conversation = bridge_conversation([USER], after={"role": "assistant", "content": "y"}, nonce=NONCE)
    ids = rendered("x", conversation.mark[:4], conversation.mark[4:], "<end>", "\n", "hello", "go")
    assert cut_bridge(ids, conversation, close=[END, NEWLINE]) == [END, NEWLINE, 1005, 1006]


def test_a_close_that_does_not_follow_at_once_is_refused() -> None:
    conversation = bridge_conversation([USER], after={"role": "assistant", "content": "y"}, nonce=NONCE)
    with pytest.raises(BridgeNotFoundError, match=r"do not hold the template's close \[100, 10\]"):
        cut_bridge(rendered(conversation.mark, "?", "<end>", "\n"), conversation, close=[END, NEWLINE])


def test_a_tokenizer_that_merges_the_mark_with_the_close_is_refused() -> None:
    conversation = bridge_conversation([USER], after={"role": "assistant", "content": "y"}, nonce=NONCE)
    with pytest.raises(BridgeNotFoundError, match="merges the end"):
        cut_bridge(rendered(conversation.mark + "<", "end>"), conversation, close=[END])


def test_a_template_that_drops_the_content_is_refused() -> None:
    conversation = bridge_conversation([USER], after={"role": "assistant", "content": "y"}, nonce=NONCE)
    with pytest.raises(BridgeNotFoundError, match="does not write the assistant's content"):
        cut_bridge(rendered("x", "<end>"), conversation, close=[END])


def test_for_tool_results_the_rest_of_the_call_is_passed_over() -> None:
    tail = [{"role": "tool", "tool_call_id": "call-1", "content": "3"}]
    conversation = bridge_conversation(tail, after=CALLING, nonce=NONCE)
    ids = rendered(conversation.mark, '{"x": "', conversation.mark, '"}', "</call>", "<end>", "\n", "3")
    assert cut_bridge(ids, conversation, close=[END, NEWLINE]) == [END, NEWLINE, 1007]


def test_of_the_model_s_words_only_plain_ids_and_names_reach_the_template() -> None:
    tail = [{"role": "tool", "tool_call_id": "call-1", "content": "3"}]
    call = {
        "id": "x<|im_end|>",
        "type": "function",
        "function": {"name": "<|im_start|>system", "arguments": "<|im_end|>"},
    }
    after = {"role": "assistant", "content": "<|im_end|>", "reasoning": "<|im_end|>", "tool_calls": [call]}
    assistant = bridge_conversation(tail, after=after, nonce=NONCE).messages[1]
    assert "<|" not in repr(assistant)
    kept = bridge_conversation(tail, after=CALLING, nonce=NONCE).messages[1]["tool_calls"][0]
    assert kept["id"] == "call-1"
    assert kept["function"]["name"] == "add"


def test_calls_are_left_out_where_no_tool_result_answers_them() -> None:
    conversation = bridge_conversation([USER], after=CALLING, nonce=NONCE)
    assert "tool_calls" not in conversation.messages[1]
    assert conversation.ends_turn


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        ([1, 2, END], [1, 2, END, NEWLINE, 7]),
        ([1, 2], [1, 2, END, NEWLINE, 7]),
        ([1, END, NEWLINE], [1, END, NEWLINE, 7]),
        ([1, NEWLINE], [1, NEWLINE, END, NEWLINE, 7]),
        ([END], [END, NEWLINE, 7]),
    ],
    ids=["stopped", "truncated", "stopped-and-newline", "ends-in-newline", "empty-turn"],
)
def test_only_the_unsampled_part_of_the_close_is_added(previous: list[int], expected: list[int]) -> None:
    """Failures 5 to 8: the newline after the end of turn, no stop token twice, no turn left open."""
    assert join(previous, [END, NEWLINE, 7], close=[END, NEWLINE]) == expected


@given(
    st.lists(st.integers(0, 5), min_size=1),
    st.lists(st.integers(0, 5), min_size=1, max_size=3),
    st.lists(st.integers(0, 5)),
)
def test_joining_keeps_every_earlier_id_and_closes_the_turn_once(
    previous: list[int], close: list[int], rest: list[int]
) -> None:
    joined = join(previous, close + rest, close=close)
    assert joined[: len(previous)] == previous
    assert joined[len(joined) - len(rest) :] == rest
    closed = joined[: len(joined) - len(rest)]
    assert closed[-len(close) :] == close
    assert len(closed) <= len(previous) + len(close)


def test_a_bounded_cache_forgets_what_was_not_used_for_longest() -> None:
    cache: BoundedCache[str, int] = BoundedCache(capacity=2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    with pytest.raises(ValueError, match="at least 1"):
        BoundedCache(capacity=0)
