"""Tool calls between marks that vLLM reads with its parser engine: Qwen's and MiniMax' XML, GLM's keys, Kimi's ids.

A `MarkedCalls` says which marks there are (`markup`), how a call's header gives its name and how its body gives its
arguments. White space, text behind calls, calls that are cut off: all as vLLM has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from verifiers_tito.parsing.bodies import Header, ReadArguments, call_in_json, name_in
from verifiers_tito.parsing.call_syntax import FoundCall, FoundCalls
from verifiers_tito.parsing.machine import Markup, Place, pieces_of
from verifiers_tito.parsing.request import ParseRequest
from verifiers_tito.parsing.result import CallProblem, UnparsedToolCall
from verifiers_tito.parsing.schema_values import fit_arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedCalls:
    """`knows_names`: a call of a tool that was not offered is none. `strips_content`: white space around the content
    of an answer with calls is dropped. `thinks_on_request`: without thinking, its marks are ordinary text.
    `reads_reasoning`: marks of reasoning are dropped; not so where the server has no reasoning parser. `stays_open`:
    no mark closes a call (Mistral). `completed` puts a mark in front that the prompt has (Gemma).
    """

    markup: Markup
    read_header: Callable[[str], Header]
    read_arguments: Callable[[str], ReadArguments]
    knows_names: bool = False
    strips_content: bool = True
    thinks_on_request: bool = False
    keeps_special_without_tools: bool = True
    reads_reasoning: bool = True
    stays_open: bool = False
    completed: Callable[[str], str] = str
    is_engine: bool = True
    forced_as_json: bool = False

    def leaving_reasoning(self) -> MarkedCalls:
        """The same without a reasoning parser."""
        return replace(self, reads_reasoning=False)

    def keeps_special(self, request: ParseRequest) -> bool:
        return self.keeps_special_without_tools or request.allows_calls

    def find(self, text: str, request: ParseRequest) -> FoundCalls:
        text = self.completed(text)
        found = _walk(text, self._markup_for(request), request.special_texts)
        if request.tools and not request.allows_calls:
            return FoundCalls(content=found.before + found.after)
        calls, unparsed, is_named = [], [], False
        for draft in found.drafts:
            header = self.read_header(draft.header)
            is_named = is_named or self._is_accepted(header.name or name_in(draft.body), request)
            call, problem = self._read(draft, header, request)
            calls += [call] if call else []
            if problem:
                unparsed.append(
                    UnparsedToolCall(text=text[draft.begin : draft.end], problem=problem, is_served=call is not None)
                )
        return FoundCalls(
            content=self._content(found, is_named=is_named, has_calls=bool(calls)),
            calls=tuple(calls),
            unparsed=tuple(unparsed),
        )

    def _markup_for(self, request: ParseRequest) -> Markup:
        if self.thinks_on_request and not request.may_think:
            return self.markup.without_reasoning()
        return self.markup if self.reads_reasoning else self.markup.idling_reasoning()

    def _is_accepted(self, name: str, request: ParseRequest) -> bool:
        return bool(name) and (not self.knows_names or not request.tools or request.offers(name))

    def _read(
        self, draft: _Draft, header: Header, request: ParseRequest
    ) -> tuple[FoundCall | None, CallProblem | None]:
        """The call that vLLM makes of it, if it makes one, and what is wrong with it, if anything is."""
        name, body = header.name.strip(), draft.body
        if not name and not body:
            return None, CallProblem.NO_CALL
        if name:
            read = self.read_arguments(body) if body.strip() else ReadArguments(json_text="{}")
        else:
            name, read = call_in_json(body.strip())
        is_closed = draft.is_closed or (self.stays_open and bool(body.strip()))
        problem = read.problem if is_closed else CallProblem.NOT_CLOSED
        if not self._is_accepted(name, request):
            return None, CallProblem.UNKNOWN_NAME if name else CallProblem.NO_NAME_OR_ARGUMENTS
        arguments = fit_arguments(read.json_text, request.parameters_of(name))
        return FoundCall(name=name, arguments=arguments, call_id=header.call_id), problem

    def _content(self, found: _Walked, *, is_named: bool, has_calls: bool) -> str | None:
        """Text behind a call is lost, as in vLLM, unless no call came of any."""
        content = found.before if is_named else found.before + found.after
        if not content.strip() and found.drafts:
            return None
        return (content.strip() if has_calls and self.strips_content else content) or None


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A call while it is read; `begin` and `end` are places in the text."""

    begin: int
    end: int
    header_parts: list[str] = field(default_factory=list)
    body_parts: list[str] = field(default_factory=list)
    is_closed: bool = False

    @property
    def header(self) -> str:
        return "".join(self.header_parts)

    @property
    def body(self) -> str:
        return "".join(self.body_parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walked:
    """What stands before the first call, behind it, and in the calls."""

    before: str
    after: str
    drafts: list[_Draft]


def _walk(text: str, markup: Markup, special_texts: frozenset[str]) -> _Walked:
    dropped = special_texts - markup.marks
    before: list[str] = []
    after: list[str] = []
    drafts: list[_Draft] = []
    place, opener = Place.CONTENT, 0
    for piece in pieces_of(text, markup.marks | dropped):
        move = markup.moves.get((place, piece.text)) if piece.is_mark else None
        if move is not None:
            if not place.is_in_calls and move.to.is_in_calls:
                opener = piece.begin
            if move.opens:
                drafts.append(_Draft(begin=piece.begin if drafts and place.is_in_calls else opener, end=piece.end))
            if move.is_argument:
                drafts[-1].body_parts.append(piece.text)
            if drafts and place.is_in_calls:
                drafts[-1].end = piece.end
                drafts[-1].is_closed = drafts[-1].is_closed or move.closes
            place = move.to
        elif not (piece.is_mark and piece.text in dropped):
            _put(piece.text, place, before=before, after=after, drafts=drafts)
            if drafts and place.is_in_calls and not drafts[-1].is_closed:
                drafts[-1].end = piece.end
    return _Walked(before="".join(before), after="".join(after), drafts=drafts)


def _put(text: str, place: Place, *, before: list[str], after: list[str], drafts: list[_Draft]) -> None:
    if place is Place.CONTENT:
        (after if drafts else before).append(text)
    elif place is Place.NAME:
        drafts[-1].header_parts.append(text)
    elif place is Place.ARGUMENTS:
        drafts[-1].body_parts.append(text)
