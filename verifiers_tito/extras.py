"""Packages that only some people need: loaded when they are used, and named where they are not there."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from verifiers_tito.errors import ConfigError


def load_extra(module: str, *, otherwise: str) -> Any:
    """The module, or a `ConfigError` that says `otherwise`: what needs it, and how to get it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(otherwise) from error
