"""Stitching a turn's prompt: the pure steps of `verifiers_tito.stitching`, with a tokenizer that renders for them.

One stitcher serves one server. It keeps the closes and the latest bridges per model and template arguments, so that a
turn costs at most one rendering and a repeated environment message none.
"""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

NativeMessages = Sequence[Mapping[str, Any]]

_INDEX_KEY = "_prefix_index"
_SUFFIX_KEY = "_cached_suffix_ids"
_CLOSE_CAPACITY = 64
_BRIDGE_CAPACITY = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateInput:
    """What besides the messages decides how a prompt is rendered."""

    model: str
    tools: NativeMessages | None
    fields: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Names tools and template arguments; equal for turns that may be stitched to each other."""
        return value_digest([self.tools or [], self.fields]).hex()


class Stitcher:
    """Finds the turn a prompt continues and adds the ids of what was said since."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self._tokenizer = tokenizer
        self._nonce = "".join(random.SystemRandom().choices(string.ascii_lowercase, k=12))
        self._closes: BoundedCache[tuple[str, str], list[int]] = BoundedCache(capacity=_CLOSE_CAPACITY)
        self._bridges: BoundedCache[tuple[str, str, bytes], list[int]] = BoundedCache(capacity=_BRIDGE_CAPACITY)

    async def stitch(self, state: State, prompt: NativeMessages, template: TemplateInput) -> Stitched | Fallback:
        """The prompt in ids, or why it has to go in as messages. Writes only underscore keys of `state`."""
        match = _match(state, prompt, template)
        if isinstance(match, Fallback):
            return match
        tail = prompt[match.message_count :]
        try:
            close = await self._close(template)
            state[_SUFFIX_KEY] = close
            bridge = await self._bridge(tail, prompt[match.message_count - 1], template, close)
        except TemplateRefusedError as error:
            return Fallback(FallbackReason.TEMPLATE_REFUSED, str(error))
        except BridgeNotFoundError as error:
            return Fallback(FallbackReason.TEMPLATE_UNPROVABLE, str(error))
        except RouteMissingError as error:
            return Fallback(FallbackReason.ROUTE_MISSING, str(error))
        previous = _ids_of(match.step)
        return Stitched(token_ids=join(previous, bridge, close=close), reused_ids=len(previous))

    async def _close(self, template: TemplateInput) -> list[int]:
        key = (template.model, template.key)
        close = self._closes.get(key)
        if close is None:
            conversation = close_conversation(self._nonce)
            rendered = await self._render(conversation, template, add_generation_prompt=False)
            close = cut_close(rendered, conversation)
            self._closes.put(key, close)
        return close

    async def _bridge(
        self, tail: NativeMessages, after: Mapping[str, Any], template: TemplateInput, close: list[int]
    ) -> list[int]:
        conversation = bridge_conversation(tail, after=after, nonce=self._nonce)
        key = (template.model, template.key, value_digest(conversation.messages))
        bridge = self._bridges.get(key)
        if bridge is None:
            rendered = await self._render(conversation, template, add_generation_prompt=True)
            bridge = cut_bridge(rendered, conversation, close=close)
            self._bridges.put(key, bridge)
        return bridge

    async def _render(
        self, conversation: BridgeConversation, template: TemplateInput, *, add_generation_prompt: bool
    ) -> Rendered:
        return await self._tokenizer.render(
            conversation.messages,
            model=template.model,
            tools=template.tools,
            template_fields=template.fields,
            add_generation_prompt=add_generation_prompt,
        )


def _ids_of(step: TrajectoryStep) -> list[int]:
    """All ids of a turn as the server saw and sampled them; the step's own may be cut to `max_seq_len`."""
    message = getattr(step.get("response"), "message", None)
    if message is not None and message.tokens is not None:
        return [*message.tokens.prompt_ids, *message.tokens.completion_ids]
    tokens = step["tokens"]
    return [*tokens["prompt_ids"], *tokens["completion_ids"]] if tokens else []


def _match(state: State, prompt: NativeMessages, template: TemplateInput) -> PrefixMatch | Fallback:
    """The step to continue, with a tail that can be bridged."""
    if not state["trajectory"]:
        return Fallback(FallbackReason.FIRST_TURN)
    if any(map(has_media, prompt)) or any(any(map(has_media, step["prompt"])) for step in state["trajectory"]):
        return Fallback(FallbackReason.MULTIMODAL)
    index: PrefixIndex = state.setdefault(_INDEX_KEY, PrefixIndex())
    index.sync(state["trajectory"])
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
