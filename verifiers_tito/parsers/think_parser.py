"""Answers of models that think first.

The thinking stands in the text (`<think>...</think>answer`, the first tag often written by the chat template already)
or apart from it, where the server has a reasoning parser. Thinking that was cut off is no answer.
"""

from __future__ import annotations

from typing import Any

from verifiers_tito.parsers.parser import AnyMessage, Parser, reasoning_of
from verifiers_tito.types import content_to_text

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkParser(Parser):
    """For models that always think: a text without `</think>` holds no answer ("")."""

    def parse(self, text: str) -> Any:
        return self.extract_fn(text.rpartition(_CLOSE)[2].strip() if _CLOSE in text else "")

    def parse_message(self, message: AnyMessage) -> Any:
        text = content_to_text(message.get("content"))
        if reasoning_of(message) and _CLOSE not in text:
            return self.extract_fn(text.strip())
        return self.parse(text)

    def format_score(self, message: AnyMessage) -> float:
        """1.0 for one piece of thinking and something said or called after it."""
        text, reasoning = content_to_text(message.get("content")).strip(), reasoning_of(message).strip()
        if reasoning:
            thought_once, said = _OPEN not in text and _CLOSE not in text, text
        else:
            thought, _, said = text.removeprefix(_OPEN).partition(_CLOSE)
            thought_once = _CLOSE in text and not any(tag in thought + said for tag in (_OPEN, _CLOSE))
        return float(thought_once and bool(said.strip() or message.get("tool_calls")))


class MaybeThinkParser(Parser):
    """For models that may think or not: what stands behind the thinking, or the whole text."""

    def parse(self, text: str) -> Any:
        cut_off = _CLOSE not in text and text.lstrip().startswith(_OPEN)
        return self.extract_fn("" if cut_off else text.rpartition(_CLOSE)[2].strip())
