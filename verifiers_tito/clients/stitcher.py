"""Stitching a turn's prompt: the pure steps of `verifiers_tito.stitching`, with a tokenizer that renders for them.

One stitcher serves one server. It keeps what is proven of each template and the latest bridges, so that a turn costs
one rendering of the new messages, and none where the environment has said the same before; templates and histories
that want it have their whole conversations rendered, twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from verifiers_tito.clients.control_text import ControlTextGuard
from verifiers_tito.clients.driving import drive
from verifiers_tito.clients.native_messages import NativePrompt, to_native_messages
from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.clients.tokenizer_choice import TokenizerChoice
from verifiers_tito.stitching import (
    BoundedCache,
    Bridge,
    Context,
    Conversation,
    Fallback,
    Junction,
    PrefixIndex,
    PrefixMatch,
    PrefixMiss,
    Stitched,
    TailKind,
    TailProof,
    TemplateBook,
    TemplateReport,
    Way,
    derive,
    examine,
    sample_conversation,
    value_digest,
)
from verifiers_tito.tokenization import LocalTokenizer, ServerTokenizer
from verifiers_tito.transport import RouteMissingError
from verifiers_tito.types import FallbackReason, Message, State, StitchingConfig, ThinkingPolicy, TrajectoryStep
from verifiers_tito.wire.requests import changes_prompt_s_end

AnyMessages = Sequence[Message | Mapping[str, Any]]
Tokenizer = LocalTokenizer | ServerTokenizer

_INDEX_KEY = "_prefix_index"
_SUFFIX_KEY = "_cached_suffix_ids"
_SHELF_CAPACITY = 256
_BRIDGE_CAPACITY = 1024
_LONGEST_KEPT_BRIDGE = 1024
"""In ids. Longer environment messages (pages, files) hardly ever come twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """What is known of one template by one tokenizer, and the kinds of tails behind kinds of histories for which that
    suffices; whoever learns more holds the lock."""

    book: TemplateBook
    lock: asyncio.Lock
    ready: set[tuple[TailKind, Context]] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bridged:
    """A bridge and the control strings in its messages that no local tokenizer keeps text."""

    bridge: Bridge
    control_strings: tuple[str, ...] = ()


class Stitcher:
    """Finds the turn a prompt continues and adds the ids of what was said since."""

    def __init__(self, tokenizers: TokenizerChoice, guard: ControlTextGuard, config: StitchingConfig) -> None:
        self._tokenizers = tokenizers
        self._guard = guard
        self._config = config
        self._shelves: BoundedCache[tuple[str, bool], _Shelf] = BoundedCache(capacity=_SHELF_CAPACITY)
        self._bridges: BoundedCache[tuple[str, bytes], _Bridged] = BoundedCache(capacity=_BRIDGE_CAPACITY)
        self._no_tokenize: Fallback | None = None
        self._dropped: set[str] = set()
        self._logger = logging.getLogger(__name__)

    async def stitch(
        self, state: State, prompt: AnyMessages, template: TemplateInput, *, read: Conversation | None = None
    ) -> Stitched | Fallback:
        """The prompt in ids, or why it has to go in as messages. Writes only underscore keys of `state`. `read` is the
        prompt as `prefix_index(state)` has read it, if it has.

        Raises `UntrustedTextError` where a content would become control tokens and the policy does not allow it.
        """
        match = _match(state, prompt, template, read)
        if isinstance(match, Fallback):
            return match
        junction = _junction(prompt, match)
        try:
            tokenizer, shelf = await self._prepared(junction, template, state["trajectory"])
            if self._no_tokenize is not None and isinstance(tokenizer, ServerTokenizer):
                return self._no_tokenize
            return await self._continue(state, match, junction, template, tokenizer, shelf)
        except RouteMissingError as error:
            self._no_tokenize = self._without_tokenizer(template, error)
            return self._no_tokenize

    async def examine(self, template: TemplateInput) -> TemplateReport:
        """What the template allows, found out now: turns to come need not ask again."""
        tokenizer = await self._tokenizers.choose(template, ())
        shelf = self._shelf(template, tokenizer)
        async with shelf.lock:
            return await drive(examine(shelf.book), tokenizer, template)

    def _without_tokenizer(self, template: TemplateInput, error: RouteMissingError) -> Fallback:
        if self._tokenizers.differs(template.model):
            problem = self._tokenizers.problem(template.model)
            return Fallback(FallbackReason.TOKENIZER_MISMATCH, f"{problem}, and {error}")
        return Fallback(FallbackReason.TOKENIZE_MISSING, str(error))

    async def _continue(
        self,
        state: State,
        match: PrefixMatch,
        junction: Junction,
        template: TemplateInput,
        tokenizer: Tokenizer,
        shelf: _Shelf,
    ) -> Stitched | Fallback:
        book = shelf.book
        way = book.way(junction)
        if isinstance(way, Fallback):
            return way
        self._warn_of_dropped(book.tails[junction.kind, junction.context], template)
        state[_SUFFIX_KEY] = book.close_ids
        prompt_ids, completion_ids = _ids_of(match.step)
        follows_template = self._config.thinking is ThinkingPolicy.TEMPLATE and match.has_reasoning
        if follows_template and (way.whole or await self._strips(shelf, junction.kind, template, tokenizer)):
            count = len(prompt_ids) + len(completion_ids)
            return Fallback(FallbackReason.THINKING_STRIPPED, f"{count} ids are left behind")
        bridged = await self._bridge(junction, template, tokenizer, way)
        if isinstance(bridged, Fallback):
            return bridged
        problem = self._tokenizers.problem(template.model)
        passed = self._guard.pass_or_refuse(bridged.control_strings, model=template.model, why_not_local=problem)
        stitched = book.join(prompt_ids, completion_ids, bridged.bridge, ended=_ended_by_token(match.step, template))
        if isinstance(stitched, Fallback):
            return stitched
        who = "local" if isinstance(tokenizer, LocalTokenizer) else "server"
        return replace(stitched, control_strings=passed, tokenizer=who)

    async def _prepared(
        self, junction: Junction, template: TemplateInput, trajectory: Sequence[TrajectoryStep]
    ) -> tuple[Tokenizer, _Shelf]:
        """Who renders, and all that has to be known of the template for it."""
        while True:
            tokenizer = await self._tokenizers.choose(template, trajectory)
            shelf = self._shelf(template, tokenizer)
            nobody = self._no_tokenize is not None and isinstance(tokenizer, ServerTokenizer)
            if not nobody and (junction.kind, junction.context) not in shelf.ready:
                async with shelf.lock:  # whoever waited finds it learned, and asks for nothing
                    await self._learn(shelf, junction, template, tokenizer)
            if isinstance(tokenizer, ServerTokenizer) or not self._tokenizers.differs(template.model):
                return tokenizer, shelf

    async def _learn(self, shelf: _Shelf, junction: Junction, template: TemplateInput, tokenizer: Tokenizer) -> None:
        wanted = kind, context = junction.kind, junction.context
        is_local = isinstance(tokenizer, LocalTokenizer)
        if wanted in shelf.ready or (is_local and self._tokenizers.differs(template.model)):
            return
        await drive(shelf.book.learn(kind, context), tokenizer, template)
        if isinstance(tokenizer, LocalTokenizer):
            await self._tokenizers.compare(tokenizer, template, sample_conversation(kind, context, shelf.book.closes))
        shelf.ready.add(wanted)

    def _shelf(self, template: TemplateInput, tokenizer: Tokenizer) -> _Shelf:
        key = (template.family, isinstance(tokenizer, LocalTokenizer))
        shelf = self._shelves.get(key)
        if shelf is None:
            self._shelves.put(key, shelf := _Shelf(book=TemplateBook(), lock=asyncio.Lock()))
        return shelf

    async def _strips(self, shelf: _Shelf, kind: TailKind, template: TemplateInput, tokenizer: Tokenizer) -> bool:
        """Whether the template leaves reasoning out of a turn that this kind of tail follows."""
        async with shelf.lock:
            await drive(shelf.book.learn_stripping(kind), tokenizer, template)
        return shelf.book.strips_reasoning(kind)

    def _warn_of_dropped(self, proof: TailProof, template: TemplateInput) -> None:
        """Says once that a template does not write what an environment said; it would not on any other route either."""
        for role in set(proof.dropped) - self._dropped:
            self._dropped.add(role)
            self._logger.warning(
                "%s: the chat template does not write a %s message after an assistant's turn: the model never sees it",
                template.model,
                role,
            )

    async def _bridge(
        self, junction: Junction, template: TemplateInput, tokenizer: Tokenizer, way: Way
    ) -> _Bridged | Fallback:
        if way.whole:
            return await self._derive(junction, template, tokenizer, way)
        key = (template.key, value_digest(way.conversation(junction)))
        known = self._bridges.get(key)
        if known is not None:
            return known
        bridged = await self._derive(junction, template, tokenizer, way)
        if isinstance(bridged, _Bridged) and len(bridged.bridge.ids) <= _LONGEST_KEPT_BRIDGE:
            self._bridges.put(key, bridged)
        return bridged

    async def _derive(
        self, junction: Junction, template: TemplateInput, tokenizer: Tokenizer, way: Way
    ) -> _Bridged | Fallback:
        bridge = await drive(derive(way, junction), tokenizer, template)
        if isinstance(bridge, Fallback):
            return bridge
        if bridge.spellings is None:
            return _Bridged(bridge=bridge)
        passed = await self._guard.find(junction.tail, model=template.model, tokens=bridge.spellings)
        return _Bridged(bridge=bridge, control_strings=tuple(passed))


def prefix_index(state: State) -> PrefixIndex:
    """The rollout's index of its turns."""
    index: PrefixIndex = state.setdefault(_INDEX_KEY, PrefixIndex())
    return index


def _junction(prompt: AnyMessages, match: PrefixMatch) -> Junction:
    place = match.message_count - 1
    after, *tail = to_native_messages(prompt[place:])
    return Junction(after=after, tail=tail, history=NativePrompt(prompt[:place]), past=match.past)


def _ended_by_token(step: TrajectoryStep, template: TemplateInput) -> bool:
    """Whether the model ended the turn with a token of its own that ends turns. vLLM's `stop_reason` is none for the
    end-of-sequence token, an id for another one or for one that the request named, a text for a stop string. A turn
    that was cut short behind a tool call finishes with `tool_calls` too: only its length tells."""
    response = step.get("response")
    message = getattr(response, "message", None)
    if response is None or message is None or message.finish_reason not in ("stop", "tool_calls"):
        return False
    if message.finish_reason == "tool_calls":
        most = template.fields.get("max_completion_tokens")
        if most is None or message.tokens is None or len(message.tokens.completion_ids) >= most:
            return False
    named = template.fields.get("stop_token_ids") or []
    return not isinstance(response.stop_reason, str) and response.stop_reason not in named


def _match(
    state: State, prompt: AnyMessages, template: TemplateInput, read: Conversation | None
) -> PrefixMatch | Fallback:
    """The step to continue, with a tail that can be bridged."""
    trajectory: list[TrajectoryStep] = state.get("trajectory") or []
    if not trajectory:
        return Fallback(FallbackReason.FIRST_TURN)
    if changes_prompt_s_end(template.fields):
        return Fallback(FallbackReason.PROMPT_FLAGS)
    index = prefix_index(state)
    index.sync(trajectory)
    match = index.find(read or index.read(prompt))
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
