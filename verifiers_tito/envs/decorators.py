"""Marks on an environment's methods: `@stop` conditions, `@cleanup` after each rollout, `@teardown` at the end.

Marked methods run by descending priority, then by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_MARK = "_verifiers_tito_{kind}_priority"


@overload
def stop(function: FunctionT) -> FunctionT: ...
@overload
def stop(*, priority: int = 0) -> Callable[[FunctionT], FunctionT]: ...
def stop(function: FunctionT | None = None, *, priority: int = 0) -> FunctionT | Callable[[FunctionT], FunctionT]:
    """Marks `async def name(self, state) -> bool`: the rollout ends when it returns true."""
    return _mark("stop", function, priority)


@overload
def cleanup(function: FunctionT) -> FunctionT: ...
@overload
def cleanup(*, priority: int = 0) -> Callable[[FunctionT], FunctionT]: ...
def cleanup(function: FunctionT | None = None, *, priority: int = 0) -> FunctionT | Callable[[FunctionT], FunctionT]:
    """Marks `async def name(self, state)`: runs once after every rollout, however it ended."""
    return _mark("cleanup", function, priority)


@overload
def teardown(function: FunctionT) -> FunctionT: ...
@overload
def teardown(*, priority: int = 0) -> Callable[[FunctionT], FunctionT]: ...
def teardown(function: FunctionT | None = None, *, priority: int = 0) -> FunctionT | Callable[[FunctionT], FunctionT]:
    """Marks `async def name(self)`: runs when the environment is closed."""
    return _mark("teardown", function, priority)


def marked_methods(owner: object, kind: str) -> list[tuple[str, Callable[..., Any]]]:
    """Names and bound methods of `owner` that are marked `kind`, in the order in which they run.

    An override counts as marked if it, or a method that it overrides, is.
    """
    found: dict[str, int] = {}
    for base in reversed(type(owner).__mro__):
        for name, member in vars(base).items():
            priority = getattr(member, _MARK.format(kind=kind), None)
            if priority is not None:
                found[name] = priority
    return [(name, getattr(owner, name)) for name in sorted(found, key=lambda name: (-found[name], name))]


def _mark(kind: str, function: FunctionT | None, priority: int) -> FunctionT | Callable[[FunctionT], FunctionT]:
    def decorate(marked: FunctionT) -> FunctionT:
        setattr(marked, _MARK.format(kind=kind), priority)
        return marked

    return decorate if function is None else decorate(function)
