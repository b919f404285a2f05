"""A rendering written by hand: a row of pieces, each of them one token."""

from __future__ import annotations

from itertools import accumulate

from verifiers_tito.tokenization import Control


class Pieces:
    """`Rendering` of the given texts. What stands in angle brackets is a control token."""

    def __init__(self, *pieces: str, neutralized: int = 0) -> None:
        self._neutralized = neutralized
        self._pieces = pieces
        self._starts = [0, *accumulate(map(len, pieces))]

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def next_control(self, start: int) -> Control | None:
        for position, piece in zip(self._starts, self._pieces, strict=False):
            if position >= start and piece.startswith("<") and piece.endswith(">"):
                return Control(position, position + len(piece), piece)
        return None

    def ids_from(self, start: int) -> list[int]:
        if start not in self._starts:
            raise ValueError(f"no token begins at character {start}")
        return ids(*self._pieces[self._starts.index(start) :])

    def neutralized_from(self, start: int) -> int:
        return self._neutralized

    def spellings_from(self, start: int) -> None:
        """Nothing in it is a content."""


def ids(*pieces: str) -> list[int]:
    """The ids of pieces: equal for equal texts, different for different ones."""
    return [int.from_bytes(piece.encode(), "big") for piece in pieces]
