"""Findings in words: the cases that neither Qwen3 nor Llama 3 has."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import msgspec
import pytest

from verifiers_tito.doctor import Report, print_report, report_json
from verifiers_tito.doctor.advice import template_advice
from verifiers_tito.doctor.findings import (
    CloseFinding,
    ControlText,
    FolderFinding,
    InjectionFinding,
    TailFinding,
    TemplateFinding,
)
from verifiers_tito.stitching import Verdict

TEMPLATE = TemplateFinding(
    rendered_by="local files",
    can_bridge=True,
    close=CloseFinding(text="<|user|>", ids=(7,), is_opener=True),
    tails=(
        TailFinding(kind="user", verdict=Verdict.BRIDGED),
        TailFinding(kind="tool", verdict=Verdict.BRIDGED, dropped=("tool",)),
        TailFinding(kind="system + user", verdict=Verdict.MOVED, detail="it writes system before the turn"),
    ),
)
REPORT = Report(
    target="some folder",
    folder=FolderFinding(folder="some folder", form="parts", control_strings=3, template_digest="d1"),
    template=TEMPLATE,
    injection=InjectionFinding(policy="text", effect=ControlText.STAYS_TEXT, detail="[bold]as it is[/bold]"),
    advice=tuple(template_advice(TEMPLATE)),
)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def printed(report: Report) -> str:
    stream = StringIO()
    print_report(report, stream)
    return stream.getvalue()


def test_a_template_that_closes_no_turns_appends_the_next_role_s_marker() -> None:
    text = " ".join(printed(REPORT).split())
    assert "the next role's marker alone (a user's is '<|user|>', 7)" in text


def test_a_template_that_writes_no_tool_calls_is_found_out() -> None:
    note = "the template does not write the call that is answered"
    assert " ".join(printed(REPORT).split()).count(note) == 1
    assert note not in printed(replace(REPORT, template=replace(TEMPLATE, writes_calls=True)))


def test_a_dropped_message_is_explained_and_advised_against() -> None:
    text = " ".join(printed(REPORT).split())
    assert "the template writes no tool message: the model never sees it" in text
    assert "the template does not write tool messages" in text


def test_a_tail_that_is_not_bridged_is_said_to_go_in_as_messages() -> None:
    text = " ".join(printed(REPORT).split())
    assert "the turn goes in as messages; it writes system before the turn" in text
    assert "turns after system + user go in as messages" in text


def test_words_of_templates_and_servers_are_no_markup() -> None:
    assert "[bold]as it is[/bold]" in printed(REPORT)


def test_a_template_that_could_not_be_examined_is_not_called_bad() -> None:
    template = TemplateFinding(rendered_by="the server", is_examined=False, problem="no /tokenize")
    report = replace(REPORT, template=template, advice=tuple(template_advice(template)))
    assert "not examined  no /tokenize" in printed(report)
    assert "--tokenizer FOLDER" in printed(report)
    assert "no turn can be continued" not in printed(report)


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    print_report(REPORT, stream)
    assert "\x1b[" in stream.getvalue()


def test_json_holds_the_verdict_beside_the_findings() -> None:
    found = msgspec.json.decode(report_json(REPORT))
    assert found["token_in_works"] is True
    assert found["template"]["tails"][1]["dropped"] == ["tool"]
    assert found["server"] is None
