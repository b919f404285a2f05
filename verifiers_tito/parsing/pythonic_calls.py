"""Tool calls written as a list of Python calls: `[f(a=1), g(b="x")]` and nothing else, or that between marks.

The text is parsed as Python and read as literals, never run. JSON's `true`, `false` and `null` are literals here too,
as they are for vLLM.
"""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from verifiers_tito.parsing.call_syntax import FoundCall, FoundCalls
from verifiers_tito.parsing.python_repairs import original_name, parsed_python, repaired
from verifiers_tito.parsing.request import ParseRequest
from verifiers_tito.parsing.result import CallProblem, UnparsedToolCall

FIRST_CALLS = re.compile(r"\[(?:[a-zA-Z]\w*+\(\),\s*+)*+[a-zA-Z]\w*+\((?:(?P<argument>[a-zA-Z]\w*+=)|\))")
END_OF_LIST = re.compile(r"\)\s*+\]")
WORDS = {"null": None, "true": True, "false": False}


class NoLiteralError(ValueError):
    """An argument that is no literal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonicCalls:
    """The whole text is the list, or it is content."""

    is_engine: bool = False
    forced_as_json: bool = True

    def keeps_special(self, request: ParseRequest) -> bool:
        return False

    def find(self, text: str, request: ParseRequest) -> FoundCalls:
        if not _looks_like_calls(text):
            return FoundCalls(content=text)
        read = _calls(text)
        if isinstance(read, CallProblem):
            return FoundCalls(content=text, unparsed=(UnparsedToolCall(text=text, problem=read),))
        return FoundCalls(content=None, calls=read)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedPythonicCalls:
    """`OPEN [f(a=1), ...] CLOSE` once, content around it: LFM2. A list that is almost Python is repaired. What stands
    before a second `CLOSE` is the calls said again, and dropped."""

    open: str = "<|tool_call_start|>"
    close: str = "<|tool_call_end|>"
    is_engine: bool = False
    forced_as_json: bool = True

    def keeps_special(self, request: ParseRequest) -> bool:
        return request.allows_calls

    def find(self, text: str, request: ParseRequest) -> FoundCalls:
        before, opened, rest = text.partition(self.open)
        if not opened:
            return FoundCalls(content=text)
        inner, closed, behind = rest.partition(self.close)
        read = self._read(inner.strip())
        if isinstance(read, CallProblem):
            problem = read if closed else CallProblem.NOT_CLOSED
            return FoundCalls(content=text, unparsed=(UnparsedToolCall(text=opened + inner + closed, problem=problem),))
        around = (before.strip(), behind.rpartition(self.close)[2].strip())
        return FoundCalls(content="\n".join(filter(None, around)) or None, calls=read)

    def _read(self, text: str) -> tuple[FoundCall, ...] | CallProblem:
        if not (text.startswith("[") and text.endswith("]")):
            return CallProblem.NO_CALL
        try:
            parsed_python(text)
        except (SyntaxError, ValueError):
            text = _first_python(text)
        except (RecursionError, MemoryError):
            return CallProblem.NO_CALL
        return _calls(text) or CallProblem.NO_CALL


def _first_python(text: str) -> str:
    """The first way to read the text as Python; the text where there is none."""
    try:
        for reading in repaired(text):
            with suppress(SyntaxError, ValueError):
                parsed_python(reading)
                return reading
    except (ValueError, RecursionError, MemoryError):  # a number of too many digits, brackets in brackets
        pass
    return text


def _calls(text: str) -> tuple[FoundCall, ...] | CallProblem:
    """The calls of a list, or why it is none."""
    try:
        return tuple(_call(call) for call in _call_nodes(text))
    except NoLiteralError:
        return CallProblem.NO_LITERALS
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return CallProblem.NO_CALL


def _looks_like_calls(text: str) -> bool:
    """A list whose first call with arguments names one, and which is closed."""
    first = FIRST_CALLS.match(text)
    if first is None:
        return False
    return END_OF_LIST.search(text, first.end() if first["argument"] else first.end() - 1) is not None


def _call_nodes(text: str) -> list[ast.Call]:
    calls = getattr(parsed_python(text).body[0], "value", None)
    if not isinstance(calls, ast.List):
        raise ValueError("it is no list")
    nodes = [call for call in calls.elts if isinstance(call, ast.Call)]
    if len(nodes) != len(calls.elts):
        raise ValueError("it holds something that is no call")
    return nodes


def _call(node: ast.Call) -> FoundCall:
    arguments = {original_name(keyword.arg): _value(keyword.value) for keyword in node.keywords}
    return FoundCall(name=_dotted_name(node.func), arguments=json.dumps(arguments, ensure_ascii=False))


def _dotted_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted_name(node.value)}.{node.attr}"
    if not isinstance(node, ast.Name):
        raise ValueError("its name is no name")
    return node.id


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=None | str() | int() | float() as value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_key(key): _value(value) for key, value in zip(keys, values, strict=True)}
        case ast.Name(id=word) if word in WORDS:
            return WORDS[word]
        case ast.JoinedStr(values=parts):
            return "".join(str(_key(part)) for part in parts)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            number = _value(operand)
            if isinstance(number, int | float) and not isinstance(number, bool):
                return -number if isinstance(sign, ast.USub) else number
    raise NoLiteralError("an argument is no literal")


def _key(node: ast.expr | None) -> Any:
    if not isinstance(node, ast.Constant):
        raise NoLiteralError("a key or a part of a string is no literal")
    return node.value
