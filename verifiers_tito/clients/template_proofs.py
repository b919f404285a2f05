"""What is known of one template, found out once: its closes, and which kinds of tails can be bridged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.stitching import (
    STANDARD_KINDS,
    BridgeNotFoundError,
    Context,
    Fallback,
    Plan,
    Rendered,
    TailKind,
    TailProof,
    TemplateCloses,
    Verdict,
    find_closes,
    prove_tail,
    strips_reasoning,
)
from verifiers_tito.tokenization import ChatTokenizer, TemplateRefusedError
from verifiers_tito.transport import RouteMissingError
from verifiers_tito.types import FallbackReason

ResultT = TypeVar("ResultT")

_REASONS = {
    Verdict.REFUSED: FallbackReason.TEMPLATE_REFUSED,
    Verdict.UNPROVABLE: FallbackReason.TEMPLATE_UNPROVABLE,
    Verdict.MOVED: FallbackReason.TAIL_MOVED,
    Verdict.HISTORY_DEPENDENT: FallbackReason.HISTORY_DEPENDENT,
}


class TemplateProofs:
    """Proofs for one tokenizer and one family of template arguments. Rollouts that ask at once share the work."""

    def __init__(self, tokenizer: ChatTokenizer, template: TemplateInput) -> None:
        self._tokenizer = tokenizer
        self._template = template
        self._running: dict[Hashable, asyncio.Task[Any]] = {}
        self._logger = logging.getLogger(__name__)

    async def closes(self) -> TemplateCloses | Fallback:
        """How the template closes turns. The first caller also has the usual kinds of tails tried, so that it is
        known early what can be bridged."""
        return await self._once("closes", self._find_closes)

    async def tail(self, kind: TailKind, context: Context, closes: TemplateCloses) -> TailProof:
        return await self._once(
            (kind, context), lambda: drive(prove_tail(kind, context, closes), self._tokenizer, self._template)
        )

    async def fallback(self, kind: TailKind, context: Context, closes: TemplateCloses) -> Fallback | None:
        """Why this kind of tail is not bridged; None where it is."""
        proof = await self.tail(kind, context, closes)
        if proof.verdict is Verdict.BRIDGED:
            return None
        return Fallback(_REASONS[proof.verdict], proof.detail or str(kind))

    async def strips_reasoning(self, kind: TailKind, closes: TemplateCloses) -> bool:
        return await self._once(
            ("reasoning", kind), lambda: drive(strips_reasoning(kind, closes), self._tokenizer, self._template)
        )

    async def openers(self, closes: TemplateCloses) -> frozenset[int]:
        """First ids of what may follow a turn, where the template closes a turn with them."""
        if not closes.plain.is_opener:
            return frozenset()
        proofs = [await self.tail(kind, Context(), closes) for kind in STANDARD_KINDS]
        return frozenset(proof.first_id for proof in proofs if proof.first_id is not None)

    async def _find_closes(self) -> TemplateCloses | Fallback:
        try:
            closes = await drive(find_closes(), self._tokenizer, self._template)
        except BridgeNotFoundError as error:
            return Fallback(FallbackReason.TEMPLATE_UNPROVABLE, str(error))
        except TemplateRefusedError as error:
            return Fallback(FallbackReason.TEMPLATE_REFUSED, str(error))
        except RouteMissingError as error:
            return Fallback(FallbackReason.TOKENIZE_MISSING, str(error))
        proofs = {kind: await self.tail(kind, Context(), closes) for kind in STANDARD_KINDS}
        verdicts = ", ".join(f"{kind}: {proof.verdict}" for kind, proof in proofs.items())
        self._logger.info("%s: %s", self._template.model, verdicts)
        return closes

    async def _once(self, key: Hashable, find: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """What `find` gives; found once, also where several ask at the same time. An error is not remembered."""
        task = self._running.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._running[key] = asyncio.ensure_future(find())
        return await asyncio.shield(task)  # one rollout's cancellation is not the others'


async def drive(plan: Plan[ResultT], tokenizer: ChatTokenizer, template: TemplateInput) -> ResultT:
    """Runs `plan` with a tokenizer that may have to be waited for."""
    try:
        requests = next(plan)
        while True:
            rendered: list[Rendered] = []
            for request in requests:
                try:
                    rendering = await tokenizer.render(
                        request.messages, add_generation_prompt=request.add_generation_prompt, **template.rendering
                    )
                    rendered.append(rendering)
                except TemplateRefusedError as error:
                    rendered.append(error)
            requests = plan.send(rendered)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
