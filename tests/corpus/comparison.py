"""The library beside the reference: one family, all shapes, every way a turn can end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.corpus.families import FAMILIES, load_family
from tests.corpus.family import Family
from tests.corpus.reference import Reference, ReferenceOutcome, appended_ids, reference_bridge, sampled_ends
from tests.corpus.shape import Shape
from tests.corpus.shapes import make_shapes
from verifiers_tito.stitching import Fallback, Junction, RenderRequest, TemplateBook, TemplateBridge
from verifiers_tito.tokenization import LocalTokenizer, Rendering
from verifiers_tito.types import ControlTextPolicy

SEED = 7
PROMPT = [1, 2, 3]
"""Any ids: what was sent before has no part in a bridge."""


class Finding(StrEnum):
    """One turn of the library's beside the reference's."""

    EQUAL = "equal"
    DIFFERENT = "different"
    REFUSED = "refused"  # although the template writes it
    REFUSED_TOO = "refused too"  # the template raises, or moves a message of the tail before the turn
    BRIDGED_MORE = "bridged more"  # the template drops the tail or trips over the history; no ids to compare with


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """`detail` says the library's reason, or how the ids part."""

    family: str
    shape: str
    end: str
    finding: Finding
    reference: ReferenceOutcome
    detail: str = ""


class FamilyBridges:
    """The library's bridges for one family, with one book for each kind of template arguments, as a client has."""

    def __init__(self, family: Family, **settings: Any) -> None:
        self.family = family
        self.tokenizer = load_family(family.name)
        self.local = LocalTokenizer(self.tokenizer, **settings)
        self._books: dict[str, TemplateBook] = {}

    def of(self, shape: Shape) -> TemplateBridge:
        key = repr((bool(shape.tools), shape.template_kwargs))
        return TemplateBridge(self._books.setdefault(key, TemplateBook()), lambda request: self.render(request, shape))

    def render(self, request: RenderRequest, shape: Shape) -> Rendering:
        return self.local.render_now(
            request.messages,
            tools=shape.tools,
            template_fields={"chat_template_kwargs": shape.template_kwargs},
            add_generation_prompt=request.add_generation_prompt,
        )

    def compare(self, shape: Shape) -> Iterator[Compared]:
        """One comparison for each way the sampled ids can end."""
        shape = shape.with_control_string(self.family.control_string)
        reference = reference_bridge(self.family, self.tokenizer, shape)
        junction = Junction.between(shape.history, shape.assistant, shape.tail)
        for end in sampled_ends(self.family, shape):
            sampled = self.local.encode(shape.body_text) + (self.local.encode(end) if end else [])
            outcome = self.of(shape).extend(PROMPT, sampled, junction, ended=bool(end))
            if isinstance(outcome, Fallback):
                finding, detail = _refusal(reference), str(outcome)
            else:
                assert outcome.token_ids[: len(PROMPT) + len(sampled)] == PROMPT + sampled, "sampled ids were changed"
                new = outcome.token_ids[len(PROMPT) + len(sampled) :]
                finding, detail = self._judge(new, reference, end)
            yield Compared(
                family=self.family.name,
                shape=shape.name,
                end=end,
                finding=finding,
                reference=reference.outcome,
                detail=detail,
            )

    def _judge(self, new: list[int], reference: Reference, end: str) -> tuple[Finding, str]:
        if not _writes(reference):
            return Finding.BRIDGED_MORE, reference.detail
        expected = list(appended_ids(self.family, reference, end))
        if new == expected:
            return Finding.EQUAL, ""
        return Finding.DIFFERENT, f"{self.local.decode(new)!r} instead of {self.local.decode(expected)!r}"


def compare_all() -> list[Compared]:
    """All families and shapes. Control strings in contents are left to the template, as the reference does it."""
    families = (FamilyBridges(family, policy=ControlTextPolicy.PARSE) for family in FAMILIES)
    return [one for bridges in families for shape in make_shapes(SEED) for one in bridges.compare(shape)]


def bridged_share(compared: list[Compared]) -> float:
    """Of the turns that the templates write, how many are bridged."""
    counts = Counter(one.finding for one in compared)
    written = counts[Finding.EQUAL] + counts[Finding.DIFFERENT] + counts[Finding.REFUSED]
    return (counts[Finding.EQUAL] + counts[Finding.DIFFERENT]) / written if written else 1.0


def _writes(reference: Reference) -> bool:
    return reference.outcome in (ReferenceOutcome.RENDERS, ReferenceOutcome.REPEATS)


def _refusal(reference: Reference) -> Finding:
    return Finding.REFUSED if _writes(reference) else Finding.REFUSED_TOO
