"""What one turn was asked for, whichever way it goes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verifiers_tito.clients.prompt_runs import PromptRuns
from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.stitching import Conversation
from verifiers_tito.transport import RetryBudget
from verifiers_tito.types import Message, State
from verifiers_tito.wire.requests import chat_body


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """`said` is the conversation, and `read` the same as the rollout's index has read it. `fields` and `headers` are
    the request's, `budget` counts the rollout's retries."""

    state: State
    said: Sequence[Message | Mapping[str, Any]]
    read: Conversation
    template: TemplateInput
    fields: dict[str, Any]
    headers: dict[str, str]
    budget: RetryBudget

    @property
    def is_first(self) -> bool:
        return not self.state.get("trajectory")

    @property
    def runs(self) -> PromptRuns:
        """The rollout's prompts so far."""
        runs: PromptRuns = self.state.setdefault("_prompt_runs", PromptRuns())
        return runs

    def body(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Of a chat completion with these messages."""
        template = self.template
        return chat_body(model=template.model, messages=messages, tools=template.tools, fields=self.fields)
