"""Where reasoning ends and the answer begins: one description per way of marking it.

vLLM reads reasoning first, from the text alone, and hands the rest to the parser of tool calls. Where its parser
knows calls too, a call ends the reasoning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from verifiers_tito.parsing.machine import THINK, THINK_END, Markup, Place, pieces_of
from verifiers_tito.parsing.request import ParseRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitText:
    """Reasoning and the rest. None where there is none."""

    reasoning: str | None
    rest: str | None


class ReasoningStyle(Protocol):
    @property
    def is_engine(self) -> bool: ...

    @property
    def keeps_special(self) -> bool: ...

    def split(self, text: str, request: ParseRequest) -> SplitText: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NoReasoning:
    """All of it is answer."""

    is_engine: bool = True
    keeps_special: bool = False

    def split(self, text: str, request: ParseRequest) -> SplitText:
        return SplitText(reasoning=None, rest=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkTags:
    """Everything up to `close` is reasoning (all of it where there is none), `open` or not: DeepSeek.

    `only_if_thinking`: only where the template was told to think (DeepSeek V3.1).
    """

    open: str = THINK
    close: str = THINK_END
    only_if_thinking: bool = False
    is_engine: bool = False
    keeps_special: bool = False

    def split(self, text: str, request: ParseRequest) -> SplitText:
        if self.only_if_thinking and request.thinking is not True:
            return SplitText(reasoning=None, rest=text)
        before, opened, after = text.partition(self.open)
        reasoning, _, rest = (after if opened else before).partition(self.close)
        return SplitText(reasoning=reasoning, rest=rest or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedReasoning:
    """Reasoning until a mark of `markup` ends it: `</think>`, or what opens a call.

    `begins`: where an answer begins. `strips_end`: white space at its end is dropped. `always`: whatever the request
    says of thinking (MiniMax). `fills_content`: where a request asked for no thinking, reasoning without an answer is
    the answer (Nemotron). `title`: a first line that every reasoning has, and that is none of it. `completed` puts a
    mark in front that the prompt has (Gemma).
    """

    markup: Markup
    begins: Place = Place.REASONING
    strips_end: bool = True
    always: bool = False
    fills_content: bool = False
    title: str = ""
    completed: Callable[[str], str] = str
    is_engine: bool = True
    keeps_special: bool = True

    def split(self, text: str, request: ParseRequest) -> SplitText:
        found = SplitText(reasoning=None, rest=text)
        if request.may_think or self.always:
            found = self._split(self.completed(text), request.special_texts - self.markup.marks)
        if self.fills_content and not request.may_think and not (found.rest or "").strip():
            return SplitText(reasoning=found.rest, rest=found.reasoning)
        return found

    def _split(self, text: str, dropped: frozenset[str]) -> SplitText:
        parts: dict[Place, list[str]] = {Place.REASONING: [], Place.CONTENT: []}
        place, in_calls = self.begins, False
        call_marks, exits = self.markup.call_marks, self.markup.exits
        for piece in pieces_of(text, self.markup.marks | dropped):
            move = self.markup.moves.get((place, piece.text)) if piece.is_mark else None
            is_exit = piece.is_mark and piece.text in exits
            if move is None:
                in_calls = in_calls and not is_exit
                if not (piece.is_mark and piece.text in dropped):
                    parts[place].append(piece.text)
            elif piece.text in call_marks and (move.to.is_in_calls or not is_exit or in_calls):
                in_calls = move.to.is_in_calls or (in_calls and not is_exit)
                place = Place.CONTENT if move.ends_reasoning else place
                parts[place].append(piece.text)
            else:
                place = move.to
        reasoning = "".join(parts[Place.REASONING])
        reasoning = reasoning.rstrip() if self.strips_end else reasoning
        if self.title and f"{reasoning}\n".startswith(self.title):
            reasoning = reasoning[len(self.title) :]
        return SplitText(
            reasoning=reasoning or None,
            rest="".join(parts[Place.CONTENT]) or None,
        )
