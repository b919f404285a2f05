"""What is known of one template: how it closes turns, and which kinds of tails have been proven. Filled as needed.

    book.learn(kind, context)    a plan: finds the closes, tries the usual kinds of tails once, and this one
    book.learn_stripping(kind)   a plan, for those who follow the template in leaving reasoning out
    book.way(junction)           how the bridge of a turn is derived, or why it is not bridged
    book.join(...)               a turn's ids and its bridge in one
    TemplateBridge               the same with a renderer that answers at once, from a turn to the next prompt

Whoever runs the plans (with a server, or at once with local files) gets the same bridges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from verifiers_tito.stitching.bridge import Bridge, continuation
from verifiers_tito.stitching.junction import Junction
from verifiers_tito.stitching.outcome import Fallback, Stitched
from verifiers_tito.stitching.past import Context
from verifiers_tito.stitching.plan import Plan, RenderRequest, run_plan
from verifiers_tito.stitching.proof import (
    TailProof,
    TemplateCloses,
    Verdict,
    find_closes,
    prove_tail,
    strips_reasoning,
)
from verifiers_tito.stitching.tail_kind import STANDARD_KINDS, TailKind
from verifiers_tito.stitching.turn_close import BridgeNotFoundError
from verifiers_tito.stitching.way import Way, derive
from verifiers_tito.tokenization import Rendering, TemplateRefusedError
from verifiers_tito.types import FallbackReason

_REASONS = {Verdict.UNPROVABLE: FallbackReason.TEMPLATE_UNPROVABLE, Verdict.MOVED: FallbackReason.TAIL_MOVED}


class TemplateBook:
    """Proofs for one template with one kind of arguments."""

    def __init__(self) -> None:
        self.closes: TemplateCloses | None = None
        self.tails: dict[tuple[TailKind, Context], TailProof] = {}
        self.problem: Fallback | None = None
        """Why nothing is bridged at all."""
        self._strips: dict[TailKind, bool] = {}
        self._openers: set[int] = set()
        """Control ids that bridges began with, where the template closes a turn with the next role's marker."""

    @property
    def close_ids(self) -> list[int]:
        """What the template writes to close a turn; nothing where it closes one with the next role's marker."""
        return [] if self.closes is None or self.closes.plain.is_opener else list(self.closes.plain.ids)

    def learn(self, kind: TailKind, context: Context) -> Plan[None]:
        """Whatever is missing for a verdict. What the tokenizer raises besides refusals leaves the book as it was."""
        closes = self.closes
        if closes is None and self.problem is None:
            try:
                closes = yield from find_closes()
            except BridgeNotFoundError as error:
                self.problem = Fallback(FallbackReason.TEMPLATE_UNPROVABLE, str(error))
            except TemplateRefusedError as error:
                self.problem = Fallback(FallbackReason.TEMPLATE_REFUSED, str(error))
        if closes is None:
            return
        proofs = {}
        for wanted in (*((usual, Context()) for usual in STANDARD_KINDS), (kind, context)):
            if wanted not in self.tails and wanted not in proofs:
                proofs[wanted] = yield from prove_tail(*wanted, closes)
        self.closes = closes
        self.tails |= proofs  # all at once: who asks meanwhile waits or learns them too

    def learn_stripping(self, kind: TailKind) -> Plan[None]:
        """Whether reasoning is left out before this kind of tail."""
        if self.closes is not None and kind not in self._strips:
            self._strips[kind] = yield from strips_reasoning(kind, self.closes)

    def way(self, junction: Junction) -> Way | Fallback:
        """How the bridge is derived, or why there is none. Learn its kind first."""
        if self.problem is not None:
            return self.problem
        kind, closes = junction.kind, self.closes
        proof = self.tails[kind, junction.context]
        if closes is None or closes.problem_with(kind):
            return Fallback(FallbackReason.TEMPLATE_UNPROVABLE, proof.detail)
        if junction.is_regular and proof.verdict in _REASONS:
            return Fallback(_REASONS[proof.verdict], proof.detail or str(kind))
        return Way(closes=closes, whole=not junction.is_regular or proof.verdict is not Verdict.BRIDGED)

    def join(
        self, prompt_ids: list[int], completion_ids: list[int], bridge: Bridge, *, ended: bool
    ) -> Stitched | Fallback:
        """A turn's ids continued by the bridge; see `continuation`."""
        if bridge.close.is_opener:
            self._openers.add(bridge.marker)
        openers = {*self._openers, *(proof.marker for proof in self.tails.values())}
        token_ids = [*prompt_ids, *completion_ids]
        try:
            token_ids += continuation(token_ids, bridge, ended=ended, openers=openers)
        except BridgeNotFoundError as error:
            return Fallback(FallbackReason.TURN_ENDED_OTHERWISE, str(error))
        return Stitched(
            token_ids=token_ids,
            reused_ids=len(prompt_ids) + len(completion_ids),
            earlier_prompt_ids=prompt_ids,
            neutralized=bridge.neutralized,
        )

    def strips_reasoning(self, kind: TailKind) -> bool:
        """Whether the template leaves the reasoning out of a turn that this kind of tail follows. Learn it first."""
        return self._strips[kind]


@dataclass(frozen=True, slots=True)
class TemplateBridge:
    """Stitching with a renderer that answers at once: for local files, and for trying a template out.

    bridge = TemplateBridge(book, render)     # render: RenderRequest -> Rendering
    bridge.extend(prompt_ids, completion_ids, Junction.between(history, assistant_message, new_messages))
    """

    book: TemplateBook
    render: Callable[[RenderRequest], Rendering]

    def extend(
        self, prompt_ids: list[int], completion_ids: list[int], junction: Junction, *, ended: bool = False
    ) -> Stitched | Fallback:
        """The next prompt: all ids so far and the bridge, or why it has to be rendered as a whole.

        `ended`: the model ended its turn with its last id, and was not cut short or stopped by a string.
        """
        bridge = self.bridge(junction)
        if isinstance(bridge, Fallback):
            return bridge
        return self.book.join(prompt_ids, completion_ids, bridge, ended=ended)

    def bridge(self, junction: Junction) -> Bridge | Fallback:
        """The ids behind the turn, its close included."""
        run_plan(self.book.learn(junction.kind, junction.context), self.render)
        way = self.book.way(junction)
        return way if isinstance(way, Fallback) else run_plan(derive(way, junction), self.render)
