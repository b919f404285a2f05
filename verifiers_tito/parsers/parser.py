"""From what a model said to the answer in it.

    completion ──► the last assistant message ──► its text ──► parse ──► extract_fn

A completion is messages, dicts, or a plain string. A server with a reasoning parser takes the reasoning out of the text
and hands it over apart; a parser of thinking knows both forms. This module knows nothing of what an answer is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from verifiers_tito.types import Message, content_to_text

AnyMessage: TypeAlias = Message | Mapping[str, Any]
Completion: TypeAlias = str | Sequence[AnyMessage]
FormatReward: TypeAlias = Callable[[Completion], float]


def as_it_is(text: str) -> str:
    return text


class Parser:
    """Takes the whole text for the answer. `extract_fn` has the last word on what `parse_answer` returns."""

    def __init__(self, extract_fn: Callable[[str], Any] = as_it_is) -> None:
        self.extract_fn = extract_fn

    def parse(self, text: str) -> Any:
        """What `text` holds."""
        return self.extract_fn(text)

    def parse_answer(self, completion: Completion) -> Any:
        """The answer in the last assistant message, or in a plain string; None where nobody answered."""
        if isinstance(completion, str):
            return self.parse(completion)
        said = self.get_assistant_messages(completion)
        return self.parse_message(said[-1]) if said else None

    def parse_message(self, message: AnyMessage) -> Any:
        """What one message holds."""
        return self.parse(content_to_text(message.get("content")))

    def get_assistant_messages(self, completion: Sequence[AnyMessage]) -> list[AnyMessage]:
        return _by_role(completion, "assistant")

    def get_system_messages(self, completion: Sequence[AnyMessage]) -> list[AnyMessage]:
        return _by_role(completion, "system")

    def get_user_messages(self, completion: Sequence[AnyMessage]) -> list[AnyMessage]:
        return _by_role(completion, "user")

    def get_tool_messages(self, completion: Sequence[AnyMessage]) -> list[AnyMessage]:
        return _by_role(completion, "tool")

    def get_format_reward_func(self) -> FormatReward:
        """A reward function from 0.0 to 1.0: how well the assistant's messages keep the format, on average."""

        def format_reward_func(completion: Completion) -> float:
            if isinstance(completion, str):
                completion = [{"role": "assistant", "content": completion}]
            said = self.get_assistant_messages(completion)
            return sum(map(self.format_score, said)) / len(said) if said else 0.0

        return format_reward_func

    def format_score(self, message: AnyMessage) -> float:
        """How well one message keeps the format: any does here."""
        return 1.0


def reasoning_of(message: AnyMessage) -> str:
    """The reasoning that the server took out of the text; "" where there is none."""
    reasoning = message.get("reasoning_content")
    return str((message.get("reasoning") if reasoning is None else reasoning) or "")


def _by_role(completion: Sequence[AnyMessage], role: str) -> list[AnyMessage]:
    return [message for message in completion if message.get("role") == role]
