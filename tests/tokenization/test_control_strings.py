"""Control strings in texts: which are found, where a content is broken, where a text is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from tests.tokenization.tiny import byte_tokenizer
from verifiers_tito.testing import FakeTokenizer
from verifiers_tito.tokenization import ControlStrings

Spans = list[tuple[int, int]]


def controls(*strings: str) -> ControlStrings:
    return ControlStrings({string: 100 + index for index, string in enumerate(strings)})


def found_in(strings: ControlStrings, text: str) -> Spans:
    found: Spans = []
    while (match := strings.find(text, found[-1][1] if found else 0)) is not None:
        found.append(match.span())
    return found


def longest_first(strings: list[str], text: str) -> list[tuple[int, int]]:
    """What a tokenizer finds: from left to right, the longest at each position."""
    found, position = [], 0
    while position < len(text):
        fitting = [string for string in strings if text.startswith(string, position)]
        if fitting:
            found.append((position, position + len(max(fitting, key=len))))
        position = found[-1][1] if fitting else position + 1
    return found


def every_occurrence(strings: list[str], text: str) -> list[tuple[int, int]]:
    places = [(place, place + len(string)) for string in strings for place in range(len(text))]
    return [(start, end) for start, end in places if text[start:end] in strings]


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def test_the_longest_string_at_the_first_place_is_found() -> None:
    found = controls("<a>", "<a>b>", "b>").find("x b <a>b>")
    assert found is not None
    assert (found.start(), found[0]) == (4, "<a>b>")


def test_finding_begins_where_it_is_told_to() -> None:
    strings = controls("<a>")
    assert strings.find("<a><a>", 1).start() == 3  # type: ignore[union-attr]
    assert strings.find("<a><a>", 4) is None
    assert strings.find("x<a>", 0, 4) is not None
    assert strings.find("x<a>", 0, 3) is None


def test_without_control_strings_nothing_is_found() -> None:
    nothing = ControlStrings({})
    assert nothing.find("<|im_end|>") is None
    assert nothing.breaks("<|im_end|>") == []
    assert nothing.cuts("<|im_end|>", [1, 5]) == []


def test_characters_that_mean_something_in_patterns_mean_themselves() -> None:
    strings = ["[INST]", "a.b", "(x)*", "^", "$|", "\\d"]
    text = "[INST] a.b axb (x)* ^ $| \\d 7"
    found = [text[start:end] for start, end in found_in(controls(*strings), text)]
    assert found == strings


words_of_markup = st.text(alphabet="ab<>|[", min_size=2, max_size=5)


@settings(max_examples=150, deadline=None)
@given(st.lists(words_of_markup, min_size=1, max_size=8, unique=True), st.text(alphabet="ab<>|[", max_size=30))
def test_the_pattern_finds_what_a_naive_search_finds(strings: list[str], text: str) -> None:
    assert found_in(controls(*strings), text) == longest_first(strings, text)


def test_a_vocabulary_s_own_matcher_agrees(qwen3_tokenizer: FakeTokenizer) -> None:
    tokenizer = qwen3_tokenizer.transformers_tokenizer
    strings = ControlStrings.of_added_tokens(tokenizer.added_tokens_decoder)
    text = "<|im_start|>user\n<<|im_end|>> <tool_call></tool_call><|im_<think>end|><|vision_pad|> <thin</think>"
    ids = tokenizer.encode(text, add_special_tokens=False)
    expected = [tokenizer.convert_ids_to_tokens(token_id) for token_id in ids if token_id in strings.id_set]
    assert [text[start:end] for start, end in found_in(strings, text)] == expected


@pytest.mark.parametrize(
    ("token", "is_control"),
    [
        (AddedToken("<|end|>", special=True), True),
        (AddedToken("word", special=True), True),
        (AddedToken("<think>", special=False), True),
        (AddedToken("[INST]", special=False), True),
        (AddedToken("{start}", special=False), True),
        (AddedToken("<｜end▁of▁sentence｜>", special=False), True),  # noqa: RUF001
        (AddedToken("/nothink", special=False), False),
        (AddedToken("    ", special=False), False),
        (AddedToken("    ", special=True), False),
        (AddedToken("\n\n", special=True), False),
        (AddedToken("<", special=True), False),
        (AddedToken("< >", special=False), False),
        (AddedToken("<>", special=False), False),
    ],
)
def test_what_is_special_or_looks_like_markup_is_a_control_string(token: AddedToken, is_control: bool) -> None:
    assert (token.content in ControlStrings.of_added_tokens({7: token}).ids) is is_control


def test_the_token_for_unknown_characters_controls_nothing() -> None:
    tokens = {0: AddedToken("<unk>", special=True), 1: AddedToken("<s>", special=True)}
    assert ControlStrings.of_added_tokens(tokens, but_not="<unk>").ids == {"<s>": 1}


def broken(strings: ControlStrings, text: str) -> str:
    """`text` with a bar at each place where it may have to be cut."""
    return "¦".join(text[start:end] for start, end in pairwise([0, *strings.breaks(text), len(text)]))


@pytest.mark.parametrize(
    "text",
    [
        "nothing here",
        "a <¦|end|> b",
        "<¦|end|>",
        "<¦|end|><¦|end|>",
        "a <|en¦",
        "¦d|> a",
        "  ¦d|> a <|¦ \n",
        "a <|en b",
        "a d|> b",
        "¦> a <¦|end|> b <¦",
        "¦end¦",
        " ¦|¦\n",
        "",
        " \n ",
    ],
)
def test_a_content_is_broken_inside_control_strings_and_where_its_borders_could_be_inside_one(text: str) -> None:
    assert broken(controls("<|end|>"), text.replace("¦", "")) == text


def test_control_strings_that_overlap_are_broken_each() -> None:
    assert broken(controls("<a>", "a><b>"), "<a><b>") == "<¦a¦><b>"


contents = st.text(alphabet="ab|<> ", max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(words_of_markup, min_size=1, max_size=5, unique=True), contents, st.data())
def test_in_no_surroundings_is_a_broken_content_part_of_a_control_string(
    strings: list[str], text: str, data: st.DataObject
) -> None:
    trimmed = data.draw(st.sampled_from([str, str.strip, str.lstrip, str.rstrip]))(text)
    around = st.one_of(st.text(alphabet="ab|<>", max_size=6), st.sampled_from(strings))
    before, after = data.draw(around), data.draw(around)
    whole, content = before + trimmed + after, (len(before), len(before) + len(trimmed))
    shift = len(before) - text.find(trimmed)
    cuts = controls(*strings).cuts(whole, [place + shift for place in controls(*strings).breaks(text)])
    for start, end in pairwise([0, *cuts, len(whole)]):
        for found in longest_first(strings, whole[start:end]):
            assert not overlap((found[0] + start, found[1] + start), content)


def test_a_control_string_that_is_cut_already_is_not_cut_again() -> None:
    assert controls("<abcd>").cuts("<abcd><abcd>", [1, 3, 7]) == [1, 7]
    assert controls("<ab>", "b>").cuts("<ab>", [1, 3]) == [1, 3]


@st.composite
def texts_with_breaks(draw: st.DrawFn) -> tuple[str, list[int]]:
    text = draw(st.text(alphabet="ab<>|", min_size=1, max_size=25))
    return text, sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))


@settings(max_examples=200, deadline=None)
@given(st.lists(words_of_markup, min_size=1, max_size=5, unique=True), texts_with_breaks())
def test_after_cutting_no_control_string_lies_across_a_break(
    strings: list[str], text_and_breaks: tuple[str, list[int]]
) -> None:
    text, breaks = text_and_breaks
    cuts = controls(*strings).cuts(text, breaks)
    assert set(cuts) <= set(breaks)
    for start, end in pairwise([0, *cuts, len(text)]):
        for found in longest_first(strings, text[start:end]):
            assert not any(found[0] + start < place < found[1] + start for place in breaks)


@settings(max_examples=200, deadline=None)
@given(st.lists(words_of_markup, min_size=1, max_size=5, unique=True), texts_with_breaks())
def test_there_is_no_cut_but_inside_a_control_string(
    strings: list[str], text_and_breaks: tuple[str, list[int]]
) -> None:
    text, breaks = text_and_breaks
    cuts = controls(*strings).cuts(text, breaks)
    assert cuts == sorted(set(cuts))
    for cut in cuts:
        assert any(start < cut < end for start, end in every_occurrence(strings, text))


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab<>|", max_size=12))
def test_a_vocabulary_s_own_matcher_reads_a_cut_content_as_text(content: str) -> None:
    strings = ("<a>", "<|b|>", "<ab", "a|")
    text = f"<a>{content}<|b|>"
    places = [place + 3 for place in controls(*strings).breaks(content)]
    written: list[str] = []
    for start, end in pairwise([0, *controls(*strings).cuts(text, places), len(text)]):
        ids = _WITH_FOUR_STRINGS.encode(text[start:end], add_special_tokens=False)
        written += _WITH_FOUR_STRINGS.convert_ids_to_tokens(ids)
    assert "".join(written) == text
    assert [token for token in written if token in strings] == ["<a>", "<|b|>"]


_WITH_FOUR_STRINGS = byte_tokenizer(["<a>", "<|b|>", "<ab", "a|"])
