"""The library's log, and a look at a few rollouts.

Importing the package sets up nothing: its loggers hand their records to the program's own handlers. A program without
any can call `setup_logging`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from verifiers_tito.errors import ConfigError
from verifiers_tito.types import content_to_text, to_messages

LOGGER_NAME = "verifiers_tito"
_HANDLER_NAME = "verifiers_tito.setup_logging"


def setup_logging(
    level: str | int | None = "INFO",
    log_format: str = "%(asctime)s - %(name)s - %(levelname)s - %(message)s",
    date_format: str = "%Y-%m-%d %H:%M:%S",
) -> None:
    """Writes the library's log to stderr from `level` on; None writes nothing anywhere. A later call wins."""
    logger = logging.getLogger(LOGGER_NAME)
    logger.handlers = [handler for handler in logger.handlers if handler.get_name() != _HANDLER_NAME]
    logger.propagate = False
    handler: logging.Handler = logging.NullHandler() if level is None else logging.StreamHandler(sys.stderr)
    handler.set_name(_HANDLER_NAME)
    handler.setFormatter(logging.Formatter(log_format, date_format))
    logger.addHandler(handler)
    if level is not None:
        logger.setLevel(_number(level))


@contextmanager
def log_level(level: str | int) -> Iterator[None]:
    """The library logs from `level` on within the block, and as before after it."""
    logger, number = logging.getLogger(LOGGER_NAME), _number(level)
    before = logger.level
    logger.setLevel(number)
    try:
        yield
    finally:
        logger.setLevel(before)


def quiet_verifiers() -> AbstractContextManager[None]:
    """Warnings and errors only, within the block."""
    return log_level("WARNING")


def print_prompt_completions_sample(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    errors: Sequence[Any],
    rewards: Sequence[float | None],
    step: int,
    num_samples: int = 1,
) -> None:
    """Prints the first `num_samples` rollouts of a training step as a table, a failed one with its error."""
    from rich.console import Console  # noqa: PLC0415  late: needed for this table only
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table("Prompt", "Completion", "Reward", title=f"Step {step}", show_lines=True)
    for prompt, completion, error, reward in list(zip(prompts, completions, errors, rewards, strict=True))[
        :num_samples
    ]:
        said = _to_text(completion) + ("" if error is None else f"\n\nerror: {error}")
        table.add_row(Text(_to_text(prompt)), Text(said), "none" if reward is None else f"{reward:.2f}")
    Console().print(table)


def _to_text(messages: Any) -> str:
    lines = []
    for message in to_messages(messages):
        lines.append(f"{message.role}: {content_to_text(message.content)}")
        lines += [f"  calls {call.name}({call.arguments})" for call in message.get("tool_calls") or []]
    return "\n".join(lines)


def _number(level: str | int) -> int:
    names = logging.getLevelNamesMapping()
    if isinstance(level, str) and level.upper() not in names:
        raise ConfigError(f"there is no log level {level!r}; there are {', '.join(names)}")
    return names[level.upper()] if isinstance(level, str) else level
