"""The bridge, on renderings written by hand: what is cut, what is joined, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stitching.pieces import Pieces, ids
from verifiers_tito.stitching import (
    BoundedCache,
    Bridge,
    BridgeNotFoundError,
    Fallback,
    Stitched,
    TemplateBook,
    TurnClose,
    continuation,
    cut_bridge,
)
from verifiers_tito.types import FallbackReason

MARK = "MARK"
END, NEWLINE, RETURN, BLANK, USER, TOOL, WORD = 100, 10, 101, 11, 201, 202, 7
PLAIN = TurnClose(ids=ids("<end>", "\n"), ended_by=frozenset(ids("<end>")), start="<end>")
CALL = TurnClose(ids=ids("<call>"), ended_by=frozenset(ids("<call>")), start="<call>", call_end='"}')


def bridge(close: list[int], *rest: int, ended_by: set[int], is_opener: bool = False, blanks: int = 0) -> Bridge:
    turn_close = TurnClose(ids=close, ended_by=frozenset(ended_by), start=None, is_opener=is_opener)
    return Bridge(ids=[*close, *rest], close_length=len(close), close=turn_close, blanks=blanks)


def join(previous: list[int], bridged: Bridge, **how: Any) -> list[int]:
    return previous + continuation(previous, bridged, **how)


def test_the_bridge_begins_with_the_close_and_holds_all_after_it() -> None:
    cut = cut_bridge(Pieces("x", MARK, "<end>", "\n", "hello", "go", neutralized=3), MARK, [PLAIN])
    assert cut == Bridge(ids=ids("<end>", "\n", "hello", "go"), close_length=2, close=PLAIN, neutralized=3)


def test_a_close_that_is_shorter_here_is_not_taken_for_longer() -> None:
    cut = cut_bridge(Pieces(MARK, "<end>", "hello"), MARK, [PLAIN])
    assert cut.ids == ids("<end>", "hello")
    assert cut.close_length == 1


def test_the_closes_are_tried_in_order() -> None:
    called = cut_bridge(Pieces(MARK, '"}', "<call>", "go"), MARK, [CALL, PLAIN])
    assert (called.close, called.ids) == (CALL, ids("<call>", "go"))
    plain = cut_bridge(Pieces(MARK, "<end>", "\n", "go"), MARK, [CALL, PLAIN])
    assert (plain.close, plain.ids) == (PLAIN, ids("<end>", "\n", "go"))


def test_where_no_close_is_found_the_last_one_tried_says_what_was_seen() -> None:
    with pytest.raises(BridgeNotFoundError, match=r"followed by '\?<end>', not by '<end>'"):
        cut_bridge(Pieces(MARK, "?", "<end>"), MARK, [CALL, PLAIN])


def test_without_a_known_close_nothing_is_guessed() -> None:
    with pytest.raises(BridgeNotFoundError, match="not known"):
        cut_bridge(Pieces(MARK, "<end>"), MARK, [])


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        ([1, 2, END], [1, 2, END, NEWLINE, WORD]),
        ([1, 2], [1, 2, END, NEWLINE, WORD]),
        ([1, END, NEWLINE], [1, END, NEWLINE, WORD]),
        ([1, NEWLINE], [1, NEWLINE, END, NEWLINE, WORD]),
        ([END], [END, NEWLINE, WORD]),
        ([1, END, 2], [1, END, 2, END, NEWLINE, WORD]),
        ([], [END, NEWLINE, WORD]),
    ],
    ids=["stopped", "cut short", "stopped, and a newline", "ends in a newline", "empty", "end inside", "no ids"],
)
def test_only_the_unsampled_part_of_the_close_is_added(previous: list[int], expected: list[int]) -> None:
    assert join(previous, bridge([END, NEWLINE], WORD, ended_by={END})) == expected


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        ([1, RETURN, END], [1, RETURN, END, WORD]),
        ([1, RETURN], [1, RETURN, END, WORD]),
        ([1, END], [1, END, WORD]),
        ([1], [1, RETURN, END, WORD]),
    ],
    ids=["both", "the first", "only the second", "neither"],
)
def test_a_close_of_two_tokens_is_completed(previous: list[int], expected: list[int]) -> None:
    assert join(previous, bridge([RETURN, END], WORD, ended_by={RETURN, END})) == expected


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        ([1, END], [1, END, WORD]),
        ([1, BLANK, END], [1, BLANK, END, WORD]),
        ([1, BLANK], [1, BLANK, END, WORD]),
        ([1], [1, BLANK, END, WORD]),
    ],
    ids=["without the blank", "with it", "blank sampled, cut short", "cut short"],
)
def test_a_blank_before_the_close_is_not_put_behind_a_turn_that_ended(previous: list[int], expected: list[int]) -> None:
    assert join(previous, bridge([BLANK, END], WORD, ended_by={END}, blanks=1)) == expected


def test_of_three_closing_tokens_those_behind_the_sampled_one_are_added() -> None:
    closing = bridge([RETURN, BLANK, END], WORD, ended_by={RETURN, BLANK, END})
    assert join([1, BLANK], closing, ended=True) == [1, BLANK, END, WORD]


def test_a_token_from_inside_a_close_does_not_close_a_turn_that_was_cut_short() -> None:
    closing = bridge([RETURN, BLANK, END], WORD, ended_by={RETURN, BLANK, END})
    assert join([1, BLANK], closing) == [1, BLANK, RETURN, BLANK, END, WORD]


def test_a_turn_that_the_model_ended_otherwise_gets_no_second_end() -> None:
    usual = bridge([END, NEWLINE], WORD, ended_by={END, RETURN})
    assert join([1, RETURN], usual) == [1, RETURN, NEWLINE, WORD]
    unknown_end = bridge([END, NEWLINE], WORD, ended_by={END})
    assert join([1, RETURN], unknown_end) == [1, RETURN, END, NEWLINE, WORD]
    assert join([1, RETURN], unknown_end, ended=True) == [1, RETURN, NEWLINE, WORD]


def test_what_the_server_says_about_the_end_changes_nothing_where_the_close_was_sampled() -> None:
    usual = bridge([END, NEWLINE], WORD, ended_by={END})
    for previous in ([1, END], [1, END, NEWLINE]):
        assert join(previous, usual, ended=True) == join(previous, usual)


def test_a_sampled_opener_is_the_next_message_s_own() -> None:
    opened = bridge([USER], WORD, ended_by={USER}, is_opener=True)
    assert join([1, USER], opened, openers=frozenset({USER, TOOL})) == [1, USER, WORD]
    assert join([1], opened, openers=frozenset({USER, TOOL})) == [1, USER, WORD]


def test_an_end_of_sequence_is_no_opener_and_is_followed_by_one() -> None:
    opened = bridge([USER], WORD, ended_by={USER}, is_opener=True)
    assert join([1, END], opened, ended=True, openers=frozenset({USER, TOOL})) == [1, END, USER, WORD]


def test_another_role_s_opener_cannot_be_continued() -> None:
    opened = bridge([USER], WORD, ended_by={USER}, is_opener=True)
    with pytest.raises(BridgeNotFoundError, match=f"ended with {TOOL}, the marker of another role"):
        join([1, TOOL], opened, openers=frozenset({USER, TOOL}))
    book = TemplateBook()
    assert isinstance(book.join([1], [2], bridge([TOOL], WORD, ended_by={USER}, is_opener=True), ended=False), Stitched)
    outcome = book.join([1], [TOOL], opened, ended=True)
    assert isinstance(outcome, Fallback)
    assert outcome.reason is FallbackReason.TURN_ENDED_OTHERWISE
    assert str(TOOL) in outcome.detail


def test_a_sampled_opener_is_not_written_again_where_the_template_puts_a_line_break_before_it() -> None:
    opener = TurnClose(ids=ids("<user>"), ended_by=frozenset(ids("<user>")), start=None, is_opener=True)
    opened = cut_bridge(Pieces("x", MARK, "\n", "<user>", "go"), MARK, [opener])
    assert join(ids("a", "<user>"), opened, openers=frozenset(ids("<user>"))) == ids("a", "<user>", "go")
    assert join(ids("a", "\n", "<user>"), opened, openers=frozenset(ids("<user>"))) == ids("a", "\n", "<user>", "go")


@pytest.mark.parametrize("sampled", [("a", "<tool>"), ("a", "\n", "<tool>")])
def test_the_sampled_opener_may_be_any_that_follows(sampled: tuple[str, ...]) -> None:
    opener = TurnClose(ids=ids("\n", "<user>"), ended_by=frozenset(ids("<user>")), start=None, is_opener=True)
    opened = cut_bridge(Pieces("x", MARK, "\n", "<tool>", "1"), MARK, [opener])
    assert join(ids(*sampled), opened, openers=frozenset(ids("<user>", "<tool>"))) == ids(*sampled, "1")


def test_a_joined_turn_tells_what_is_old_and_what_is_new() -> None:
    prompt = [1, 2]
    made = Bridge(ids=[END, NEWLINE, WORD], close_length=2, close=PLAIN, neutralized=2)
    outcome = TemplateBook().join(prompt, [3, END], made, ended=True)
    assert isinstance(outcome, Stitched)
    assert outcome.token_ids == [1, 2, 3, END, NEWLINE, WORD]
    assert (outcome.reused_ids, outcome.bridged_ids, outcome.neutralized) == (4, 2, 2)
    assert outcome.earlier_prompt_ids is prompt


small_ids = st.integers(0, 5)


@settings(max_examples=300, deadline=None)
@given(
    previous=st.lists(small_ids, min_size=1),
    close=st.lists(small_ids, min_size=1, max_size=3),
    rest=st.lists(small_ids),
    enders=st.sets(small_ids),
    ended=st.booleans(),
)
def test_joining_keeps_every_earlier_id_and_all_that_follows_the_close(
    previous: list[int], close: list[int], rest: list[int], enders: set[int], ended: bool
) -> None:
    before, made = list(previous), bridge(close, *rest, ended_by={close[-1], *enders})
    joined = join(previous, made, ended=ended)
    assert previous == before
    assert joined[: len(previous)] == previous
    added = joined[len(previous) :]
    assert made.ids[len(made.ids) - len(added) :] == added
    assert len(added) >= len(rest)


@settings(max_examples=300, deadline=None)
@given(
    body=st.lists(small_ids),
    sampled=st.integers(0, 3),
    close=st.lists(st.integers(10, 15), min_size=1, max_size=3, unique=True),
    rest=st.lists(small_ids),
)
def test_a_turn_cut_anywhere_inside_its_close_is_closed_once(
    body: list[int], sampled: int, close: list[int], rest: list[int]
) -> None:
    made = bridge(close, *rest, ended_by={close[0]})
    assert join(body + close[:sampled], made) == body + close + rest


def test_a_bounded_cache_forgets_what_was_not_used_for_longest() -> None:
    cache: BoundedCache[str, int] = BoundedCache(capacity=2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    assert len(cache) == 2
    with pytest.raises(ValueError, match="at least 1"):
        BoundedCache(capacity=0)
