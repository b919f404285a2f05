"""A small machine for markup: a text is cut at marks, and a mark moves the reader from one place to another.

    text ──(marks)──► pieces ──(moves)──► what stands in the reasoning, in the content, in which call

It mirrors what vLLM's parser engine does with a whole text, so that both find the same. It knows no format: a
`Markup` describes one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

THINK, THINK_END = "<think>", "</think>"


class Place(StrEnum):
    """Where in an answer a piece of text stands."""

    REASONING = "reasoning"
    CONTENT = "content"
    PREAMBLE = "before a call's name"
    NAME = "a call's name"
    ARGUMENTS = "a call's arguments"
    BETWEEN = "behind a call"

    @property
    def is_in_calls(self) -> bool:
        return self not in (Place.REASONING, Place.CONTENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a mark does: where reading goes on, whether it opens or closes a call, ends the reasoning, or is itself a
    part of the arguments."""

    to: Place
    opens: bool = False
    closes: bool = False
    ends_reasoning: bool = False
    is_argument: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A text without marks, or a mark. `begin` is its place in the whole text."""

    text: str
    begin: int
    is_mark: bool

    @property
    def end(self) -> int:
        return self.begin + len(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Markup:
    """The marks of a format and their moves. `idle_marks` cut the text and move nothing, `reasoning_marks` are those
    around reasoning."""

    moves: Mapping[tuple[Place, str], Move]
    idle_marks: frozenset[str] = frozenset()
    reasoning_marks: frozenset[str] = frozenset({THINK, THINK_END})

    @property
    def marks(self) -> frozenset[str]:
        return self.idle_marks.union(mark for _, mark in self.moves)

    @property
    def call_marks(self) -> frozenset[str]:
        """Marks that lead into calls or stand in them."""
        return frozenset(mark for (place, mark), move in self.moves.items() if place.is_in_calls or move.to.is_in_calls)

    @property
    def exits(self) -> frozenset[str]:
        """Marks that lead out of calls."""
        return frozenset(
            mark for (place, mark), move in self.moves.items() if place.is_in_calls and not move.to.is_in_calls
        )

    def without_reasoning(self) -> Markup:
        """The markup to which the marks of reasoning are ordinary text."""
        moves = {key: move for key, move in self.moves.items() if key[1] not in self.reasoning_marks}
        return replace(self, moves=moves)

    def idling_reasoning(self) -> Markup:
        """The markup in which they move nothing; text is still cut at them."""
        idle = self.without_reasoning()
        return replace(idle, idle_marks=self.idle_marks | self.reasoning_marks)


def pieces_of(text: str, marks: frozenset[str]) -> Iterator[Piece]:
    """The text cut at its marks, of those that fit at a place the longest."""
    pattern = "|".join(re.escape(mark) for mark in sorted(marks, key=lambda mark: (-len(mark), mark)))
    begin = 0
    for number, piece in enumerate(re.split(f"({pattern})", text)):
        if piece:
            yield Piece(text=piece, begin=begin, is_mark=number % 2 == 1)
            begin += len(piece)
