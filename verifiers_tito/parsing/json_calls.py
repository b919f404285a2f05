"""Tool calls written as JSON: between tags (Hermes, Qwen), or bare (Llama 3).

As in vLLM it is all or nothing: where one call cannot be read, the whole text is content and no tool is called. What
we read differently: a call's JSON is read to its end, so that an argument may contain the closing tag.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from verifiers_tito.parsing.bodies import JSON
from verifiers_tito.parsing.call_syntax import FoundCall, FoundCalls
from verifiers_tito.parsing.request import ParseRequest
from verifiers_tito.parsing.result import CallProblem, UnparsedToolCall

PYTHON_TAG = "<|python_tag|>"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedJson:
    """`OPEN {"name": ..., "arguments": {...}} CLOSE`, any number of them. The last need not be closed."""

    open: str
    close: str
    is_engine: bool = False
    forced_as_json: bool = False

    def keeps_special(self, request: ParseRequest) -> bool:
        return request.allows_calls

    def find(self, text: str, request: ParseRequest) -> FoundCalls:
        regions = self._regions(text)
        read = [_read(region.body, ("arguments",)) for region in regions]
        if not regions or any(isinstance(one, CallProblem) for one in read):
            return FoundCalls(content=text, unparsed=_unparsed([region.text for region in regions], read))
        return FoundCalls(
            content=text[: text.find(self.open)],
            calls=tuple(one for one in read if isinstance(one, FoundCall)),
        )

    def _regions(self, text: str) -> list[_Region]:
        regions, place = [], text.find(self.open)
        while place >= 0:
            begin = place + len(self.open)
            end = self._end_of_call(text, begin)
            after = len(text) if end < 0 else end + len(self.close)
            regions.append(_Region(text=text[place:after], body=text[begin : len(text) if end < 0 else end]))
            place = text.find(self.open, after)
        return regions

    def _end_of_call(self, text: str, begin: int) -> int:
        """Where the closing tag stands: right behind the call's JSON, else the first there is. -1 for nowhere."""
        start = begin + len(text[begin : begin + 16]) - len(text[begin : begin + 16].lstrip())
        try:
            _, end = JSON.raw_decode(text, start)
        except (ValueError, RecursionError):
            return text.find(self.close, begin)
        end = _skip_white_space(text, end)
        return end if text.startswith(self.close, end) else text.find(self.close, begin)


@dataclass(frozen=True, slots=True, kw_only=True)
class BareJson:
    """Objects with a name and `arguments` or `parameters` anywhere in the text, whose other text is dropped."""

    mark: str = PYTHON_TAG
    is_engine: bool = False
    forced_as_json: bool = False

    def keeps_special(self, request: ParseRequest) -> bool:
        return False

    def find(self, text: str, request: ParseRequest) -> FoundCalls:
        calls: list[FoundCall] = []
        place, end = text.find("{"), -1
        while place >= 0:
            if place > end:  # vLLM does not see an object that begins right behind another
                read, end = self._read_at(text, place)
                if isinstance(read, CallProblem):
                    return FoundCalls(content=text, unparsed=_unparsed([text[place:]], [read]))
                calls.append(read)
            place = text.find("{", max(place + 1, end))
        return FoundCalls(content=None if calls else text, calls=tuple(calls))

    def _read_at(self, text: str, place: int) -> tuple[FoundCall | CallProblem, int]:
        try:
            value, end = JSON.raw_decode(text, place)
        except (ValueError, RecursionError):
            return CallProblem.NO_JSON, -1
        return _call(value, ("arguments", "parameters")), end


@dataclass(frozen=True, slots=True, kw_only=True)
class _Region:
    text: str
    body: str


def _read(body: str, keys: tuple[str, ...]) -> FoundCall | CallProblem:
    try:
        return _call(json.loads(body), keys)
    except (ValueError, RecursionError):
        return CallProblem.NO_JSON


def _call(value: Any, keys: tuple[str, ...]) -> FoundCall | CallProblem:
    key = next((key for key in keys if isinstance(value, dict) and key in value), None)
    if key is None or not isinstance(value.get("name"), str):
        return CallProblem.NO_NAME_OR_ARGUMENTS
    return FoundCall(name=value["name"], arguments=json.dumps(value[key], ensure_ascii=False))


def _unparsed(texts: list[str], read: list[FoundCall | CallProblem]) -> tuple[UnparsedToolCall, ...]:
    """Every region: where one cannot be read the others are not served either."""
    return tuple(
        UnparsedToolCall(text=text, problem=one if isinstance(one, CallProblem) else CallProblem.NOT_ALONE)
        for text, one in zip(texts, read, strict=True)
    )


def _skip_white_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place
