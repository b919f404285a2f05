"""How a template closes an assistant's turn, read off renderings that are written by hand."""

from __future__ import annotations

import pytest

from tests.stitching.pieces import Pieces, ids
from verifiers_tito.stitching import BridgeNotFoundError, TurnClose
from verifiers_tito.stitching.turn_close import ClosePlace, find_call_close, find_close

MARK = "MARK"
NEXT = ("<begin>", "user", "\n", "x", "<end>", "\n")
END = TurnClose(ids=ids("<end>", "\n"), ended_by=frozenset(ids("<end>")), start="<end>")
OPENER = TurnClose(ids=ids("<user>"), ended_by=frozenset(ids("<user>")), start=None, is_opener=True)


def test_the_close_is_what_a_last_turn_and_an_earlier_one_have_in_common() -> None:
    close = find_close(Pieces("hi", MARK, "<end>", "\n"), Pieces("hi", MARK, "<end>", "\n", *NEXT), MARK)
    assert close == END


def test_the_next_opener_is_no_part_of_the_close_even_where_a_last_turn_ends_in_one() -> None:
    close = find_close(Pieces(MARK, "<end>", "<begin>"), Pieces(MARK, "<end>", "<user>", "x"), MARK)
    assert close.ids == ids("<end>")


def test_a_template_that_never_ends_with_an_assistant_s_turn_shows_the_first_token_of_its_close() -> None:
    close = find_close(None, Pieces(MARK, "<end>", "\n", *NEXT), MARK)
    assert close == TurnClose(ids=ids("<end>"), ended_by=frozenset(ids("<end>")), start="<end>")


def test_the_last_turn_s_other_end_ends_a_turn_too() -> None:
    close = find_close(Pieces(MARK, "<return>"), Pieces(MARK, "<end>", *NEXT), MARK)
    assert close == TurnClose(ids=ids("<end>"), ended_by=frozenset(ids("<end>", "<return>")), start="<end>")


def test_each_of_two_closing_tokens_ends_a_turn() -> None:
    closing = ("<end-answer>", "<end-turn>")
    close = find_close(Pieces(MARK, *closing), Pieces(MARK, *closing, *NEXT), MARK)
    assert close.ids == ids(*closing)
    assert close.ended_by == frozenset(ids(*closing))


def test_a_template_that_closes_nothing_closes_with_the_next_opener() -> None:
    assert find_close(Pieces("x", MARK), Pieces("x", MARK, "<user>", "x"), MARK) == OPENER


def test_blanks_before_the_close_belong_to_it() -> None:
    going_on = Pieces(MARK, " ", "<end>", *NEXT)
    close = find_close(Pieces(MARK, " ", "<end>"), going_on, MARK)
    assert close == TurnClose(ids=ids(" ", "<end>"), ended_by=frozenset(ids("<end>")), start="<end>")
    assert close.find(going_on, MARK) == ClosePlace(len(MARK), len(MARK + " "))


def test_a_blank_that_is_no_token_of_its_own_is_left_to_the_sampled_text() -> None:
    going_on = Pieces("x", MARK + " ", "<end>", *NEXT)
    close = find_close(Pieces("x", MARK + " ", "<end>"), going_on, MARK)
    assert close.ids == ids("<end>")
    assert close.find(going_on, MARK) == ClosePlace(len("x" + MARK + " "), len("x" + MARK + " "))


@pytest.mark.parametrize("closing", ["\n", "\nUser: ", " ok "])
def test_a_close_that_is_plain_text_is_refused_because_sampled_text_may_merge_with_it(closing: str) -> None:
    with pytest.raises(BridgeNotFoundError, match="which is no control token"):
        find_close(Pieces(MARK, closing), Pieces(MARK, closing, "User", "x"), MARK)


def test_text_between_turn_and_close_is_refused() -> None:
    with pytest.raises(BridgeNotFoundError, match=r"'\.', which is no control token"):
        find_close(Pieces(MARK, ".", "<end>"), Pieces(MARK, ".", "<end>", *NEXT), MARK)


def test_a_template_that_does_not_write_the_turn_is_refused() -> None:
    with pytest.raises(BridgeNotFoundError, match="does not write what the assistant said"):
        find_close(Pieces("x", "<end>"), Pieces("x", "<end>", *NEXT), MARK)


def test_behind_a_call_the_plain_close_is_looked_for_beyond_the_call_s_own_syntax() -> None:
    called = (MARK, '"}', "</call>", "<end>", "\n")
    close = find_call_close(Pieces(*called), Pieces(*called, *NEXT), MARK, plain=END)
    assert close == TurnClose(ids=END.ids, ended_by=END.ended_by, start="<end>", call_end='"}</call>')


def test_a_calling_turn_may_end_otherwise_than_a_plain_one() -> None:
    called = (MARK, '"}', "<call>")
    close = find_call_close(Pieces(*called), Pieces(*called, *NEXT), MARK, plain=END)
    assert close.ids == ids("<call>")
    assert close.start == "<call>"
    assert close.call_end == '"}'
    assert close.ended_by == frozenset(ids("<call>", "<end>"))


def test_a_calling_turn_that_is_not_closed_ends_where_the_next_opener_begins() -> None:
    called = (MARK, '"}', "</call>")
    close = find_call_close(Pieces(*called), Pieces(*called, "<tool>", "x"), MARK, plain=OPENER)
    assert close.is_opener
    assert close.ids == ids("<tool>")
    assert close.call_end == '"}</call>'


def test_a_call_that_is_followed_by_plain_text_is_refused() -> None:
    called = (MARK, '"}')
    with pytest.raises(BridgeNotFoundError, match="after a tool call"):
        find_call_close(Pieces(*called), Pieces(*called, "result:", "x", "<end>"), MARK, plain=OPENER)


CALL_CLOSE = TurnClose(ids=END.ids, ended_by=END.ended_by, start="<end>", call_end='"}</call>')


def test_the_close_of_a_call_stands_behind_the_call() -> None:
    rendering = Pieces("x", MARK, '"}', "</call>", "<end>", "\n", *NEXT)
    assert rendering.text[CALL_CLOSE.find(rendering, MARK).start :].startswith("<end>\n<begin>")


def test_further_syntax_of_a_call_is_passed_over() -> None:
    rendering = Pieces(MARK, '", "id": "1"}', "</call>", "<end>", "\n", *NEXT)
    assert rendering.text[CALL_CLOSE.find(rendering, MARK).start :].startswith("<end>\n<begin>")


def test_of_several_marks_the_last_one_counts() -> None:
    rendering = Pieces(MARK, '"}', "</call>", "<end>", "<call>", MARK, '"}', "</call>", "<end>", "\n", *NEXT)
    assert rendering.text[CALL_CLOSE.find(rendering, MARK).start :] == "<end>\n" + "".join(NEXT)


@pytest.mark.parametrize(
    ("close", "pieces"),
    [
        (END, (MARK, "<other>", "\n")),
        (END, (MARK, ".", "<end>")),
        (END, (MARK,)),
        (OPENER, (MARK, "x", "<user>")),
        (CALL_CLOSE, (MARK, '"}', "</call>")),
        (CALL_CLOSE, (MARK, '"}', "</call>", "<call>")),
    ],
    ids=["another token", "text before it", "nothing", "text before the opener", "no close", "another after the call"],
)
def test_a_turn_that_is_not_closed_as_the_template_closes_turns_is_refused(
    close: TurnClose, pieces: tuple[str, ...]
) -> None:
    with pytest.raises(BridgeNotFoundError, match="the assistant's turn is followed by"):
        close.find(Pieces(*pieces), MARK)


def test_whatever_opener_follows_closes_a_turn_where_the_template_closes_nothing() -> None:
    rendering = Pieces("x", MARK, "<tool>", "1")
    assert OPENER.find(rendering, MARK) == ClosePlace(len("x" + MARK), len("x" + MARK))


def test_blanks_before_an_opener_are_told_from_it() -> None:
    rendering = Pieces("x", MARK, "\n", "<user>", "x")
    close = find_close(Pieces("x", MARK, "\n"), rendering, MARK)
    assert close == TurnClose(ids=ids("\n", "<user>"), ended_by=OPENER.ended_by, start=None, is_opener=True)
    assert close.find(rendering, MARK) == ClosePlace(len("x" + MARK), len("x" + MARK + "\n"))
