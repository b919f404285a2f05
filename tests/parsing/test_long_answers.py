"""Long rows of beginnings without ends: a parser that goes back to where it has been works on these for minutes."""

from __future__ import annotations

import pytest

from tests.parsing.cases import ALL, TOOLS, Answers
from verifiers_tito.parsing import format_by_names, parse_request

LONG, LONGER = 20_000, 200_000
SPACE, LINE, QUOTES, BACKSLASH = " ", "\n", "'\"", "\\"
ENDLESS = (*SPACE, *LINE, *QUOTES, *BACKSLASH, *"{[(,:=", "to=", "f(", '{"a":', '[{"')

MUSE_CALL = ' to=f<|message|><atem:invoke name="f"><atem:parameter name="x">'
MUSE_END = "</atem:parameter></atem:invoke>"
LFM2_CALL, LFM2_END = "<|tool_call_start|>[f(", "!)]<|tool_call_end|>"


def content_and_calls(text: str, reasoning: str | None, calls: str | None) -> tuple[str | None, list[str]]:
    parsed = format_by_names(reasoning_parser=reasoning, tool_call_parser=calls).parse(
        text, parse_request(TOOLS), call_id=lambda: "call-1"
    )
    return parsed.content, [call.arguments for call in parsed.tool_calls]


@pytest.mark.parametrize(
    ("calls", "begin", "unit", "end"),
    [
        ("muse_glimmer", "<atem:invoke", " ", ""),
        ("muse_glimmer", "<atem:invoke ", "to=f<|message|>", ""),
        ("muse_glimmer", "to=self<|message|>", "to=", ""),
        ("muse_glimmer", "", "to=self<|message|>", ""),
        ("muse_glimmer", "", "<atem:invoke ", ""),
        ("muse_glimmer", "", "<atem:invoke ", "</atem:invoke>"),
        ("lfm2", LFM2_CALL, "x='y', ", LFM2_END),
        ("mistral", "[TOOL_CALLS]", "[{", ""),
        ("mistral", "[TOOL_CALLS]", '[{"x', ""),
    ],
)
def test_an_answer_of_beginnings_is_read_once(calls: str, begin: str, unit: str, end: str) -> None:
    reasoning = calls if calls == "muse_glimmer" else None
    _, found = content_and_calls(begin + unit * (LONGER // len(unit)) + end, reasoning, calls)
    assert found == []


@pytest.mark.parametrize("unit", ["<atem:parameter ", '<atem:parameter name="', '<atem:parameter name="x">'])
def test_a_call_of_parameters_that_do_not_end_has_none(unit: str) -> None:
    call = f' to=f<|message|><atem:invoke name="f">{unit * (LONGER // len(unit))}</atem:invoke>'
    assert content_and_calls(call, "muse_glimmer", "muse_glimmer") == (None, ["{}"])


def test_white_space_in_an_argument_is_an_argument() -> None:
    _, found = content_and_calls(MUSE_CALL + " " * LONGER + MUSE_END, "muse_glimmer", "muse_glimmer")
    assert found == [f'{{"x": "{" " * LONGER}"}}']


@pytest.mark.parametrize("answers", ALL, ids=lambda answers: answers.name)
def test_every_format_reads_rows_of_its_own_marks(answers: Answers) -> None:
    """Behind a whole answer: its calls are found, or all of it is content."""
    reasoning, calls = answers.parsers[0]
    for unit in (*answers.pieces, *ENDLESS):
        row = unit * (LONG // len(unit))
        content, found = content_and_calls(answers.texts[0] + row, reasoning, calls)
        assert content is not None or found
