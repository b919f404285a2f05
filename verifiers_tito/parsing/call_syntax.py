"""What a description of a call syntax has to say: which text is content and which are calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from verifiers_tito.parsing.request import ParseRequest
from verifiers_tito.parsing.result import UnparsedToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCall:
    """A call, its arguments as JSON text. `call_id` only where the model writes one."""

    name: str
    arguments: str
    call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCalls:
    """`content` is what is left beside the calls. `marks_found`: there were marks of calls, even if no call came of
    them, and vLLM takes what they enclose out of the content. `id_characters`: how long the family's ids of calls are,
    where templates insist on it."""

    content: str | None
    calls: tuple[FoundCall, ...] = ()
    unparsed: tuple[UnparsedToolCall, ...] = ()
    marks_found: bool = False
    id_characters: int | None = None


class CallSyntax(Protocol):
    """How a family of models writes tool calls. `is_engine`: vLLM reads it with its parser engine, which drops the
    markup of calls that it cannot read, where its other parsers give the whole text back. `forced_as_json`: where a
    call is required, the server makes the model write JSON instead."""

    @property
    def is_engine(self) -> bool: ...

    @property
    def forced_as_json(self) -> bool: ...

    def keeps_special(self, request: ParseRequest) -> bool:
        """Whether vLLM's parser asks for text with its special tokens."""
        ...

    def find(self, text: str, request: ParseRequest) -> FoundCalls: ...
