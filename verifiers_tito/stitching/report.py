"""What a template allows, in one piece: for `tito doctor`, for tables, and for looking before a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from verifiers_tito.stitching.bridge import continuation
from verifiers_tito.stitching.junction import Junction
from verifiers_tito.stitching.outcome import Fallback
from verifiers_tito.stitching.past import Context
from verifiers_tito.stitching.plan import Plan
from verifiers_tito.stitching.proof import TailProof, TemplateCloses
from verifiers_tito.stitching.tail_kind import STANDARD_KINDS, TailKind
from verifiers_tito.stitching.template_book import TemplateBook
from verifiers_tito.stitching.way import derive


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateReport:
    """`closes` is None where nothing can be stitched; `problem` then says why. `strips_reasoning` are the kinds after
    which the template leaves the model's reasoning out of the history."""

    closes: TemplateCloses | None = None
    problem: str = ""
    tails: dict[TailKind, TailProof] = field(default_factory=dict)
    strips_reasoning: tuple[TailKind, ...] = ()
    closes_cut_turns: bool = False
    """Whether a turn that nothing ended gets the whole close; tried, like the rest."""

    @property
    def writes_calls(self) -> bool:
        """Whether the template shows the model which tools it has called."""
        return self.closes is not None and self.closes.calls is not None

    @property
    def can_bridge(self) -> bool:
        """Whether the plainest continuation, a user's message, is stitched."""
        return any(kind.roles == ("user",) and proof.verdict.is_bridged for kind, proof in self.tails.items())


def examine(book: TemplateBook | None = None) -> Plan[TemplateReport]:
    """Finds the closes and tries the usual kinds of tails. What is learned stays in `book`."""
    book = book or TemplateBook()
    yield from book.learn(STANDARD_KINDS[0], Context())
    if book.problem is not None:
        return TemplateReport(problem=book.problem.detail)
    strips = []
    for kind in STANDARD_KINDS:
        yield from book.learn_stripping(kind)
        if book.strips_reasoning(kind):
            strips.append(kind)
    tails = {kind: book.tails[kind, Context()] for kind in STANDARD_KINDS}
    closed = yield from _closes_cut_turns(book)
    return TemplateReport(closes=book.closes, tails=tails, strips_reasoning=tuple(strips), closes_cut_turns=closed)


def _closes_cut_turns(book: TemplateBook) -> Plan[bool]:
    """Continues a turn of no ids by a user's message: the close has to come before all else."""
    user, turn = {"role": "user", "content": "x"}, {"role": "assistant", "content": "x"}
    junction = Junction.between([user], turn, [user])
    way = book.way(junction)
    bridge = way if isinstance(way, Fallback) else (yield from derive(way, junction))
    if book.closes is None or isinstance(bridge, Fallback):
        return False
    close = book.closes.plain.ids
    return continuation([], bridge)[: len(close)] == close
