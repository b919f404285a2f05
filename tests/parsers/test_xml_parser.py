"""XMLParser: what `format` writes, `parse` reads, and what models do to tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import verifiers_tito as vf

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text("<>/answerthink \n", max_size=30)


@given(TEXTS, TEXTS)
def test_what_format_writes_parse_reads(reasoning: str, code: str) -> None:
    parser = vf.XMLParser(["reasoning", ("code", "answer")], answer_field="code")
    text = parser.format(reasoning=reasoning, code=code)
    if "</reasoning>" in reasoning or "</code>" in code:
        return
    assert vars(parser.parse(text)) == {"reasoning": reasoning.strip(), "code": code.strip(), "answer": None}
    assert parser.parse_answer(text) == code.strip()
    assert parser.get_format_reward_func()(text) >= 0.8


@given(st.text("<>/ab \n", max_size=60))
def test_any_text_can_be_parsed(text: str) -> None:
    parsed = vf.XMLParser(["a", "b"]).parse(text)
    assert all(value is None or value in text for value in vars(parsed).values())


def test_fields_have_names_a_format_and_alternatives() -> None:
    parser = vf.XMLParser(["reasoning", ("code", "answer")])
    assert parser.get_fields() == ["reasoning", "code"]
    assert parser.get_format_str() == ("<reasoning>\n...\n</reasoning>\n<[ code | answer ]>\n...\n</[ code | answer ]>")
    assert parser.format(reasoning="r", answer=0) == "<reasoning>\nr\n</reasoning>\n<code>\n0\n</code>"


def test_a_tag_inside_another_field_is_text_unless_it_is_nowhere_else() -> None:
    parser = vf.XMLParser(["think", "answer"])
    assert parser.parse("<think>not <answer>1</answer></think><answer>2</answer>").answer == "2"
    assert parser.parse("<think>only <answer>1</answer></think>").answer == "1"


def test_spaces_stay_if_asked_and_the_last_of_several_can_be_had() -> None:
    parser = vf.XMLParser(["answer"])
    assert parser.parse("<answer> 1 </answer>", strip=False).answer == " 1 "
    assert parser.parse("<answer>1</answer><answer>2</answer>").answer == "1"
    assert parser.parse("<answer>1</answer><answer>2</answer>", last=True).answer == "2"


def test_the_answer_is_the_last_one_of_the_last_message_that_has_one() -> None:
    parser = vf.XMLParser(["answer"], extract_fn=str.upper)
    said = [vf.AssistantMessage(content=text) for text in ("<answer>a</answer>", "<answer>b</answer>", "none")]
    assert parser.parse_answer(said) == "B"
    assert parser.parse_answer([message.model_dump() for message in said]) == "B"
    assert parser.parse_answer([vf.AssistantMessage(content="<answer>a</answer> or <answer>b</answer>")]) == "B"
    assert parser.parse_answer("none") is None


def test_reasoning_that_the_server_took_out_is_the_think_field() -> None:
    parser = vf.XMLParser(["think", "answer"])
    message = vf.AssistantMessage(content="<answer>4</answer>", reasoning_content="hm")
    assert vars(parser.parse_message(message)) == {"think": "hm", "answer": "4"}
    assert parser.get_format_reward_func()([message]) == 1.0
    assert vars(vf.XMLParser(["answer"]).parse_message(message)) == {"answer": "4"}


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("<think>a</think><answer>b</answer>", 1.0),
        ("<answer>b</answer>", 0.6),  # half of the fields, closed, and the last at the end
        ("Well: <think>a</think><answer>b</answer>!", 0.6),
        ("<think>a</think><answer>b", 0.4),
        ("no tags at all", 0.0),
    ],
)
def test_format_is_scored_in_parts(text: str, score: float) -> None:
    parser = vf.XMLParser(["think", "answer"])
    assert parser.get_format_reward_func()([vf.AssistantMessage(content=text)]) == pytest.approx(score)


def test_tags_that_are_never_closed_cost_one_walk() -> None:
    text = "<answer>" * 50_000 + "<think>x</think>"
    assert vars(vf.XMLParser(["think", "answer"]).parse(text)) == {"think": "x", "answer": None}


def test_impossible_formats_are_refused() -> None:
    for fields, message in (([], "at least one"), (["a", ("b", "a")], "the field a twice"), ([()], "got \\(\\)")):
        with pytest.raises(vf.ConfigError, match=message):
            vf.XMLParser(fields)
    with pytest.raises(vf.ConfigError, match="a value for code or answer; it got reasoning"):
        vf.XMLParser(["reasoning", ("code", "answer")]).format(reasoning="r")
