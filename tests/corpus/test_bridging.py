"""The bridge over real templates and real tokenizers: never wrong, hardly ever refused, and never without a reason."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.corpus.comparison import SEED, Compared, FamilyBridges, Finding, bridged_share, compare_all
from tests.corpus.families import FAMILIES
from tests.corpus.family import Family
from tests.corpus.random_shapes import random_shape
from tests.corpus.reference import ReferenceOutcome, UndeclaredCloseError, reference_bridge
from tests.corpus.report import write_report
from tests.corpus.shapes import make_shapes
from verifiers_tito.stitching import Bridge, Fallback, Junction, TemplateBook, TemplateBridge
from verifiers_tito.tokenization import ServerRendering
from verifiers_tito.types import ControlTextPolicy

pytestmark = pytest.mark.corpus

each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@pytest.fixture(scope="module")
def compared() -> list[Compared]:
    return compare_all()


def test_there_are_families_and_shapes_enough(compared: list[Compared]) -> None:
    assert len({one.family for one in compared}) >= 22
    assert len({one.shape for one in compared}) >= 30


def test_no_bridge_differs_from_the_template_s_own(compared: list[Compared]) -> None:
    assert [one for one in compared if one.finding is Finding.DIFFERENT] == []
    assert sum(one.finding is Finding.EQUAL for one in compared) > 2500


def test_at_least_99_percent_of_the_turns_that_templates_write_are_bridged(compared: list[Compared]) -> None:
    assert bridged_share(compared) >= 0.99


def test_every_family_bridges_the_plain_follow_up(compared: list[Compared]) -> None:
    plain = [one for one in compared if one.shape == "user_follows_up"]
    assert {one.family for one in plain if one.finding is Finding.EQUAL} == {family.name for family in FAMILIES}


def test_every_refusal_has_its_reason(compared: list[Compared]) -> None:
    refused = [one for one in compared if one.finding in (Finding.REFUSED, Finding.REFUSED_TOO)]
    assert refused
    assert [one for one in refused if not one.detail] == []


def test_only_a_turn_that_ended_for_another_role_is_refused_where_the_template_writes_it(
    compared: list[Compared],
) -> None:
    refused = [one for one in compared if one.finding is Finding.REFUSED]
    assert {one.family for one in refused} == {"glm4moe"}
    assert all("marker of another role" in one.detail for one in refused)


def test_what_a_template_moves_before_the_turn_is_never_bridged(compared: list[Compared]) -> None:
    moved = [one for one in compared if one.reference is ReferenceOutcome.MOVES]
    assert moved
    assert {one.finding for one in moved} == {Finding.REFUSED_TOO}


def test_the_table_of_families_is_current(compared: list[Compared]) -> None:
    document = Path(__file__).parents[2] / "docs" / "bridging.md"
    assert document.read_text() == write_report(compared), "write it anew: make docs"


@each_family
def test_conversations_of_random_make_up_are_bridged_as_the_template_writes_them(family: Family) -> None:
    bridges, random = FamilyBridges(family, policy=ControlTextPolicy.PARSE), Random(SEED)
    compared = []
    for _ in range(20):
        try:
            compared += bridges.compare(random_shape(random))
        except UndeclaredCloseError:
            continue  # the reference has not been told how such a turn ends
    assert [one for one in compared if one.finding is Finding.DIFFERENT] == []
    assert any(one.finding is Finding.EQUAL for one in compared)


@each_family
def test_the_server_s_tokenizer_gives_the_same_bridges(family: Family) -> None:
    """The server's answer has no text, only ids and their spellings."""
    bridges = FamilyBridges(family, policy=ControlTextPolicy.PARSE)
    books: dict[str, TemplateBook] = {}
    for shape in make_shapes(SEED):
        if shape.holds_control_strings:
            continue
        junction = Junction.between(shape.history, shape.assistant, shape.tail)

        def from_server(request, shape=shape):  # type: ignore[no-untyped-def]
            ids = bridges.render(request, shape).ids_from(0)
            return ServerRendering(ids, bridges.tokenizer.convert_ids_to_tokens(ids))

        book = books.setdefault(repr((bool(shape.tools), shape.template_kwargs)), TemplateBook())
        assert _told(TemplateBridge(book, from_server).bridge(junction)) == _told(bridges.of(shape).bridge(junction))


@each_family
def test_untrusted_text_stays_text_and_harmless_text_stays_as_it_was(family: Family) -> None:
    bridges = FamilyBridges(family)
    for shape in make_shapes(SEED):
        if shape.name == "control_string_in_system_message":
            continue  # an author's own words
        for control in [family.control_string, *list(bridges.local.controls.ids)[:5]]:
            _check_control_ids(bridges, shape.with_control_string(control), control)
            if not shape.holds_control_strings:
                break


def _check_control_ids(bridges: FamilyBridges, shape, control: str) -> None:  # type: ignore[no-untyped-def]
    reference = reference_bridge(bridges.family, bridges.tokenizer, shape)
    bridge = bridges.of(shape).bridge(Junction.between(shape.history, shape.assistant, shape.tail))
    if isinstance(bridge, Fallback) or reference.outcome not in (ReferenceOutcome.RENDERS, ReferenceOutcome.REPEATS):
        return
    if control not in repr(shape.tail):
        assert tuple(bridge.ids) == reference.bridge_ids, shape.name
        return
    controls = bridges.local.controls.id_set
    assert tuple(token_id for token_id in bridge.ids if token_id in controls) == reference.control_ids, shape.name
    assert bridge.neutralized > 0


def _told(outcome: Bridge | Fallback) -> object:
    return str(outcome.reason) if isinstance(outcome, Fallback) else (outcome.ids, outcome.close_length)
