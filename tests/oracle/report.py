"""Prints `docs/agreement.md`: how far we and the hand-written renderers agree, family by family.

`python -m tests.oracle.report --write` writes the file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.oracle.comparison import SEED, Case, Verdict, What, cases_of
from tests.oracle.known_differences import KNOWN_DIFFERENCES, KnownDifference, Right
from tests.oracle.pairs import PAIRS, Pair

FILE = Path(__file__).parents[2] / "docs" / "agreement.md"
NAMES_SHOWN = 4

INTRODUCTION = """\
# Agreement with hand-written renderers

`verifiers_tito` derives prompts and bridges from a model's chat template. The package `renderers` {version} writes
them by hand, one Python class per model family, and reads no template. Here both are asked for the ids of the same
conversations: the first turn's prompt, and the bridge behind a sampled turn. The conversations are the seeded shapes
of `tests/corpus` (seed {seed}). The judge is the template: `transformers.apply_chat_template` for prompts, the
reference of `tests/corpus` for bridges.

Every difference is listed with its reason and with who is right by the template: who gives its ids, or declines where
it refuses or rewrites what came before. Tests hold the list to the letter: a new difference fails, and so does one
that is gone. What is not listed is the same, id for id.

The renderers run with `thinking_retention="all"`: left alone, most decline every bridge to a user's message. That a
side declines means that it has no bridge and the prompt is rendered as a whole. Vocabularies of Gemma, GLM and
Nemotron are stand-ins with the real control tokens.

To run it: `pip install --no-deps renderers=={version} prime-pydantic-config==0.4.3`. Without `--no-deps` pip also
installs `openai-harmony`, which writes over the module `openai_harmony` that vLLM brings (as `oss-harmony`). Then
`pytest tests/oracle`; `python -m tests.oracle.report --write` writes this page.
"""


def report() -> str:
    """The whole page. Deterministic: it holds counts and declared reasons, no dates and no texts."""
    from renderers import __version__ as version  # noqa: PLC0415  not installed everywhere

    sections = ["\n".join(lines) for lines in (_overview(), *(_section(pair) for pair in PAIRS))]
    return "\n".join([INTRODUCTION.format(version=version, seed=SEED), *(f"{section}\n" for section in sections)])


def _overview() -> Iterator[str]:
    yield "| Family | Renderer | Prompts equal | Bridges equal | Differ: we are right | It is right | Policy |"
    yield "|---|---|---|---|---|---|---|"
    everything = [case for pair in PAIRS for case in cases_of(pair.family)]
    for pair in PAIRS:
        yield _row(f"`{pair.family}`", f"`{pair.renderer}`", *_counts(cases_of(pair.family)))
    yield _row("all", "", *_counts(everything))
    ours = [case for case in everything for known in _covering(case) if known.right is Right.OURS]
    judged = sum(case.template.ids is not None for case in ours)
    rest = len(ours) - judged
    yield f"\nWhere we are right, the template gives our ids in {judged} cases. In the other {rest} it gives"
    yield "none to compare with: it raises, drops or moves a message, or does not write the turn."


def _section(pair: Pair) -> Iterator[str]:
    cases = cases_of(pair.family)
    yield f"## {pair.family}\n"
    yield f"Prompts equal: {_equal(cases, What.PROMPT)}. Bridges equal: {_equal(cases, What.BRIDGE)}."
    if pair.prefill:
        yield f"The renderer writes `{pair.prefill}` behind every generation prompt, the template nothing: not counted."
    if pair.note:
        yield pair.note
    rows = _differences(pair, cases)
    if rows:
        yield "\n| Difference in | Outcome | Conversations | Reason | Right by the template |"
        yield "|---|---|---|---|---|"
        yield from rows


def _differences(pair: Pair, cases: tuple[Case, ...]) -> list[str]:
    """One row for each reason, outcome and kind of prompt."""
    rows: dict[tuple[What, Verdict, str, Right], list[str]] = {}
    for known in KNOWN_DIFFERENCES:
        if pair.family in known.families:
            names = rows.setdefault((known.what, known.verdict, known.reason, known.right), [])
            names += [f"`{case.name}`" for case in cases if known.covers(case)]
    return [
        _row(what, verdict, _shortened(names), reason, right) for (what, verdict, reason, right), names in rows.items()
    ]


def _shortened(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{len(names)}: {shown}, ..." if len(names) > NAMES_SHOWN else shown


def _counts(cases: list[Case] | tuple[Case, ...]) -> list[str]:
    right = [known.right for case in cases for known in _covering(case)]
    return [*(_equal(cases, what) for what in What), *(str(right.count(each)) for each in Right)]


def _covering(case: Case) -> list[KnownDifference]:
    return [known for known in KNOWN_DIFFERENCES if known.covers(case)]


def _equal(cases: list[Case] | tuple[Case, ...], what: What) -> str:
    verdicts = [case.verdict for case in cases if case.what is what]
    equal = f"{sum(verdict.is_agreement for verdict in verdicts)} of {len(verdicts)}"
    declined = verdicts.count(Verdict.BOTH_DECLINE)
    return f"{equal} (both decline {declined})" if declined else equal


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(report(), encoding="utf-8")
    else:
        sys.stdout.write(report())
