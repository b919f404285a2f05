"""Calling functions that users wrote: by parameter name, sync or async."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any


async def call_by_name(function: Callable[..., Any], available: Mapping[str, Any]) -> Any:
    """Calls `function` with those of `available` that it names, or with all of them if it takes `**kwargs`.

    Raises `TypeError` naming the parameters that it needs and nobody has.
    """
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return await settle(function(**available))
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind is not parameter.VAR_POSITIONAL
        and parameter.name not in available
    ]
    if missing:
        raise TypeError(f"needs {', '.join(missing)}; there is {', '.join(sorted(available))}")
    named = {parameter.name for parameter in parameters}
    return await settle(function(**{name: value for name, value in available.items() if name in named}))


async def settle(value: Any) -> Any:
    """The value itself, or what it comes to when awaited."""
    return await value if inspect.isawaitable(value) else value
