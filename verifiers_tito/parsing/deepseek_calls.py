"""Tool calls as DeepSeek writes them, from V3 on: between full-width marks, arguments on one line.

As in vLLM all markup leaves the content once a section of calls has begun, even where no call in it can be read.
"""

# ruff: noqa: RUF001  (the marks are written with a full-width bar)

from __future__ import annotations

from dataclasses import dataclass

from verifiers_tito.parsing.bodies import problem_of_json
from verifiers_tito.parsing.call_syntax import FoundCall, FoundCalls
from verifiers_tito.parsing.request import ParseRequest
from verifiers_tito.parsing.result import CallProblem, UnparsedToolCall

SECTION = "<｜tool▁calls▁begin｜>"
CALL, SEPARATOR, CALL_END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"
FENCE, FENCE_END = "\n```json\n", "\n```"
TYPE = "function"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepSeekCalls:
    """`fenced`: V3 and R1 write type, name and a fenced block of JSON; V3.1 the name and bare JSON."""

    fenced: bool
    is_engine: bool = False
    forced_as_json: bool = False

    def keeps_special(self, request: ParseRequest) -> bool:
        return False

    def find(self, text: str, request: ParseRequest) -> FoundCalls:
        section = text.find(SECTION)
        if section < 0:
            return FoundCalls(content=text)
        calls: list[FoundCall] = []
        unparsed: list[UnparsedToolCall] = []
        place, line_end = text.find(CALL), -1
        while place >= 0:
            if line_end < place:
                line_end = _line_end(text, place)
            call, end = self._call_at(text, place, line_end)
            if call is None:
                unparsed.append(UnparsedToolCall(text=text[place:end], problem=_problem_of(text[place:end])))
            elif self.fenced and text[place + len(CALL) : text.rfind(SEPARATOR, place, line_end)] != TYPE:
                # vLLM knows no other type of call, and gives the whole text back
                return FoundCalls(
                    content=text, unparsed=(UnparsedToolCall(text=text[section:], problem=CallProblem.NO_CALL),)
                )
            else:
                calls.append(call)
                problem = problem_of_json(call.arguments)
                if problem:
                    unparsed.append(UnparsedToolCall(text=text[place:end], problem=problem, is_served=True))
            place = text.find(CALL, end)
        return FoundCalls(
            content=text[:section] or None, calls=tuple(calls), unparsed=tuple(unparsed), marks_found=True
        )

    def _call_at(self, text: str, place: int, line_end: int) -> tuple[FoundCall | None, int]:
        """The call whose mark stands at `place`, if it can be read, and where to go on."""
        begin = place + len(CALL)
        if not self.fenced:
            separator = text.find(SEPARATOR, begin, line_end)
            end = text.find(CALL_END, separator + len(SEPARATOR), line_end) if separator >= 0 else -1
            if end < 0:
                return None, line_end
            arguments = text[separator + len(SEPARATOR) : end]
            return FoundCall(name=text[begin:separator], arguments=arguments), end + len(CALL_END)
        separator = text.rfind(SEPARATOR, begin, line_end)
        arguments_begin = line_end + len(FENCE)
        arguments_end = _line_end(text, arguments_begin)
        if separator < 0 or not (
            text.startswith(FENCE, line_end) and text.startswith(FENCE_END + CALL_END, arguments_end)
        ):
            return None, line_end
        name = text[separator + len(SEPARATOR) : line_end]
        call = FoundCall(name=name, arguments=text[arguments_begin:arguments_end])
        return call, arguments_end + len(FENCE_END + CALL_END)


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    return end if end >= 0 else len(text)


def _problem_of(text: str) -> CallProblem:
    return CallProblem.NO_CALL if CALL_END in text else CallProblem.NOT_CLOSED
