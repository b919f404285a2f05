"""The arguments of Gemma 4's calls: `{city:<|"|>Paris<|"|>,days:3,limits:[1,2],place:{x:1}}`.

Strings stand between marks and nothing in them is escaped; other values are bare texts, whose types the tool's schema
gives. Broken ones are read as far as vLLM reads them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from verifiers_tito.parsing.bodies import ReadArguments, to_json
from verifiers_tito.parsing.result import CallProblem

QUOTE = '<|"|>'
_BETWEEN = " ,\n\t"
_MARKS = {opener: re.compile(rf"{re.escape(QUOTE)}|[{re.escape(opener + closer)}]") for opener, closer in ("{}", "[]")}
_MOST_NESTED = 64
_END_OF_VALUE, _END_OF_ITEM = re.compile(r"[,}\]]"), re.compile(r"[,\]]")


def gemma_arguments(body: str) -> ReadArguments:
    """What stands behind a call's opening brace. A closing brace that is missing is not missed by vLLM, but by us."""
    text = body.strip()
    is_closed = text.endswith("}") or (text.endswith(")") and text.count("(") < text.count(")"))
    reader = _Reader(is_whole=is_closed)
    values = reader.object(text[:-1] if is_closed else text, is_cut=False)
    return ReadArguments(json_text=to_json(values), problem=None if reader.is_whole else CallProblem.NO_LITERALS)


@dataclass(slots=True, kw_only=True)
class _Reader:
    """`is_whole` until something of the text is in no value, or brackets stand too deep in brackets (`depth`).
    `is_cut`: the brackets around a text were never closed, so that a bare value at its end may go on, and is left
    out."""

    is_whole: bool
    depth: int = 0

    def object(self, text: str, *, is_cut: bool) -> dict[str, Any]:
        values: dict[str, Any] = {}
        place = _skip(text, 0, _BETWEEN)
        while place < len(text):
            colon = text.find(":", place)
            if colon < 0:
                self.is_whole = False
                break
            key = text[place:colon].strip()
            if key.startswith(QUOTE) and key.endswith(QUOTE):
                key = key[len(QUOTE) : -len(QUOTE)]
            begin = _skip(text, colon + 1, " \n\t")
            if begin >= len(text):
                self.is_whole = False
                if not is_cut:
                    values[key] = ""
                break
            value, end = self._value(text, begin, stops=_END_OF_VALUE, is_cut=is_cut, cuts_quotes=is_cut)
            if end == begin:
                break
            if value is not None:
                values[key] = value
            place = _skip(text, end, _BETWEEN)
        return values

    def _array(self, text: str, *, is_cut: bool) -> list[Any]:
        items: list[Any] = []
        place = _skip(text, 0, _BETWEEN)
        while place < len(text):
            value, end = self._value(text, place, stops=_END_OF_ITEM, is_cut=is_cut, cuts_quotes=False)
            if end == place:
                break
            if value is not None:
                items.append(value)
            place = _skip(text, end, _BETWEEN)
        return items

    def _value(
        self, text: str, begin: int, *, stops: re.Pattern[str], is_cut: bool, cuts_quotes: bool
    ) -> tuple[Any, int]:
        """The value at `begin` and where it ends: at `begin` where there is none. None for one that is left out."""
        if text.startswith(QUOTE, begin):
            return self._string(text, begin + len(QUOTE), cuts_quotes=cuts_quotes)
        if text[begin] in _MARKS:
            end, is_closed = _closing(text, begin)
            self.is_whole = self.is_whole and is_closed
            inner = text[begin + 1 : end - 1 if is_closed else end]
            return self._nested(text[begin], inner, is_cut=not is_closed), end
        stop = stops.search(text, begin)
        end = stop.start() if stop else len(text)
        value = text[begin:end].strip()
        if end == begin or (is_cut and (end == len(text) or value.endswith("."))):
            self.is_whole = False
            return None, begin if end == begin else len(text)
        return value, end

    def _nested(self, opener: str, text: str, *, is_cut: bool) -> dict[str, Any] | list[Any]:
        if self.depth == _MOST_NESTED:
            self.is_whole = False
            return {} if opener == "{" else []
        self.depth += 1
        values = (self.object if opener == "{" else self._array)(text, is_cut=is_cut)
        self.depth -= 1
        return values

    def _string(self, text: str, begin: int, *, cuts_quotes: bool) -> tuple[str, int]:
        end = text.find(QUOTE, begin)
        if end >= 0:
            return text[begin:end], end + len(QUOTE)
        self.is_whole = False
        value = text[begin:]
        length = next((n for n in range(len(QUOTE), 0, -1) if value.endswith(QUOTE[:n])), 0) if cuts_quotes else 0
        return value[: len(value) - length], len(text)


def _skip(text: str, place: int, characters: str) -> int:
    while place < len(text) and text[place] in characters:
        place += 1
    return place


def _closing(text: str, begin: int) -> tuple[int, bool]:
    """Behind the bracket that closes the one at `begin`, strings skipped, and whether there is one."""
    opener = text[begin]
    depth, in_string = 1, False
    for found in _MARKS[opener].finditer(text, begin + 1):
        if found.group() == QUOTE:
            in_string = not in_string
        elif not in_string:
            depth += 1 if found.group() == opener else -1
        if not depth:
            return found.end(), True
    return len(text), False
