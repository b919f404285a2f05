"""Stitching a turn's prompt: the pure steps of `verifiers_tito.stitching`, with a tokenizer that renders for them.

One stitcher serves one server. It keeps what is proven of each template and the latest bridges, so that a turn costs at
most one rendering of the new messages, and none where the environment has said the same before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from verifiers_tito.clients.control_text import ControlTextGuard
from verifiers_tito.clients.native_messages import to_native_messages
from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.clients.template_proofs import TemplateProofs
from verifiers_tito.clients.tokenizer_choice import TokenizerChoice
from verifiers_tito.stitching import (
    BoundedCache,
    Bridge,
    BridgeNotFoundError,
    Fallback,
    PrefixIndex,
    PrefixMatch,
    PrefixMiss,
    Stitched,
    TailKind,
    TemplateCloses,
    cut_bridge,
    join,
    stand_in,
    value_digest,
)
from verifiers_tito.tokenization import LocalTokenizer, ServerTokenizer, TemplateRefusedError
from verifiers_tito.transport import RouteMissingError
from verifiers_tito.types import FallbackReason, Message, State, StitchingConfig, ThinkingPolicy, TrajectoryStep
from verifiers_tito.wire.requests import changes_prompt_s_end

AnyMessages = Sequence[Message | Mapping[str, Any]]
Tokenizer = LocalTokenizer | ServerTokenizer

_INDEX_KEY = "_prefix_index"
_SUFFIX_KEY = "_cached_suffix_ids"
_BRIDGE_CAPACITY = 1024
_LONGEST_KEPT_BRIDGE = 1024
"""In ids. Longer environment messages (pages, files) hardly ever come twice."""


class Stitcher:
    """Finds the turn a prompt continues and adds the ids of what was said since."""

    def __init__(self, tokenizers: TokenizerChoice, guard: ControlTextGuard, config: StitchingConfig) -> None:
        self._tokenizers = tokenizers
        self._guard = guard
        self._config = config
        self._proofs: dict[tuple[str, bool], TemplateProofs] = {}
        self._bridges: BoundedCache[tuple[str, bytes], Bridge] = BoundedCache(capacity=_BRIDGE_CAPACITY)

    async def stitch(self, state: State, prompt: AnyMessages, template: TemplateInput) -> Stitched | Fallback:
        """The prompt in ids, or why it has to go in as messages. Writes only underscore keys of `state`.

        Raises `UntrustedTextError` where a content would become control tokens and the policy does not allow it.
        """
        match = _match(state, prompt, template)
        if isinstance(match, Fallback):
            return match
        tokenizer = await self._tokenizers.choose(template, state["trajectory"])
        proofs = self.proofs(tokenizer, template)
        closes = await proofs.closes()
        if isinstance(closes, Fallback):
            return closes
        state[_SUFFIX_KEY] = [] if closes.plain.is_opener else list(closes.plain.ids)
        after = to_native_messages([prompt[match.message_count - 1]])[0]
        tail = to_native_messages(prompt[match.message_count :])
        try:
            return await self._continue(match, after, tail, template, tokenizer, proofs, closes)
        except TemplateRefusedError as error:
            return Fallback(FallbackReason.TEMPLATE_REFUSED, str(error))
        except RouteMissingError as error:
            return Fallback(FallbackReason.TOKENIZE_MISSING, str(error))

    def proofs(self, tokenizer: Tokenizer, template: TemplateInput) -> TemplateProofs:
        """What `tokenizer` shows of the template."""
        key = (template.family, isinstance(tokenizer, LocalTokenizer))
        if key not in self._proofs:
            self._proofs[key] = TemplateProofs(tokenizer, template)
        return self._proofs[key]

    async def _continue(
        self,
        match: PrefixMatch,
        after: Mapping[str, Any],
        tail: list[dict[str, Any]],
        template: TemplateInput,
        tokenizer: Tokenizer,
        proofs: TemplateProofs,
        closes: TemplateCloses,
    ) -> Stitched | Fallback:
        prompt_ids, completion_ids = _ids_of(match.step)
        previous = prompt_ids + completion_ids
        kind = TailKind.of(tail, after=after)
        fallback = await proofs.fallback(kind, match.context, closes)
        if fallback is not None:
            return fallback
        follows_template = self._config.thinking is ThinkingPolicy.TEMPLATE and match.has_reasoning
        if follows_template and await proofs.strips_reasoning(kind, closes):
            return Fallback(FallbackReason.THINKING_STRIPPED, f"{len(previous)} ids are left behind")
        passed = await self._control_strings(tail, template, tokenizer)
        messages = stand_in(closes.style, context=match.context, after=after, tail=tail)
        try:
            bridge = await self._bridge(messages, after, template, tokenizer, closes)
        except BridgeNotFoundError as error:
            return Fallback(FallbackReason.TEMPLATE_UNPROVABLE, str(error))
        try:
            token_ids = join(previous, bridge, openers=await proofs.openers(closes))
        except BridgeNotFoundError as error:
            return Fallback(FallbackReason.TURN_ENDED_OTHERWISE, str(error))
        return Stitched(
            token_ids=token_ids,
            reused_ids=len(previous),
            earlier_prompt_ids=prompt_ids,
            neutralized=bridge.neutralized,
            control_strings=passed,
            tokenizer="local" if isinstance(tokenizer, LocalTokenizer) else "server",
        )

    async def _control_strings(self, tail: list[dict[str, Any]], template: TemplateInput, tokenizer: Tokenizer) -> int:
        """How many control strings of the tail pass: none locally, by policy on the server."""
        if isinstance(tokenizer, LocalTokenizer):
            return 0
        found = await self._guard.find(tail, model=template.model)
        problem = self._tokenizers.problem(template.model)
        return self._guard.pass_or_refuse(found, model=template.model, why_not_local=problem)

    async def _bridge(
        self,
        messages: Sequence[Mapping[str, Any]],
        after: Mapping[str, Any],
        template: TemplateInput,
        tokenizer: Tokenizer,
        closes: TemplateCloses,
    ) -> Bridge:
        key = (template.key, value_digest(messages))
        known = self._bridges.get(key)
        if known is not None:
            return known
        rendering = await tokenizer.render(messages, add_generation_prompt=True, **template.rendering)
        bridge = cut_bridge(rendering, closes.style.mark, closes.of(after))
        if len(bridge.ids) <= _LONGEST_KEPT_BRIDGE:
            self._bridges.put(key, bridge)
        return bridge


def _match(state: State, prompt: AnyMessages, template: TemplateInput) -> PrefixMatch | Fallback:
    """The step to continue, with a tail that can be bridged."""
    trajectory: list[TrajectoryStep] = state.get("trajectory") or []
    if not trajectory:
        return Fallback(FallbackReason.FIRST_TURN)
    if changes_prompt_s_end(template.fields):
        return Fallback(FallbackReason.PROMPT_FLAGS)
    index: PrefixIndex = state.setdefault(_INDEX_KEY, PrefixIndex())
    index.sync(trajectory)
    match = index.match(prompt)
    if isinstance(match, PrefixMiss):
        return Fallback(FallbackReason.MULTIMODAL if match.has_media else FallbackReason.NO_PREFIX)
    served = getattr(match.step.get("response"), "served", None)
    if served is not None and served.template_key not in ("", template.key):
        return Fallback(FallbackReason.TEMPLATE_INPUT_CHANGED)
    tail = prompt[match.message_count :]
    if not tail:
        return Fallback(FallbackReason.NO_NEW_MESSAGES)
    if any(message["role"] == "assistant" for message in tail):
        return Fallback(FallbackReason.TAIL_NOT_LEGAL)
    return match


def _ids_of(step: TrajectoryStep) -> tuple[list[int], list[int]]:
    """All ids of a turn as the server saw and sampled them; the step's own may be cut to `max_seq_len`."""
    message = getattr(step.get("response"), "message", None)
    if message is not None and message.tokens is not None:
        return message.tokens.prompt_ids, message.tokens.completion_ids
    tokens = step["tokens"]
    return (tokens["prompt_ids"], tokens["completion_ids"]) if tokens else ([], [])
