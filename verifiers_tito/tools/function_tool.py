"""A tool from a plain Python function.

    function ──► its signature, type hints and docstring ──► Tool (what the model is shown)
    arguments that the model sent ──► checked and converted ──► the call ──► its result

Hidden arguments (and those that a partial has bound) are not shown to the model; whoever calls adds them. They are
checked as well, and passed as the very object that was given, so that a tool can change it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from inspect import isclass, iscoroutinefunction, isroutine
from typing import Any, Self

from verifiers_tito.calling import settle
from verifiers_tito.errors import ConfigError, ToolParseError
from verifiers_tito.tools.argument_model import ArgumentModel
from verifiers_tito.tools.documentation import read_documentation
from verifiers_tito.tools.parameters import (
    FunctionParameter,
    bind_by_name,
    names_bound_by_partials,
    read_parameters,
    takes_other_names,
    without_partials,
    written_function,
)
from verifiers_tito.tools.threads import call_in_thread
from verifiers_tito.types import Tool

_LOGGER = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_UNREADABLE = (NameError, AttributeError, TypeError, ValueError, SyntaxError)
"""What `inspect` and `typing` raise for functions without a signature and for hints that are no types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTool:
    """`definition` is what the model is shown of `function`. `hidden` are the parameters that it does not show."""

    function: Callable[..., Any]
    definition: Tool
    hidden: frozenset[str]
    shown_arguments: ArgumentModel
    hidden_arguments: ArgumentModel

    @classmethod
    def of(cls, function: Callable[..., Any], *, hidden: Iterable[str] = ()) -> Self:
        """Raises `ConfigError` where the function has no usable name, type hints or JSON schema."""
        name, hidden_names = tool_name(function), frozenset(hidden) | names_bound_by_partials(function)
        parameters = _read_parameters(name, function, hidden_names)
        documentation = read_documentation(_docstring(function))
        shown = ArgumentModel(
            name,
            [parameter for parameter in parameters if parameter.name not in hidden_names],
            descriptions=documentation.parameters,
            takes_others=takes_other_names(function),
        )
        kept_back = [_checkable(parameter) for parameter in parameters if parameter.name in hidden_names]
        return cls(
            function=function,
            definition=Tool(name=name, description=documentation.description, parameters=shown.json_schema()),
            hidden=hidden_names,
            shown_arguments=shown,
            hidden_arguments=ArgumentModel(name, kept_back),
        )

    @property
    def name(self) -> str:
        return self.definition.name

    def check_sent(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the model sent, converted. Raises `ToolParseError`; hidden arguments are as wrong as unknown ones."""
        if sent := sorted(self.hidden & values.keys()):
            raise self.shown_arguments.refusal(f"{', '.join(sent)}: no such argument")
        return self.shown_arguments.check(values)

    def check_complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All values of a call: what the model sent, converted, and the hidden ones as they are.

        Raises `ToolParseError` for the former and `ConfigError` for the latter, which are not the model's fault.
        """
        hidden = {name: value for name, value in values.items() if name in self.hidden}
        try:
            self.hidden_arguments.check(hidden)
        except ToolParseError as error:
            raise ConfigError(f"the hidden arguments that the environment adds do not fit: {error}") from error
        shown = {name: value for name, value in values.items() if name not in self.hidden}
        return {**self.shown_arguments.check(shown), **hidden}

    async def call(self, values: Mapping[str, Any]) -> Any:
        """Calls the function with checked values: a coroutine function here, any other in a thread of its own."""
        arguments = bind_by_name(self.function, dict(values))
        call = partial(self.function, *arguments.args, **arguments.kwargs)
        if iscoroutinefunction(self.function) or iscoroutinefunction(type(self.function).__call__):
            return await settle(call())
        return await settle(await call_in_thread(call, name=f"tool {self.name}"))


def tool_name(function: Callable[..., Any]) -> str:
    """The name of a tool: the function's, the one behind a partial, or the class's of a callable object."""
    named = without_partials(function)
    name = getattr(named, "__name__", type(named).__name__)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"a tool's name is made of letters, digits and _.-, got {name!r}; write it with def")
    return name


def convert_func_to_tool_def(func: Callable[..., Any]) -> Tool:
    """What a model is shown of a function: name, description and the JSON schema of its arguments."""
    return FunctionTool.of(func).definition


def _read_parameters(name: str, function: Callable[..., Any], hidden: frozenset[str]) -> list[FunctionParameter]:
    try:
        parameters = read_parameters(function, unread=hidden)
    except _UNREADABLE as error:
        raise ConfigError(
            f"tool {name}: its signature cannot be read ({error}); type hints must be known in the function's module"
        ) from error
    if unknown := sorted(hidden - {parameter.name for parameter in parameters}):
        _LOGGER.warning("tool %s has no argument %s that could be hidden", name, ", ".join(unknown))
    return parameters


def _checkable(parameter: FunctionParameter) -> FunctionParameter:
    """A hidden parameter may be of a type that only a type checker can check: it takes anything then."""
    try:
        ArgumentModel(parameter.name, [parameter])
    except ConfigError:
        return replace(parameter, annotation=Any)
    return parameter


def _docstring(function: Callable[..., Any]) -> str | None:
    """The docstring of a function or class, or of a callable object's `__call__`, or else of its class."""
    called = without_partials(function)
    own: str | None = called.__doc__
    return own if isroutine(called) or isclass(called) else written_function(called).__doc__ or own
