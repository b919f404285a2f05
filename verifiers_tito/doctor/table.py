"""A report for people, and as JSON. Plain text where nobody sees colours: a pipe gets no control codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from verifiers_tito.doctor.findings import Answer, CloseFinding, Report, TailFinding, TemplateFinding
from verifiers_tito.doctor.table_rows import Row, injection_row, sections
from verifiers_tito.stitching import Verdict

PIPE_WIDTH = 120
"""In characters: a pipe has no width of its own."""
_GOOD, _BAD, _HEADING = "green", "yellow", "bold"


def report_json(report: Report) -> str:
    """The findings and the verdict, indented."""
    found = {"token_in_works": report.token_in_works, **msgspec.to_builtins(report)}
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def print_report(report: Report, stream: TextIO) -> None:
    """Writes sections of labels and values, the template's table, and what to change."""
    if stream.isatty():
        _print(report, Console(file=stream, highlight=False))
        return
    console = Console(file=stream, force_terminal=False, width=PIPE_WIDTH, highlight=False)
    with console.capture() as captured:
        _print(report, console)
    stream.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())  # tables are padded to the right


def _print(report: Report, console: Console) -> None:
    console.print(_headline(report), soft_wrap=True)
    for title, rows in sections(report):
        _print_section(console, title, _grid(rows))
    _print_section(console, f"Template, rendered by {report.template.rendered_by}", _template_table(report.template))
    _print_section(console, "Untrusted text", _grid([injection_row(report.injection)]))
    _print_advice(console, report)


def _headline(report: Report) -> Text:
    works = report.token_in_works
    verdict = "token-in works" if works else "token-in does not work"
    if report.folder:
        verdict = "this template can be continued in ids" if works else "this template cannot be continued in ids"
    return Text.assemble(f"{report.target}: ", (verdict, f"bold {_GOOD if works else _BAD}"))


def _print_section(console: Console, title: str, body: Table) -> None:
    console.print()
    console.print(Text(title, style=_HEADING))
    console.print(Padding(body, (0, 0, 0, 2)))


def _grid(rows: list[Row]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        style = {Answer.YES: _GOOD, Answer.NO: _BAD, Answer.UNKNOWN: ""}[row.is_good]
        table.add_row(Text(row.label), Text(row.value, style=style))
    return table


def _template_table(template: TemplateFinding) -> Table:
    if template.problem:
        label = "no turn can be continued" if template.is_examined else "not examined"
        return _grid([Row(label=label, value=template.problem, is_good=Answer.NO)])
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    table.add_column("after the turn", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    table.add_column("what it means", overflow="fold")
    for tail in template.tails:
        style = _GOOD if tail.verdict.is_bridged else _BAD
        table.add_row(Text(tail.kind), Text(tail.verdict, style=style), Text("; ".join(_meaning(tail, template))))
    if template.close is not None:
        appended = _appended(template.close)
        closed = template.closes_cut_turns or template.close.is_opener
        verdict = Text("closed", style=_GOOD) if closed else Text("not closed", style=_BAD)
        table.add_row(Text("truncated turn"), verdict, Text(f"{appended}, but for what was sampled of it"))
        table.add_row(Text("stop string"), verdict, Text(f"the stop string's ids stay, then {appended}"))
    return table


def _meaning(tail: TailFinding, template: TemplateFinding) -> Iterator[str]:
    if tail.verdict is Verdict.HISTORY_DEPENDENT:
        yield "rendered anew for each bridge, because the template looks back far"
    elif not tail.verdict.is_bridged:
        yield "the turn goes in as messages"
    if tail.detail:
        yield tail.detail
    for role in tail.dropped:
        yield f"the template writes no {role} message: the model never sees it"
    if "tool" in tail.kind and not template.writes_calls:
        yield "the template does not write the call that is answered"
    if tail.strips_reasoning:
        yield "the template would leave the turn's reasoning out; the client keeps it by default"


def _appended(close: CloseFinding) -> str:
    ids = ", ".join(map(str, close.ids))
    if close.is_opener:
        return f"the next role's marker alone (a user's is {close.text!r}, {ids})"
    return f"{close.text!r} ({ids}) is appended"


def _print_advice(console: Console, report: Report) -> None:
    console.print()
    console.print(Text("What to change", style=_HEADING))
    if not report.advice:
        console.print(Text("  nothing"))
    for advice in report.advice:
        item = Table.grid(padding=(0, 1))
        item.add_row(Text("-"), Text(advice.reason))
        console.print(Padding(item, (0, 0, 0, 2)))
        for command in advice.commands:
            console.print(Text(f"      {command}"), soft_wrap=True)  # to be copied whole
