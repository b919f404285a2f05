"""Stitching a turn's prompt: the pure steps of `verifiers_tito.stitching`, with a tokenizer that renders for them.

One stitcher serves one server. It keeps the closes and the latest bridges per model and template arguments, so that a
turn costs at most one rendering and a repeated environment message none. Rollouts that ask for the same rendering at
once share one.
"""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from verifiers_tito.stitching import (
    BoundedCache,
    BridgeConversation,
    BridgeNotFoundError,
    Fallback,
    PrefixIndex,
    PrefixMatch,
    Stitched,
    bridge_conversation,
    close_conversation,
    cut_bridge,
    cut_close,
    join,
    value_digest,
)
from verifiers_tito.tokenization import ChatTokenizer, Rendered, TemplateRefusedError
from verifiers_tito.transport import RouteMissingError
from verifiers_tito.types import FallbackReason, State, TrajectoryStep, has_media
from verifiers_tito.wire.requests import changes_prompt_s_end, rendering_fields, tokenize_fields

NativeMessages = Sequence[Mapping[str, Any]]

_INDEX_KEY = "_prefix_index"
_SUFFIX_KEY = "_cached_suffix_ids"
_CLOSE_CAPACITY = 64
_BRIDGE_CAPACITY = 1024
_LONGEST_KEPT_BRIDGE = 1024
"""In ids. Longer environment messages (pages, files) hardly ever come twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateInput:
    """What besides the messages decides how a prompt is rendered. `fields` are those of the request.

    `key` names all of it; it is equal for turns that may be stitched to each other.
    """

    model: str
    tools: NativeMessages | None
    fields: Mapping[str, Any]
    key: str = field(init=False)

    def __post_init__(self) -> None:
        digest = value_digest([self.model, self.tools or [], rendering_fields(self.fields)])
        object.__setattr__(self, "key", digest.hex())


class Stitcher:
    """Finds the turn a prompt continues and adds the ids of what was said since."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self._tokenizer = tokenizer
        self._nonce = "".join(random.SystemRandom().choices(string.ascii_lowercase, k=12))
        self._closes: BoundedCache[str, list[int] | Fallback] = BoundedCache(capacity=_CLOSE_CAPACITY)
        self._bridges: BoundedCache[tuple[str, bytes], list[int]] = BoundedCache(capacity=_BRIDGE_CAPACITY)
        self._running: dict[Hashable, asyncio.Task[list[int] | Fallback]] = {}

    async def stitch(self, state: State, prompt: NativeMessages, template: TemplateInput) -> Stitched | Fallback:
        """The prompt in ids, or why it has to go in as messages. Writes only underscore keys of `state`."""
        match = _match(state, prompt, template)
        if isinstance(match, Fallback):
            return match
        close = state.get(_SUFFIX_KEY) or await self._close(template)
        if isinstance(close, Fallback):
            return close
        state[_SUFFIX_KEY] = list(close)
        tail, after = prompt[match.message_count :], prompt[match.message_count - 1]
        bridge = await self._bridge(tail, after, template, close)
        if isinstance(bridge, Fallback):
            return bridge
        previous = _ids_of(match.step)
        return Stitched(token_ids=join(previous, bridge, close=close), reused_ids=len(previous))

    async def _close(self, template: TemplateInput) -> list[int] | Fallback:
        """The ids that close an assistant turn. That there are none is remembered too."""
        known = self._closes.get(template.key)
        if known is not None:
            return known
        conversation = close_conversation(self._nonce)

        async def derive() -> list[int]:
            return cut_close(await self._render(conversation, template, generation_prompt=False), conversation)

        close = await self._once(template.key, derive)
        self._closes.put(template.key, close)
        return close

    async def _bridge(
        self, tail: NativeMessages, after: Mapping[str, Any], template: TemplateInput, close: list[int]
    ) -> list[int] | Fallback:
        conversation = bridge_conversation(tail, after=after, nonce=self._nonce)
        key = (template.key, value_digest(conversation.messages))
        known = self._bridges.get(key)
        if known is not None:
            return known

        async def derive() -> list[int]:
            rendered = await self._render(conversation, template, generation_prompt=True)
            return cut_bridge(rendered, conversation, close=close)

        bridge = await self._once(key, derive)
        if isinstance(bridge, list) and len(bridge) <= _LONGEST_KEPT_BRIDGE:
            self._bridges.put(key, bridge)
        return bridge

    async def _once(self, key: Hashable, derive: Callable[[], Awaitable[list[int]]]) -> list[int] | Fallback:
        """What `derive` gives; callers that come while it runs for the same key wait for the same result."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(_ids_or_fallback(derive))
            task.add_done_callback(lambda _: self._running.pop(key))
        return await asyncio.shield(task)  # one rollout's cancellation is not the others'

    async def _render(
        self, conversation: BridgeConversation, template: TemplateInput, *, generation_prompt: bool
    ) -> Rendered:
        return await self._tokenizer.render(
            conversation.messages,
            model=template.model,
            tools=template.tools,
            template_fields=tokenize_fields(template.fields),
            add_generation_prompt=generation_prompt,
        )


async def _ids_or_fallback(derive: Callable[[], Awaitable[list[int]]]) -> list[int] | Fallback:
    try:
        return await derive()
    except TemplateRefusedError as error:
        return Fallback(FallbackReason.TEMPLATE_REFUSED, str(error))
    except BridgeNotFoundError as error:
        return Fallback(FallbackReason.TEMPLATE_UNPROVABLE, str(error))
    except RouteMissingError as error:
        return Fallback(FallbackReason.TOKENIZE_MISSING, str(error))


def _match(state: State, prompt: NativeMessages, template: TemplateInput) -> PrefixMatch | Fallback:
    """The step to continue, with a tail that can be bridged."""
    trajectory: list[TrajectoryStep] = state.get("trajectory") or []
    if not trajectory:
        return Fallback(FallbackReason.FIRST_TURN)
    if changes_prompt_s_end(template.fields):
        return Fallback(FallbackReason.PROMPT_FLAGS)
    index: PrefixIndex = state.setdefault(_INDEX_KEY, PrefixIndex())
    index.sync(trajectory)
    if index.has_media or any(map(has_media, prompt)):
        return Fallback(FallbackReason.MULTIMODAL)
    match = index.match(prompt)
    if match is None:
        return Fallback(FallbackReason.NO_PREFIX)
    served = getattr(match.step.get("response"), "served", None)
    if served is not None and served.template_key not in ("", template.key):
        return Fallback(FallbackReason.TEMPLATE_INPUT_CHANGED)
    tail = prompt[match.message_count :]
    if not tail:
        return Fallback(FallbackReason.NO_NEW_MESSAGES)
    if any(message["role"] == "assistant" for message in tail):
        return Fallback(FallbackReason.TAIL_NOT_LEGAL)
    return match


def _ids_of(step: TrajectoryStep) -> list[int]:
    """All ids of a turn as the server saw and sampled them; the step's own may be cut to `max_seq_len`."""
    message = getattr(step.get("response"), "message", None)
    if message is not None and message.tokens is not None:
        return [*message.tokens.prompt_ids, *message.tokens.completion_ids]
    tokens = step["tokens"]
    return [*tokens["prompt_ids"], *tokens["completion_ids"]] if tokens else []
