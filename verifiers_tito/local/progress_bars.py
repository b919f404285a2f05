"""Keeps transformers' progress bars out of our output while a model is built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Switches them off, and on again afterwards if they were on."""
    from transformers.utils import logging  # noqa: PLC0415

    were_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_on:
            logging.enable_progress_bar()
