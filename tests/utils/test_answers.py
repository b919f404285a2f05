from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import verifiers_tito as vf
from verifiers_tito.utils import extract_boxed_answer, extract_hash_answer, strip_non_numeric

BALANCED = st.recursive(
    st.text("abc 12\\,^_", max_size=6).filter(lambda text: not text.endswith("\\")),
    lambda inner: st.tuples(inner, inner, inner).map(lambda parts: f"{parts[0]}{{{parts[1]}}}{parts[2]}"),
    max_leaves=8,
)


@given(st.text(max_size=30), BALANCED, st.text("ab{}\\ ", max_size=10))
def test_a_boxed_answer_comes_out_whole_whatever_stands_around_it(before: str, answer: str, after: str) -> None:
    assert extract_boxed_answer(f"{before}\\boxed{{{answer}}}{after}") == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\\boxed{1} then \\boxed{2}", "2"),
        ("\\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("\\boxed {3}", "3"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{\\left\\{ x \\right.}", "\\left\\{ x \\right."),
        ("\\boxed{\\boxed{5}}", "5"),
        ("\\boxed{}", ""),
    ],
)
def test_the_last_box_is_the_answer(text: str, answer: str) -> None:
    assert extract_boxed_answer(text) == extract_boxed_answer(text, strict=True) == answer


@pytest.mark.parametrize("text", ["no box", "\\boxed{1} and \\boxed{2", "\\boxed"])
def test_without_a_closed_last_box_there_is_no_answer(text: str) -> None:
    assert extract_boxed_answer(text, strict=True) == ""
    assert extract_boxed_answer(text) == text


def test_hash_answers_and_numbers() -> None:
    assert extract_hash_answer("2 + 2 = 4\n#### 4 ") == "4"
    assert extract_hash_answer("#### Step 1\n#### 4") == "4"
    assert extract_hash_answer("4") == "4"
    assert strip_non_numeric("$1,234.50") == "1234.50"


def test_variables_that_are_not_set_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "x")
    monkeypatch.setenv("AN_EMPTY_KEY", "")
    vf.ensure_keys(["A_KEY"])
    with pytest.raises(vf.MissingKeyError, match="AN_EMPTY_KEY, NO_SUCH_KEY") as caught:
        vf.ensure_keys(["A_KEY", "AN_EMPTY_KEY", "NO_SUCH_KEY"])
    assert caught.value.keys == ["AN_EMPTY_KEY", "NO_SUCH_KEY"]
    assert isinstance(caught.value, ValueError)


def test_messages_of_any_shape_become_one_conversation_fit_for_a_log() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    said = {"role": "user", "content": [{"type": "text", "text": "look"}, image]}
    conversation = vf.concat_messages(["hello", [vf.AssistantMessage(content="a")], said])
    assert [message.role for message in conversation] == ["user", "assistant", "user"]
    assert vf.messages_to_printable(conversation) == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "look [image_url]"},
    ]
