"""Turns that would go in as messages: their untrusted contents are kept text here too, where that can be had.

A first turn has no ids to continue, and normally the server renders it. If a content holds a control string, it is
rendered with the model's own files instead, as far as these are proven right, and goes in as ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verifiers_tito.clients.control_text import ControlTextGuard, control_candidates
from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.clients.tokenizer_choice import TokenizerChoice
from verifiers_tito.tokenization import LocalTokenizer, TemplateRefusedError, untrusted_texts
from verifiers_tito.transport import RouteMissingError
from verifiers_tito.types import ControlTextPolicy, has_media
from verifiers_tito.wire.requests import changes_prompt_s_end


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedPrompt:
    """A whole prompt in ids, in which `neutralized` control strings stayed text."""

    token_ids: list[int]
    neutralized: int


class MessagesIn:
    """Applies the policy for untrusted contents to turns that are not stitched."""

    def __init__(self, tokenizers: TokenizerChoice, guard: ControlTextGuard, policy: ControlTextPolicy) -> None:
        self._tokenizers = tokenizers
        self._guard = guard
        self._policy = policy

    async def guard(
        self, messages: Sequence[Mapping[str, Any]], template: TemplateInput, *, no_ids_because: str
    ) -> GuardedPrompt | int:
        """Ids to send instead of the messages, unless there is a reason against it, or else how many control strings
        pass.

        Raises `UntrustedTextError` where some would and none may.
        """
        if self._policy is ControlTextPolicy.PARSE or not self._may_hold_control_strings(messages, template):
            return 0
        if not no_ids_because and not changes_prompt_s_end(template.fields) and not any(map(has_media, messages)):
            local = await self._local(messages, template)
            if local is not None:
                return _render(local, messages, template)
        found = await self._guard.find(messages, model=template.model)
        problem = no_ids_because or self._tokenizers.problem(template.model)
        return self._guard.pass_or_refuse(found, model=template.model, why_not_local=problem)

    def _may_hold_control_strings(self, messages: Sequence[Mapping[str, Any]], template: TemplateInput) -> bool:
        """By the model's own vocabulary where its files are loaded, else by what control tokens look like."""
        loaded = self._tokenizers.loaded(template.model)
        if loaded is None:
            return bool(control_candidates(messages))
        return any(loaded.controls.breaks(text) for message in messages for text in untrusted_texts(message))

    async def _local(self, messages: Sequence[Mapping[str, Any]], template: TemplateInput) -> LocalTokenizer | None:
        """The model's own files, proven at once by the server's `/tokenize` where no turn has done so yet."""
        local = await self._tokenizers.proven(template)
        if local is not None or not self._tokenizers.loaded(template.model):
            return local
        try:
            theirs = await self._tokenizers.server.render(messages, add_generation_prompt=True, **template.rendering)
        except (RouteMissingError, TemplateRefusedError):
            return None
        return self._tokenizers.prove(template, messages, theirs.ids_from(0))


def _render(
    local: LocalTokenizer, messages: Sequence[Mapping[str, Any]], template: TemplateInput
) -> GuardedPrompt | int:
    rendering = local.render_now(messages, tools=template.tools, template_fields=template.rendering["template_fields"])
    neutralized = rendering.neutralized_from(0)
    return GuardedPrompt(token_ids=rendering.ids_from(0), neutralized=neutralized) if neutralized else 0
