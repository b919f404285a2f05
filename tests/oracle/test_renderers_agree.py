"""Our prompts and bridges are those of hand-written renderers, but for the declared differences."""

from __future__ import annotations

import pytest

from tests.corpus.shapes import make_shapes
from tests.oracle.comparison import SEED, Case, SideBySide, Verdict, What, cases_of
from tests.oracle.known_differences import CONTROL_STRINGS, KNOWN_DIFFERENCES, KnownDifference, Right
from tests.oracle.pairs import PAIRS, Pair, tokenizer_for
from tests.oracle.report import FILE, report
from verifiers_tito.types import ControlTextPolicy, first_difference

for module in ("renderers", "openai_harmony"):
    pytest.importorskip(module, reason=f"the oracle needs {module}; docs/agreement.md says how to install it")

pytestmark = pytest.mark.corpus

every_pair = pytest.mark.parametrize("pair", PAIRS, ids=[pair.family for pair in PAIRS])
every_difference = pytest.mark.parametrize(
    "known",
    KNOWN_DIFFERENCES,
    ids=[f"{known.families[0]}-{known.what}-{known.shapes[0]}" for known in KNOWN_DIFFERENCES],
)


def covered(known: KnownDifference) -> list[Case]:
    return [case for family in known.families for case in cases_of(family) if known.covers(case)]


def shown(case: Case) -> str:
    """Both sides' texts from a little before the place where they part."""
    if case.ours.ids is None or case.theirs.ids is None:
        return f"{case.family} {case.what} {case.name}: {case.verdict} ({case.ours.refusal}{case.theirs.refusal})"
    start = max((first_difference(case.ours.ids, case.theirs.ids) or 0) - 5, 0)
    decode = tokenizer_for(case.family).decode
    ours, theirs = (decode(ids[start : start + 30]) for ids in (case.ours.ids, case.theirs.ids))
    return f"{case.family} {case.what} {case.name}: {case.verdict}\n  ours   {ours!r}\n  theirs {theirs!r}"


@every_pair
def test_every_prompt_and_bridge_is_the_same_but_for_the_declared_differences(pair: Pair) -> None:
    undeclared = [
        shown(case)
        for case in cases_of(pair.family)
        if not case.verdict.is_agreement and not any(known.covers(case) for known in KNOWN_DIFFERENCES)
    ]
    assert not undeclared, "\n".join(undeclared)


@every_difference
def test_a_declared_difference_is_still_there_and_still_the_same(known: KnownDifference) -> None:
    gone = [shown(case) for case in covered(known) if case.verdict is not known.verdict]
    assert not gone, "\n".join(gone)


@every_difference
def test_every_conversation_that_a_difference_names_is_compared_in_every_family(known: KnownDifference) -> None:
    for family in known.families:
        names = {case.name for case in cases_of(family) if case.what is known.what}
        assert set(known.shapes) <= names, family


@every_pair
def test_no_difference_is_declared_twice(pair: Pair) -> None:
    for case in cases_of(pair.family):
        assert sum(known.covers(case) for known in KNOWN_DIFFERENCES) <= 1, case.name


@every_difference
def test_the_template_says_that_who_is_declared_right_is_right(known: KnownDifference) -> None:
    for case in covered(known):
        if known.right is Right.POLICY or case.template.ids is None:
            continue
        answer = case.ours if known.right is Right.OURS else case.theirs
        assert answer.ids == case.template.ids, shown(case)


@every_pair
def test_where_both_agree_the_template_agrees_too(pair: Pair) -> None:
    for case in cases_of(pair.family):
        if case.verdict is Verdict.SAME_IDS and case.template.ids is not None:
            assert case.ours.ids == case.template.ids, shown(case)


@every_pair
def test_most_of_what_is_compared_is_judged_by_the_template(pair: Pair) -> None:
    """Else the tests above would say little: conversations that a template refuses have no judge."""
    cases = cases_of(pair.family)
    for what in What:
        mine = [case for case in cases if case.what is what]
        assert sum(case.template.ids is not None for case in mine) > 0.8 * len(mine)


@pytest.mark.parametrize("known", CONTROL_STRINGS, ids=["user", "tool"])
def test_control_strings_differ_by_our_policy_alone(known: KnownDifference) -> None:
    shapes = [shape for shape in make_shapes(SEED) if shape.name in known.shapes]
    for pair in (pair for pair in PAIRS if pair.family in known.families):
        side_by_side = SideBySide(pair, policy=ControlTextPolicy.PARSE)
        for case in (case for shape in shapes for case in side_by_side.cases(shape)):
            assert case.verdict is Verdict.SAME_IDS, shown(case)


def test_the_committed_page_is_what_the_report_prints() -> None:
    assert FILE.read_text(encoding="utf-8") == report(), "run: python -m tests.oracle.report --write"
