"""The strings that a tokenizer reads as one control id each, and how to keep text from holding them.

A vocabulary has tokens that are matched in the text before anything else is tokenized: `<|im_end|>`, but also
`<think>` or `<tool_call>`, which are added without being marked special. A string of that kind is a control string
if it is special, or looks like markup (`<...>`, `[...]`); blanks and words that somebody added are ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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

    def find(self, text: str, start: int = 0, end: int | None = None) -> re.Match[str] | None:
        """The first control string that lies in `text[start:end]`."""
        return self._pattern.search(text, start, len(text) if end is None else end)

    def breaks(self, text: str) -> list[int]:
        """Where `text` may have to be cut so that no control string holds any of it, wherever it comes to stand.

        One character into each control string in it; and at its borders (white space aside, which templates trim),
        where it could be the middle, the beginning or the end of one together with what stands around it.
        """
        found: set[int] = set()
        match = self._pattern.search(text)
        while match is not None:
            found.add(match.start() + 1)
            match = self._pattern.search(text, match.start() + 1)
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        if start < end:
            most = min(self._longest, end - start)
            middle = end - start < self._longest and any(text[start:end] in string for string in self.ids)
            if middle or any(text[start : start + n] in self._tails for n in range(1, most + 1)):
                found.add(start)
            if middle or any(text[end - n : end] in self._heads for n in range(1, most + 1)):
                found.add(end)
        return sorted(found)

    def cuts(self, text: str, breaks: Sequence[int]) -> list[int]:
        """Those of `breaks` (in order) at which `text` has to be cut so that no control string lies across one."""
        cuts: list[int] = []
        position = 0
        for place in breaks:
            match = self._pattern.search(text, position)
            while match is not None and match.end() <= place:
                position = match.end()
                match = self._pattern.search(text, position)
            if match is None:
                break
            if match.start() < place:
                cuts.append(place)
                position = place
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
