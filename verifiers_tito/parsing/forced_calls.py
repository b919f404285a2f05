"""Calls of a request that insists on one, where the server makes the model write JSON in place of its own syntax.

With `tool_choice="required"` the answer is a list of `{"name": ..., "parameters": {...}}`, with a named tool it is the
arguments alone.
"""

from __future__ import annotations

import json
from typing import Any

from verifiers_tito.parsing.call_syntax import FoundCall, FoundCalls
from verifiers_tito.parsing.request import NamedTool, ParseRequest
from verifiers_tito.parsing.result import CallProblem, UnparsedToolCall


def find_forced_calls(text: str, request: ParseRequest) -> FoundCalls:
    """There is no content then, whether or not the calls can be read."""
    if not text.strip():
        return FoundCalls(content=None)
    if isinstance(request.tool_choice, NamedTool):
        return FoundCalls(content=None, calls=(FoundCall(name=request.tool_choice.name, arguments=text),))
    try:
        calls = json.loads(text)
    except (ValueError, RecursionError):
        return FoundCalls(content=None, unparsed=(UnparsedToolCall(text=text, problem=CallProblem.NO_JSON),))
    if not isinstance(calls, list) or not all(map(_is_call, calls)):
        problem = CallProblem.NO_NAME_OR_ARGUMENTS
        return FoundCalls(content=None, unparsed=(UnparsedToolCall(text=text, problem=problem),))
    return FoundCalls(
        content=None,
        calls=tuple(
            FoundCall(name=call["name"], arguments=json.dumps(call.get("parameters"), ensure_ascii=False))
            for call in calls
        ),
    )


def _is_call(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("parameters"), dict | None)
        and isinstance(value.get("description"), str | None)
    )
