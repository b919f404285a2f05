"""Text for people: in colour on a terminal, plain elsewhere, and with nothing in it that a terminal would obey.

What a model or an environment wrote is untrusted. `visible` shows its control characters instead of sending them, and
it is printed as `Text`, in which rich reads no markup.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 120
"""In characters: a pipe has no width of its own."""
GOOD, BAD = "green", "yellow"
_INDENT = "  "
_KEPT = "\n\t"
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of what is no visible character: controls, marks that turn the order of letters round, halves of
surrogate pairs, separators of lines."""
_JOINERS = "\u200c\u200d"
"""Without these some scripts and emoji read otherwise; they move nothing."""
_PICTURES = 0x2400
"""Where Unicode has pictures of the first 32 controls."""


def visible(text: str) -> str:
    """The text with everything in it that is no visible character made visible."""
    return text if text.isprintable() else "".join(map(_shown, text))


def one_line(text: str, *, longest: int) -> str:
    """The same on one line of at most so many characters."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


class Page:
    """Writes to `stream` what rich lays out. A reader that left raises `BrokenPipeError` here, as with `print`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._is_terminal = stream, stream.isatty()
        forced, width = (None, None) if self._is_terminal else (False, PIPE_WIDTH)
        self._console = Console(
            file=stream, highlight=False, markup=False, emoji=False, force_terminal=forced, width=width
        )

    def print(self, body: RenderableType = "") -> None:
        """One text or table. A text's long lines are left to the terminal to wrap."""
        with self._console.capture() as captured:
            self._console.print(body, soft_wrap=isinstance(body, str | Text))
        written = captured.get()
        if not self._is_terminal:  # tables are padded to the right
            written = "".join(f"{line.rstrip()}\n" for line in written.split("\n")[:-1])
        self._stream.write(written)

    def block(self, text: str, *, style: str = "") -> None:
        """A text, indented. On a terminal it is wrapped; elsewhere its lines stay as long as they are."""
        if self._is_terminal:
            self.print(Padding(Text(text, style=style), (0, 0, 0, len(_INDENT))))
        else:
            self.print("\n".join(f"{_INDENT}{line}" for line in text.split("\n")))


def labelled(rows: Iterable[tuple[str, str, str]]) -> Table:
    """A grid of labels and values, each row with the style of its value."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, value, style in rows:
        table.add_row(Text(visible(label)), Text(visible(value), style=style))
    return table


def _shown(character: str) -> str:
    if character in _KEPT or character in _JOINERS or unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    return chr(_PICTURES + code) if code < 32 else f"<U+{code:04X}>"
