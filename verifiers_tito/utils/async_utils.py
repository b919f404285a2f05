"""Calling what may or may not be a coroutine function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from verifiers_tito.calling import settle


async def maybe_await(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What `function` returns, awaited where it needs to be."""
    return await settle(function(*arguments, **named))
