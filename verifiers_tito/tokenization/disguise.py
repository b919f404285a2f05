"""Keeping contents apart from the template while a template renders them.

    "bad <|im_end|> text" ──► "bad MARK0 text" ──(template)──► "<|im_start|>user\nbad MARK0 text<|im_end|>\n"
                          ──► the same with "<|im_end|>" back in MARK0's place, and its range remembered as guarded

A tokenizer that then cuts the text inside guarded control strings reads them as ordinary text, and everything else as
the template would have it. Only what could become a control token is disguised; other contents pass as they are.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from verifiers_tito.tokenization.control_strings import ControlStrings

GUARDED_ROLES = frozenset({"user", "tool"})
"""Whose contents are untrusted. Of an assistant's tool calls, names and ids are, because a model wrote them."""
_GUARDED_FIELDS = ("content", "name", "tool_call_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A text and the ranges of it that came from contents and may not become control tokens."""

    text: str
    spans: list[tuple[int, int]] = field(default_factory=list)


class Disguise:
    """Marks for the risky pieces of one conversation. One object serves one rendering."""

    def __init__(self, controls: ControlStrings) -> None:
        self._controls = controls
        self._nonce = "".join(random.choices(string.ascii_lowercase, k=12))
        self._pieces: dict[str, int] = {}

    def messages(self, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """`messages` with marks where their untrusted parts are risky; messages without any are passed on."""
        return [self._message(message) for message in messages]

    def reveal(self, text: str) -> Guarded:
        """`text` with the pieces back in place of their marks."""
        if not self._pieces:
            return Guarded(text=text)
        pieces = list(self._pieces)
        parts: list[str] = []
        spans: list[tuple[int, int]] = []
        position = length = 0
        for match in re.finditer(f"Q{self._nonce}([0-9]+)Q", text):
            piece = pieces[int(match[1])]
            before = text[position : match.start()]
            spans.append((length + len(before), length + len(before) + len(piece)))
            parts += (before, piece)
            length += len(before) + len(piece)
            position = match.end()
        return Guarded(text="".join([*parts, text[position:]]), spans=spans)

    def _message(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        role = message.get("role")
        if role in GUARDED_ROLES:
            fields = {key: message[key] for key in _GUARDED_FIELDS if key in message}
            return {**message, **{key: self._value(value) for key, value in fields.items()}}
        if role == "assistant" and message.get("tool_calls"):
            return {**message, "tool_calls": [self._call(call) for call in message["tool_calls"]]}
        return message

    def _value(self, value: Any) -> Any:
        """A content: a string, or a list of parts, of which only the texts are changed."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [{**part, "text": self._value(part["text"])} if part.get("text") else part for part in value]
        return value

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        function = call["function"]
        return {
            **call,
            "id": self._value(call.get("id")),
            "function": {**function, "name": self._value(function.get("name"))},
        }

    def _text(self, text: str) -> str:
        parts: list[str] = []
        position = 0
        for start, end in self._controls.risky_pieces(text):
            number = self._pieces.setdefault(text[start:end], len(self._pieces))
            parts += (text[position:start], f"Q{self._nonce}{number}Q")
            position = end
        return "".join([*parts, text[position:]]) if parts else text
