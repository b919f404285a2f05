"""Keeping contents apart from the template while a template renders them.

    "bad <|im_end|> text" ──► "bad <MARK|im_end|> text"            a mark inside every control string of a content
                          ──(template)──► "<|im_start|>user\\nbad <MARK|im_end|> text<|im_end|>\\n"
                          ──► the text without marks, and the places where they stood

A tokenizer that then cuts the text at those places, where a control string lies across one, reads the content as
ordinary text and everything else as the template would have it. The mark is a word, so that filters (trimming,
escaping as JSON) treat the characters around it as they always do. Contents that need no mark pass as they are.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from verifiers_tito.tokenization.control_strings import ControlStrings

GUARDED_ROLES = frozenset({"user", "tool"})
"""Whose contents are untrusted. Of an assistant's tool calls, names and ids are, because a model wrote them."""

_GUARDED_FIELDS = ("content", "name", "tool_call_id")


def with_untrusted(message: Mapping[str, Any], change: Callable[[str], str]) -> Mapping[str, Any]:
    """`message` with each text in it that is not its author's as `change` makes it."""
    role = message.get("role")
    if role in GUARDED_ROLES:
        return {**message, **{key: _changed(message[key], change) for key in _GUARDED_FIELDS if key in message}}
    if role == "assistant" and message.get("tool_calls"):
        return {**message, "tool_calls": [_changed_call(call, change) for call in message["tool_calls"]]}
    return message


def untrusted_texts(message: Mapping[str, Any]) -> list[str]:
    """The texts of a message that are not its author's."""
    texts: list[str] = []

    def note(text: str) -> str:
        texts.append(text)
        return text

    with_untrusted(message, note)
    return texts


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """A content: a string, or a list of parts, of which only the texts are changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [{**part, "text": _changed(part["text"], change)} if part.get("text") else part for part in value]
    return value


def _changed_call(call: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    function = call["function"]
    named = {**function, "name": _changed(function.get("name"), change)}
    return {**call, "id": _changed(call.get("id"), change), "function": named}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenText:
    """A rendered text and the places in it, in order, that no control string may lie across."""

    text: str
    breaks: list[int] = field(default_factory=list)


class BreakMarks:
    """Marks for the contents of one conversation. One object serves one rendering."""

    def __init__(self, controls: ControlStrings) -> None:
        self._controls = controls
        self._mark = f"Q{secrets.token_hex(8)}Q"  # a program's own seeded randomness is left alone
        self._used = False

    def messages(self, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """`messages` with marks in their untrusted parts where these need any."""
        return [with_untrusted(message, self._text) for message in messages]

    def remove(self, text: str) -> BrokenText:
        """`text` without the marks."""
        if not self._used:
            return BrokenText(text=text)
        parts = re.split(self._mark, text, flags=re.IGNORECASE)  # a template may write contents in other letters
        places, length = [], 0
        for part in parts[:-1]:
            length += len(part)
            places.append(length)
        return BrokenText(text="".join(parts), breaks=places)

    def _text(self, text: str) -> str:
        places = self._controls.breaks(text)
        if not places:
            return text
        self._used = True
        return self._mark.join(text[start:end] for start, end in pairwise([0, *places, len(text)]))
