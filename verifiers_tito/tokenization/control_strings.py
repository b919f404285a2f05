"""The strings that a tokenizer reads as one control id each, and how to keep text from holding them.

A vocabulary has tokens that are matched in the text before anything else is tokenized: `<|im_end|>`, but also
`<think>` or `<tool_call>`, which are added without being marked special. A string of that kind is a control string
if it is special, or looks like markup (`<...>`, `[...]`); blanks and words that somebody added are ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Spans = Sequence[tuple[int, int]]
"""Half-open character ranges, in order, not overlapping."""

MARKUP = re.compile(r"[<\[{]\S(?:.*\S)?[>\]}]", re.DOTALL)
"""What control tokens look like in most vocabularies."""


class ControlStrings:
    """Finds control strings in a text, the longest at each position, as tokenizers do."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        self.ids = dict(ids)
        self.id_set = frozenset(self.ids.values())
        self._pattern = re.compile(_alternation(self.ids) if self.ids else r"(?!)")
        self._heads = {string[:n] for string in self.ids for n in range(1, len(string))}
        self._tails = {string[-n:] for string in self.ids for n in range(1, len(string))}
        self._longest = max(map(len, self.ids), default=0)

    @classmethod
    def of_added_tokens(cls, added_tokens: Mapping[int, Any], *, but_not: str | None = None) -> ControlStrings:
        """From a transformers tokenizer's `added_tokens_decoder`. The token for unknown characters is none."""
        strings = {token.content: number for number, token in added_tokens.items() if _is_control(token)}
        strings.pop(but_not or "", None)
        return cls(strings)

    def find(self, text: str, start: int = 0) -> re.Match[str] | None:
        return self._pattern.search(text, start)

    def find_all(self, text: str) -> Iterator[re.Match[str]]:
        return self._pattern.finditer(text)

    def risky_pieces(self, text: str) -> Iterator[tuple[int, int]]:
        """Ranges of `text` that are control strings, or could become one together with what stands around it."""
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        most = min(self._longest, end - start)
        head = next((n for n in range(most, 0, -1) if text[start : start + n] in self._tails), 0)
        tail = next((n for n in range(most - head, 0, -1) if text[end - n : end] in self._heads), 0)
        if head:
            yield start, start + head
            start += head
        for match in self._pattern.finditer(text, start):
            yield match.span()
            start = match.end()
        if tail and end - tail >= start:
            yield end - tail, end

    def cuts(self, text: str, guarded: Spans) -> list[int]:
        """Where to cut `text` so that no piece holds a control string which overlaps a guarded range."""
        cuts: list[int] = []
        position, index = 0, 0
        while index < len(guarded) and (match := self._pattern.search(text, position)):
            while index < len(guarded) and guarded[index][1] <= match.start():
                index += 1
            if index == len(guarded):
                break
            guarded_start = guarded[index][0]
            if guarded_start >= match.end():
                position = match.end()
                continue
            position = max(match.start() + 1, guarded_start)
            cuts.append(position)
        return cuts


def _is_control(token: Any) -> bool:
    text = str(token.content)
    if len(text) < 2 or not text.strip():
        return False
    return bool(token.special) or MARKUP.fullmatch(text) is not None


def _alternation(strings: Iterable[str]) -> str:
    """A pattern for any of `strings`, the longest first, that shares common beginnings: vocabularies hold a thousand
    that begin alike."""
    by_first: dict[str, set[str]] = {}
    ends = False
    for string in strings:
        if string:
            by_first.setdefault(string[0], set()).add(string[1:])
        else:
            ends = True
    branches = [re.escape(first) + _alternation(rest) for first, rest in sorted(by_first.items())]
    if not branches:
        return ""
    joined = branches[0] if len(branches) == 1 else "(?:" + "|".join(branches) + ")"
    return f"(?:{joined})?" if ends else joined
