"""Writes `docs/bridging.md`: what is bridged in which family, from the library and the reference side by side.

.venv/bin/python -m tests.corpus.report > docs/bridging.md
"""

from __future__ import annotations

from collections import Counter

from tests.corpus.comparison import SEED, Compared, FamilyBridges, Finding, bridged_share, compare_all
from tests.corpus.families import FAMILIES
from tests.corpus.family import Family
from tests.corpus.shapes import make_shapes
from verifiers_tito.stitching import STANDARD_KINDS, TemplateReport, Verdict, examine, run_plan

INTRODUCTION = """\
# Bridging, template by template

Written by `python -m tests.corpus.report`; a test keeps it current. {families} chat templates with real tokenizers,
{shapes} conversation shapes each (seed {seed}), and every way a turn can end (the template's close, cut short, a stop
string, another end token). Each bridge is compared, id by id, with an independent reference: the whole conversation
rendered by `transformers` and cut after the assistant's body.

{equal} bridges are equal to the reference, {different} differ. Of the turns that templates write, {share:.1%} are
bridged; {refused} are refused, all of them GLM turns that ended with the marker of another role than the one that came
next. {refused_too} refusals are turns that the template itself refuses, or whose messages it moves in front of ids that
were sampled already. {more} turns are bridged although there is nothing to compare them with: the template drops the
message (with or without a bridge), or trips over something in the history that a stand-in does not repeat.

**What was decided**, where a template's text leaves a choice:

- What was sampled stays sampled. A turn that was cut short, or stopped by a string, gets the template's close; one that
  the model ended gets what is missing of it.
- A turn that ended with another token than the close (gpt-oss: `<|return|>` where the history has `<|end|>`; Llama 3.1:
  `<|eom_id|>`; an end of sequence) keeps that token in the close's place. gpt-oss's `<|call|>` closes turns that call.
  vLLM renders gpt-oss chats with OpenAI's own encoder, which puts the recipient of a tool's answer elsewhere; bridges
  follow the template.
- GLM closes a turn with the marker of whoever speaks next. A turn that ended with the right one goes on behind it; one
  that ended with another role's goes in as messages, because the marker would read as an empty turn.
- A template that writes something of the history behind the turn once more (Mistral's older ones: system prompt and
  tools before the last user message) is followed: the bridge holds it. Default system prompts, dates and the beginning
  of the text stand before the first turn and are in no bridge.
- A message that the template does not write at all is lost on every route; the client warns once.
- Sampled thinking stays, also where the template would leave it out; `StitchingConfig(thinking="template")` begins a
  new branch instead.

**How to read the table.** `close` is what closes a turn that was cut short (`(next)`: the next role's marker, which is
also what the model stops at), `after calls` where a turn that calls tools ends otherwise. Then the verdict for each
kind of tail: `yes`, `whole` (bridged, by rendering the whole history each turn, because the template looks back further
than a stand-in goes), `drops` (bridged, but the template does not write the message at all), `refuses` (the template
raises for what was tried; a real conversation is tried as it is), `moves` (it writes the message in front of the turn;
the prompt goes in as messages). `equal` counts bridges that were compared. \\* the vocabulary is not on PyPI: a real
one stands in, with the family's control tokens.
"""
WORDS = {
    Verdict.BRIDGED: "yes",
    Verdict.REFUSED: "refuses",
    Verdict.UNPROVABLE: "unprovable",
    Verdict.MOVED: "moves",
    Verdict.HISTORY_DEPENDENT: "whole",
}


def write_report(compared: list[Compared]) -> str:
    """The document."""
    kinds = [str(kind) for kind in STANDARD_KINDS]
    header = ["family", "close", "after calls", *kinds, "equal"]
    rows = [_row(family, [one for one in compared if one.family == family.name]) for family in FAMILIES]
    lines = [_line(header), _line(["---"] * len(header)), *map(_line, rows)]
    return "\n".join([_introduction(compared), *lines, ""])


def _introduction(compared: list[Compared]) -> str:
    counts = Counter(one.finding for one in compared)
    return INTRODUCTION.format(
        families=len(FAMILIES),
        shapes=len(make_shapes(SEED)),
        seed=SEED,
        equal=counts[Finding.EQUAL],
        different=counts[Finding.DIFFERENT],
        share=bridged_share(compared),
        refused=counts[Finding.REFUSED],
        refused_too=counts[Finding.REFUSED_TOO],
        more=counts[Finding.BRIDGED_MORE],
    )


def _row(family: Family, compared: list[Compared]) -> list[str]:
    bridges = FamilyBridges(family)
    report = run_plan(
        examine(),
        lambda request: bridges.local.render_now(request.messages, add_generation_prompt=request.add_generation_prompt),
    )
    name = family.name + ("" if family.real_vocabulary else " \\*")
    equal = str(sum(one.finding is Finding.EQUAL for one in compared))
    return [name, *_closes(bridges, report), *_verdicts(report), equal]


def _closes(bridges: FamilyBridges, report: TemplateReport) -> list[str]:
    if report.closes is None:
        return [report.problem, ""]
    plain, calls = report.closes.plain, report.closes.calls
    shown = ["(next)" if plain.is_opener else _code(bridges.local.decode(plain.ids))]
    if calls is None or calls.is_opener or calls.ids == plain.ids:
        return [*shown, ""]
    return [*shown, _code(bridges.local.decode(calls.ids))]


def _verdicts(report: TemplateReport) -> list[str]:
    proofs = [report.tails.get(kind) for kind in STANDARD_KINDS]
    return ["" if proof is None else "drops" if proof.dropped else WORDS[proof.verdict] for proof in proofs]


def _code(text: str) -> str:
    return "`" + text.replace("\n", "\\n").replace("|", "\\|") + "`"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    print(write_report(compare_all()), end="")
