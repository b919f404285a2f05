"""What a template allows, in one piece: for `tito doctor`, for tables, and for looking before a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from verifiers_tito.stitching.plan import Plan
from verifiers_tito.stitching.proof import (
    STANDARD_KINDS,
    TailKind,
    TailProof,
    TemplateCloses,
    Verdict,
    find_closes,
    prove_tail,
    strips_reasoning,
)
from verifiers_tito.stitching.stand_in import Context
from verifiers_tito.stitching.turn_close import BridgeNotFoundError
from verifiers_tito.tokenization import TemplateRefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateReport:
    """`closes` is None where nothing can be stitched; `problem` then says why. `strips_reasoning` are the kinds after
    which the template leaves the model's reasoning out of the history."""

    closes: TemplateCloses | None = None
    problem: str = ""
    tails: dict[TailKind, TailProof] = field(default_factory=dict)
    strips_reasoning: tuple[TailKind, ...] = ()

    @property
    def can_bridge(self) -> bool:
        """Whether the plainest continuation, a user's message, is stitched."""
        return any(kind.roles == ("user",) and proof.verdict is Verdict.BRIDGED for kind, proof in self.tails.items())


def examine() -> Plan[TemplateReport]:
    """Finds the closes and tries the usual kinds of tails."""
    try:
        closes = yield from find_closes()
    except (BridgeNotFoundError, TemplateRefusedError) as error:
        return TemplateReport(problem=str(error))
    tails: dict[TailKind, TailProof] = {}
    strips: list[TailKind] = []
    for kind in STANDARD_KINDS:
        tails[kind] = yield from prove_tail(kind, Context(), closes)
        if tails[kind].verdict is Verdict.BRIDGED and (yield from strips_reasoning(kind, closes)):
            strips.append(kind)
    return TemplateReport(closes=closes, tails=tails, strips_reasoning=tuple(strips))
