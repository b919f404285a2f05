"""A rendered conversation, as stitching looks at it: a text with control tokens in it, and ids from any of them on.

Stitching works on texts and asks for ids only where it has decided to cut, so that a local tokenizer never tokenizes
what is thrown away. Whoever renders says what a control token is; control strings that a message's content holds are
none, where the tokenizer can tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Control:
    """A control token of the template: `text[start:end]` is one id."""

    start: int
    end: int
    text: str


class Rendering(Protocol):
    """A conversation in the template's text. Positions are characters of `text`."""

    @property
    def text(self) -> str: ...

    def next_control(self, start: int) -> Control | None:
        """The first control token that begins at `start` or later."""
        ...

    def ids_from(self, start: int) -> list[int]:
        """The ids of `text[start:]`. Raises `ValueError` where no token can begin at `start`."""
        ...

    def neutralized_from(self, start: int) -> int:
        """How many control strings of contents in `text[start:]` are kept from becoming control ids."""
        ...

    def spellings_from(self, start: int) -> frozenset[str] | None:
        """The tokens in `text[start:]`, as the vocabulary spells them, where control strings of contents may be among
        them; None where they are kept text."""
        ...
