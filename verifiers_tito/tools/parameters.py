"""The parameters of a function as a caller by name sees them.

Decorators, partials, bound methods and callable objects are looked through. Parameters that nobody can name (`*args`)
are left out. This module knows nothing of models or schemas.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Optional

REQUIRED = inspect.Parameter.empty
"""The default of a parameter that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionParameter:
    """`annotation` is `Any` where none was written. A `None` as default makes it optional."""

    name: str
    annotation: Any
    default: Any


def read_parameters(function: Callable[..., Any], *, unread: frozenset[str] = frozenset()) -> list[FunctionParameter]:
    """The parameters in their order. The annotations of those in `unread` need not exist: they become `Any` then.

    Raises what `inspect.signature` and `typing.get_type_hints` raise where there is no signature, or where another
    annotation is no type or names something that the function's module does not know.
    """
    return [
        FunctionParameter(
            name=parameter.name,
            annotation=_annotation(function, parameter, may_fail=parameter.name in unread),
            default=parameter.default,
        )
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def takes_other_names(function: Callable[..., Any]) -> bool:
    """Whether the function has a `**kwargs`."""
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(function).parameters.values())


def bind_by_name(function: Callable[..., Any], values: dict[str, Any]) -> inspect.BoundArguments:
    """The arguments of a call with these values, positional-only parameters included; `values` must fit."""
    signature = inspect.signature(function)
    named: dict[str, Any] = {}
    others = {name: value for name, value in values.items() if name not in signature.parameters}
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            named[parameter.name] = others
        elif parameter.name in values:
            named[parameter.name] = values[parameter.name]
    call = inspect.BoundArguments(signature, named)
    call.apply_defaults()
    return call


def names_bound_by_partials(function: Any) -> frozenset[str]:
    """The parameters that partials have given a value by name."""
    bound: set[str] = set()
    while isinstance(function, functools.partial):
        bound |= function.keywords.keys()
        function = function.func
    return frozenset(bound)


def without_partials(function: Any) -> Any:
    """The callable that partials bind arguments of."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def written_function(function: Any) -> Any:
    """The function that somebody wrote, behind decorators, partials, bound methods and callable objects."""
    while True:
        function = without_partials(function)
        if hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isclass(function):
            function = function.__init__
        elif inspect.isroutine(function):
            return function
        else:
            function = type(function).__call__


def _annotation(function: Callable[..., Any], parameter: inspect.Parameter, *, may_fail: bool) -> Any:
    if parameter.annotation is parameter.empty:
        return Any
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    names = getattr(written_function(function), "__globals__", {})
    try:
        annotation = typing.get_type_hints(holder, globalns=names, include_extras=True)[parameter.name]
    except Exception:
        if may_fail:
            return Any
        raise
    return Optional[annotation] if parameter.default is None else annotation  # noqa: UP045 - it is a value here
