"""A command's parser that says which option was meant, in the command's own name."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

_LONG_OPTION = re.compile(r"--[a-z][a-z-]+")
_LIKENESS = 0.7


class CommandParser(argparse.ArgumentParser):
    """Left-over words are refused here, not by the parser above, whose usage names no option of the command."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """Knows all arguments, or exits with 2."""
        parsed, left_over = super().parse_known_args(args, namespace)
        if left_over:
            self.error(f"{' '.join(left_over)}: no such argument{self._meant(left_over[0])}")
        return parsed, []

    def error(self, message: str) -> NoReturn:
        """One line, without the usage, which would push it out of sight."""
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help lists all)\n")

    def _meant(self, word: str) -> str:
        known = sorted(set(_LONG_OPTION.findall(self.format_help())))
        near = get_close_matches(word.partition("=")[0], known, n=1, cutoff=_LIKENESS)
        return f"; did you mean {near[0]}?" if near else ""
