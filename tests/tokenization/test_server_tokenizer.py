"""What a server's `/tokenize` tells, as a rendering: ids, and the vocabulary's spelling of each.

The HTTP part is tested with the token client, and against the wire contract.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers_tito.testing import FakeTokenizer
from verifiers_tito.tokenization import Control, ServerRendering

CHATML = ("<|im_start|>", "user", "Ċ", "HiĠthere", "<|im_end|>", "Ċ")


def rendering(*spellings: str) -> ServerRendering:
    return ServerRendering(list(range(10, 10 + len(spellings))), list(spellings))


def test_white_space_of_byte_level_vocabularies_is_white_space() -> None:
    assert rendering("Ġa", "ĊĊ", "ĉb", "čĊ", "ĠĠ").text == " a\n\n\tb\r\n  "


def test_white_space_of_sentencepiece_vocabularies_is_white_space() -> None:
    assert rendering("▁Hello", "▁▁", "world", "<0x0A>", "▁").text == " Hello  world\n "


def test_a_byte_token_is_one_character() -> None:
    tail = rendering("a", "<0xE2>", "<0x82>", "<0xAC>", "b")
    assert len(tail.text) == 5
    assert tail.ids_from(4) == [14]
    assert tail.next_control(0) is None


def test_a_lower_case_or_longer_spelling_is_no_byte() -> None:
    assert rendering("<0x0a>", "<0x0AB>").text == "<0x0a><0x0AB>"


def test_ids_are_those_from_a_token_s_first_character_on() -> None:
    text = rendering(*CHATML)
    assert text.ids_from(0) == [10, 11, 12, 13, 14, 15]
    assert text.ids_from(text.text.index("<|im_end|>")) == [14, 15]
    assert text.ids_from(len(text.text)) == []


@pytest.mark.parametrize("start", [1, 13, 18])
def test_where_no_token_begins_there_are_no_ids(start: int) -> None:
    with pytest.raises(ValueError, match=f"no token begins at character {start}"):
        rendering(*CHATML).ids_from(start)


def test_a_place_beyond_the_text_has_no_ids() -> None:
    with pytest.raises(ValueError, match="no token begins at character 99"):
        rendering(*CHATML).ids_from(99)


def test_the_next_control_token_is_the_first_that_begins_there_or_later() -> None:
    text = rendering(*CHATML)
    end = text.text.index("<|im_end|>")
    assert text.next_control(0) == Control(0, 12, "<|im_start|>")
    assert text.next_control(1) == text.next_control(end) == Control(end, end + 10, "<|im_end|>")
    assert text.next_control(end + 1) is None


@pytest.mark.parametrize(
    ("spelling", "is_control"),
    [
        ("<|im_end|>", True),
        ("</s>", True),
        ("[INST]", True),
        ("<｜end▁of▁sentence｜>", True),  # noqa: RUF001
        ("<0x0A>", False),
        ("<", False),
        ("<>", False),
        ("Ġ<b>", False),
        ("<b", False),
        ("word", False),
    ],
)
def test_control_tokens_are_told_by_their_looks(spelling: str, is_control: bool) -> None:
    assert (rendering("a", spelling).next_control(0) is not None) is is_control


def test_a_control_token_is_found_between_others_that_touch_it() -> None:
    text = rendering("<a>", "<b>", "x", "<c>")
    found, position = [], 0
    while (control := text.next_control(position)) is not None:
        found.append(text.text[control.start : control.end])
        position = control.end
    assert found == ["<a>", "<b>", "<c>"]


def test_a_token_without_a_spelling_takes_no_room() -> None:
    assert rendering("a", "", "b").ids_from(1) == [11, 12]


def test_nothing_rendered_is_nothing() -> None:
    empty = ServerRendering([], [])
    assert (empty.text, empty.ids_from(0), empty.next_control(0)) == ("", [], None)


def test_as_many_ids_as_spellings_are_wanted() -> None:
    with pytest.raises(ValueError, match="2 ids but 1 spellings"):
        ServerRendering([1, 2], ["a"])


def test_nobody_guards_contents_on_the_server() -> None:
    assert rendering("<|im_end|>").neutralized_from(0) == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*CHATML, "Ġa", "▁b", "<0x0A>", "é"]), max_size=12), st.data())
def test_every_border_between_tokens_and_no_other_place_has_ids(spellings: list[str], data: st.DataObject) -> None:
    made = rendering(*spellings)
    borders = [0]
    for spelling in spellings:
        borders.append(borders[-1] + (1 if spelling == "<0x0A>" else len(spelling)))
    place = data.draw(st.integers(0, len(made.text)))
    if place in borders:
        assert made.ids_from(place) == list(range(10, 10 + len(spellings)))[borders.index(place) :]
    else:
        with pytest.raises(ValueError, match="no token begins"):
            made.ids_from(place)


def test_a_real_vocabulary_s_spellings_read_like_the_text_where_it_is_ascii(qwen3_tokenizer: FakeTokenizer) -> None:
    tokenizer = qwen3_tokenizer.transformers_tokenizer
    text = "<|im_start|>user\n  Two\t spaces,\r\n\r\nand <think>more</think>.<|im_end|>\n"
    ids = tokenizer.encode(text, add_special_tokens=False)
    made = ServerRendering(ids, tokenizer.convert_ids_to_tokens(ids))
    assert made.text == text
    assert made.ids_from(0) == ids
