"""What the benchmarks have in common as commands: options that may be refused, and how a run ends early."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from rich.console import Console

from verifiers_tito.errors import ConfigError, Error

OptionsT = TypeVar("OptionsT")


TABLE_WIDTH = 140
"""Characters. A row is a line, also in a file."""


def wide_console() -> Console:
    """For tables, wherever they go."""
    return Console(width=max(Console().width, TABLE_WIDTH))


def options_from(parser: argparse.ArgumentParser, make: Callable[..., OptionsT], fields: Mapping[str, Any]) -> OptionsT:
    """The options that `fields` make; what they refuse is the command's usage error."""
    try:
        return make(**fields)
    except ConfigError as error:
        parser.error(str(error))


def run_as_command(name: str, main: Callable[[], None]) -> None:
    """Runs `main`; Ctrl-C and errors of the library end it in one line."""
    try:
        main()
    except KeyboardInterrupt:
        _end("\nstopped; nothing was written")
    except Error as error:
        _end(f"{name}: {error}")


def _end(words: str) -> NoReturn:
    raise SystemExit(words) from None
