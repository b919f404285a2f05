"""From sampled ids to a message.

    ids (C,) ──EndOfTurn──► ids of the text ──decoder──► text ──reasoning──► rest ──calls──► content, tool calls

What comes out equals what vLLM's own parsers make of the same ids in a finished answer, so that it does not matter
whether the server or the client parses. The ids are only read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

from verifiers_tito.parsing.call_syntax import CallSyntax, FoundCalls
from verifiers_tito.parsing.decoding import TokenDecoder, text_of
from verifiers_tito.parsing.ending import EndOfTurn
from verifiers_tito.parsing.forced_calls import find_forced_calls
from verifiers_tito.parsing.reasoning import NoReasoning, ReasoningStyle
from verifiers_tito.parsing.request import ParseRequest, ToolChoice
from verifiers_tito.parsing.result import ParsedCompletion, ParsedText, ParseTermination
from verifiers_tito.types import ToolCall


def new_call_id() -> str:
    """An id as vLLM makes them where the model writes none."""
    return f"chatcmpl-tool-{uuid4().hex}"


class ResponseFormat(Protocol):
    """How a family of models writes an answer. `includes_end`: the end token is a part of it."""

    @property
    def includes_end(self) -> bool: ...

    def keeps_special(self, request: ParseRequest) -> bool: ...

    def parse(self, text: str, request: ParseRequest, *, call_id: Callable[[], str]) -> ParsedText: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningThenCalls:
    """Reasoning first, then content and calls: what all formats are but gpt-oss' channels. `calls=None`: text only."""

    reasoning: ReasoningStyle = field(default_factory=NoReasoning)
    calls: CallSyntax | None = None
    includes_end: bool = False

    @property
    def _is_engine(self) -> bool:
        """Whether vLLM reads all of it with its parser engine, which takes markup out where it makes no call."""
        return self.reasoning.is_engine and (self.calls is None or self.calls.is_engine)

    def keeps_special(self, request: ParseRequest) -> bool:
        return self.reasoning.keeps_special or (self.calls is not None and self.calls.keeps_special(request))

    def parse(self, text: str, request: ParseRequest, *, call_id: Callable[[], str]) -> ParsedText:
        split = self.reasoning.split(text, request)
        if self.calls is None:
            return ParsedText(
                reasoning=split.reasoning, content=(split.rest or "") if request.must_call else split.rest
            )
        if not request.allows_calls and not self._is_engine:
            return ParsedText(reasoning=split.reasoning, content=split.rest)
        if self.calls.forced_as_json and request.must_call:
            found = find_forced_calls(split.rest or "", request)
            return self._parsed(split.reasoning, "", found, call_id)
        found = self.calls.find(split.rest or "", request)
        if not request.allows_calls:
            return ParsedText(reasoning=split.reasoning, content=found.content or None)
        return self._parsed(split.reasoning, self._content(split.rest, found, request), found, call_id)

    def _parsed(
        self, reasoning: str | None, content: str | None, found: FoundCalls, call_id: Callable[[], str]
    ) -> ParsedText:
        return ParsedText(
            reasoning=reasoning,
            content=content,
            tool_calls=tuple(
                ToolCall(
                    id=call.call_id or call_id()[-(found.id_characters or 0) :],
                    name=call.name,
                    arguments=call.arguments,
                )
                for call in found.calls
            ),
            unparsed_tool_calls=found.unparsed,
        )

    def _content(self, rest: str | None, found: FoundCalls, request: ParseRequest) -> str | None:
        if found.calls or found.marks_found:
            content = found.content if (found.content or "").strip() else None
        elif request.must_call and not (rest or "").strip():
            content = None
        else:
            content = (found.content or None) if self._is_engine else rest
        return (content or "") if request.must_call else content


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionParser:
    """A format, the vocabulary's decoder and what ends a turn."""

    format: ResponseFormat
    decoder: TokenDecoder
    end: EndOfTurn
    call_id: Callable[[], str] = new_call_id

    def parse(self, token_ids: Sequence[int], request: ParseRequest | None = None) -> ParsedCompletion:
        """What sampled ids (C,) say. Never raises: what cannot be read is content or an unparsed call."""
        request = request or ParseRequest(tool_choice=ToolChoice.AUTO)
        body_ids, termination = self.end.split_ids(token_ids)
        if self.format.includes_end:
            body_ids = token_ids[: len(body_ids) + 1]
        text = text_of(self.decoder, body_ids, keeps_special=self.format.keeps_special(request))
        if termination is ParseTermination.MALFORMED:
            text, termination = self.end.cut_text(text, termination)
        parsed = self.format.parse(text, request, call_id=self.call_id)
        return ParsedCompletion(
            reasoning=parsed.reasoning,
            content=parsed.content,
            tool_calls=parsed.tool_calls,
            unparsed_tool_calls=parsed.unparsed_tool_calls,
            text=text,
            termination=termination,
        )
