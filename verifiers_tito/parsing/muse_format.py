"""Muse's answers: messages to itself (reasoning), to the user (content) and to tools, whose calls are XML.

     to=self<|message|>...<|eom|><|start|>assistant to=get_weather<|message|><atem:function_calls>
    <atem:invoke name="get_weather"><atem:parameter name="city">Paris</atem:parameter></atem:invoke>
    </atem:function_calls><|eot|>

vLLM's two parsers find messages by rules of their own, and so do the two classes here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from verifiers_tito.parsing.bodies import to_json
from verifiers_tito.parsing.call_syntax import FoundCall, FoundCalls
from verifiers_tito.parsing.reasoning import SplitText
from verifiers_tito.parsing.request import ParseRequest
from verifiers_tito.parsing.result import CallProblem, UnparsedToolCall

TO_SELF, END_OF_MESSAGE = "to=self<|message|>", "<|eom|>"
CALL_MARKS = ("<atem:function_calls>", "<atem:invoke")
_SELF = r"to=self<\|message\|>"
_HEADER, _NO_HEADER = r"to=[^\s<]++<\|message\|>", r"to=[^\s<]++(?!<\|message\|>)"
_OPEN_THOUGHT = rf"{_SELF}((?:{_NO_HEADER}|(?!<\|eom\|>|to=[^\s<]).)*+)(?={_HEADER}|$)"
OPEN_THOUGHT = re.compile(_OPEN_THOUGHT, re.DOTALL)
OPEN_THOUGHTS = re.compile(rf"(?:<\|start\|>assistant\s*+)?{_OPEN_THOUGHT}", re.DOTALL)
THOUGHT = re.compile(rf"(?:<\|start\|>assistant\s*+)?{_SELF}")
TO_USER = re.compile(r"to=user<\|message\|>(.*?)(?=<\|eot\|>|<\|eom\|>|$)", re.DOTALL)

HEADER = re.compile(
    r"(?:<\|start\|>\s*+assistant[^\S\n]*+|(?<![^\S\n])[^\S\n]++)?+(?:to=(?P<to>[A-Za-z0-9_.\-]++))?+<\|message\|>"
)
END = re.compile(r"<\|eom\|>|<\|eot\|>|<\|start\|>")
INVOCATION, INVOCATION_END = re.compile(r"<atem:invoke\b"), "</atem:invoke>"
NAME = re.compile(r'<atem:invoke\b(?:(?!\bname="[^"]++")[^>])*+(?:name="([^"]++)")?+')
PARAMETER = re.compile(r'<atem:parameter\b(?:(?!\bname="[^"]++")[^>])*+(?:name="([^"]++)"[^>]*+>)?+')
PARAMETER_END = "</atem:parameter>"
"""Each of them goes over what it has read no second time, whether it fits or not: an answer may be a long row of
beginnings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MuseReasoning:
    """Messages to itself are reasoning; the rest is a message to the user, or all other messages where tools are
    called."""

    is_engine: bool = False
    keeps_special: bool = True

    def split(self, text: str, request: ParseRequest) -> SplitText:
        thoughts = list(_closed_thoughts(text))
        cut_off = OPEN_THOUGHT.search(text)
        if cut_off and cut_off.group(1):
            thoughts.append(cut_off.group(1))
        reasoning = "\n".join(thoughts) if thoughts else None
        rest = OPEN_THOUGHTS.sub("", _split_out(text, THOUGHT, END_OF_MESSAGE).left)
        if any(mark in rest for mark in CALL_MARKS):
            return SplitText(reasoning=reasoning, rest=rest)
        answer = TO_USER.search(text)
        if answer is None and TO_SELF not in text:
            return SplitText(reasoning=None, rest=text or None)
        return SplitText(reasoning=reasoning, rest=(answer.group(1) or None) if answer else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MuseCalls:
    """Calls stand in messages to tools only, or anywhere where no message has a header. A parameter is JSON, or the
    text that it is."""

    is_engine: bool = False
    forced_as_json: bool = False

    def keeps_special(self, request: ParseRequest) -> bool:
        return True

    def find(self, text: str, request: ParseRequest) -> FoundCalls:
        if not any(mark in text for mark in CALL_MARKS):
            return FoundCalls(content=text)
        messages = list(_messages(text))
        to_tools = [body for to, body in messages if to not in (None, "self", "user")]
        called = "\n".join(to_tools) if messages else text
        calls: list[FoundCall] = []
        unparsed: list[UnparsedToolCall] = []
        invocations = _split_out(called, INVOCATION, INVOCATION_END)
        for found in invocations.enclosed:
            name = next((one.group(1) for one in NAME.finditer(found) if one.group(1)), None)
            if name is None:
                unparsed.append(UnparsedToolCall(text=found, problem=CallProblem.NO_NAME_OR_ARGUMENTS))
                continue
            arguments = {key: _value(value) for key, value in _parameters(found)}
            calls.append(FoundCall(name=_tool_name(name, request), arguments=to_json(arguments)))
        if CALL_MARKS[1] in invocations.left:
            cut_off = invocations.left[invocations.left.index(CALL_MARKS[1]) :]
            unparsed.append(UnparsedToolCall(text=cut_off, problem=CallProblem.NOT_CLOSED))
        return FoundCalls(content=_content(text, messages), calls=tuple(calls), unparsed=tuple(unparsed))


@dataclass(frozen=True, slots=True, kw_only=True)
class _SplitOut:
    """The parts of a text that stand between marks, these included, and what is left without them."""

    enclosed: tuple[str, ...]
    left: str


def _split_out(text: str, opening: re.Pattern[str], closing: str) -> _SplitOut:
    """From each `opening` to the first `closing` behind it."""
    enclosed, left, place = [], [], 0
    while (opened := opening.search(text, place)) and (end := text.find(closing, opened.end())) >= 0:
        left.append(text[place : opened.start()])
        place = end + len(closing)
        enclosed.append(text[opened.start() : place])
    return _SplitOut(enclosed=tuple(enclosed), left="".join([*left, text[place:]]))


def _parameters(invocation: str) -> Iterator[tuple[str, str]]:
    place = 0
    while opened := PARAMETER.search(invocation, place):
        place = opened.end()
        if opened.group(1):
            end = invocation.find(PARAMETER_END, place)
            if end < 0:
                return
            yield opened.group(1), invocation[place:end]
            place = end + len(PARAMETER_END)


def _closed_thoughts(text: str) -> Iterator[str]:
    """Thoughts that end; what stands between two of them counts as a line break."""
    parts, place = [], 0
    while (end := text.find(END_OF_MESSAGE, place)) >= 0 and (again := text.find(TO_SELF, end)) >= 0:
        parts.append(text[place:end])
        place = again + len(TO_SELF)
    joined = "\n".join([*parts, text[place:]])
    begin = joined.find(TO_SELF)
    while begin >= 0 and (end := joined.find(END_OF_MESSAGE, begin)) >= 0:
        yield joined[begin + len(TO_SELF) : end]
        begin = joined.find(TO_SELF, end)


def _messages(text: str) -> Iterator[tuple[str | None, str]]:
    """To whom each message goes, and its text, up to its end or the next header."""
    header = HEADER.search(text)
    while header is not None:
        following = HEADER.search(text, header.end())
        limit = following.start() if following else len(text)
        end = END.search(text, header.end(), limit)
        yield header.group("to"), text[header.end() : end.start() if end else limit]
        header = following


def _content(text: str, messages: list[tuple[str | None, str]]) -> str | None:
    said = "".join(body for to, body in messages if to in (None, "user"))
    return said or (None if messages else text or None)


def _tool_name(name: str, request: ParseRequest) -> str:
    """Where no namespace was given the template shows `NAME.*`, and the model may write `NAME.NAME`."""
    head, _, tail = name.partition(".")
    return head if head == tail and not request.offers(name) and request.offers(head) else name


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
