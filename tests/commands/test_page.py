"""Untrusted text on a terminal and in a pipe."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.text import Text

from verifiers_tito.commands.page import Page, labelled, one_line, visible


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext, Grüße, 文字, 👩‍👧", "plain\n\ttext, Grüße, 文字, 👩‍👧"),
        ("\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇"),
        ("\r\x00\x7f\x9b31m", "␍␀<U+007F><U+009B>31m"),
        ("abc\u202edef\u2028", "abc<U+202E>def<U+2028>"),
        ("half \ud800", "half <U+D800>"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_is_one_line_and_no_longer_than_it_may_be() -> None:
    assert one_line("a\n  b\x1b", longest=10) == "a b␛"
    assert one_line("0123456789a", longest=10) == "0123456..."


def test_a_pipe_gets_plain_text_whose_lines_stay_as_long_as_they_are() -> None:
    stream = StringIO()
    page = Page(stream)
    page.print(Text("[red]no markup[/red] :smile:", style="bold"))
    page.block("x" * 300 + "\ny")
    page.print(labelled([("label", "value", "red")]))
    assert stream.getvalue() == f"[red]no markup[/red] :smile:\n  {'x' * 300}\n  y\nlabel  value\n"


def test_a_terminal_gets_colours_and_indented_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    page = Page(stream)
    page.print(Text("loud", style="red"))
    page.block("word " * 20)
    first, *rest = stream.getvalue().splitlines()
    assert first == "\x1b[31mloud\x1b[0m"
    assert len(rest) == 3
    assert all(line.startswith("  word") for line in rest)
