"""Mistral's tool calls: `[TOOL_CALLS]` and a list in JSON, or, from its tokenizer v11 on, a name and arguments.

vLLM tells the two apart by the vocabulary, we by what stands behind the mark: no name begins with a bracket.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from verifiers_tito.parsing.bodies import JSON, to_json
from verifiers_tito.parsing.call_syntax import FoundCall, FoundCalls
from verifiers_tito.parsing.marked_calls import MarkedCalls
from verifiers_tito.parsing.markups import MISTRAL_CALLS, NAMED_MISTRAL_CALLS
from verifiers_tito.parsing.request import ParseRequest
from verifiers_tito.parsing.result import CallProblem, UnparsedToolCall

_ID_CHARACTERS = 9
"""Mistral's templates refuse ids of other lengths."""
_BEGINS_LIST = re.compile(r"\[\s*+[{\]]|{")


@dataclass(frozen=True, slots=True, kw_only=True)
class MistralCalls:
    """`named` reads the form with names."""

    named: MarkedCalls = NAMED_MISTRAL_CALLS
    is_engine: bool = True
    forced_as_json: bool = False

    def leaving_reasoning(self) -> MistralCalls:
        """The same without a reasoning parser."""
        return replace(self, named=self.named.leaving_reasoning())

    def keeps_special(self, request: ParseRequest) -> bool:
        return True

    def find(self, text: str, request: ParseRequest) -> FoundCalls:
        before, mark, behind = text.partition(MISTRAL_CALLS)
        listed = next((one.strip() for one in behind.split(MISTRAL_CALLS) if one.strip()), "")
        if not mark and request.must_call:
            listed = text.strip()  # where a call is required a server may make the model write the list alone
        values = _listed(listed) if _BEGINS_LIST.match(listed) else []
        calls = tuple(call for call in map(_call, values) if call is not None)
        if not calls and not (mark and _BEGINS_LIST.match(listed)):
            return replace(self.named.find(text, request), id_characters=_ID_CHARACTERS)
        if request.tools and not request.allows_calls:
            return FoundCalls(content=text)
        problem = CallProblem.NO_NAME_OR_ARGUMENTS if values else CallProblem.NO_JSON
        whole = values and len(calls) == len(values)
        unparsed = () if whole else (UnparsedToolCall(text=mark + listed, problem=problem),)
        if not calls:
            return FoundCalls(content=listed, unparsed=unparsed)
        return FoundCalls(
            content=before if mark else None, calls=calls, unparsed=unparsed, id_characters=_ID_CHARACTERS
        )


def _listed(text: str) -> list[Any]:
    """The values of the list that the text begins with (what stands behind it is dropped), or else of one within."""
    try:
        value, _ = JSON.raw_decode(text)
    except (ValueError, RecursionError):
        begin, end = text.find("[{"), text.rfind("}]")
        try:
            value = json.loads(text[begin : end + 2]) if 0 <= begin < end else []
        except (ValueError, RecursionError):
            return []
    return value if isinstance(value, list) else [value]


def _call(value: Any) -> FoundCall | None:
    """The call, its id too where the model wrote one; None where it has no name."""
    if not isinstance(value, dict) or not isinstance(name := value.get("name"), str) or not name:
        return None
    arguments, call_id = value.get("arguments"), value.get("id")
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else to_json(arguments)
    return FoundCall(name=name, arguments=arguments, call_id=call_id if isinstance(call_id, str) and call_id else None)
