"""An environment whose part of the conversation is the results of tools.

    a turn's tool calls ──► read_arguments ──► complete_arguments ──► call_tool ──► a tool message for each, in order

What is wrong with a call becomes its tool message, so that the model can do better. What a tool raises does, too
(through `error_formatter`), but for the types in `stop_errors`, which end the rollout. Otherwise a rollout ends with
the first turn that calls nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

from verifiers_tito.envs.decorators import stop
from verifiers_tito.envs.multiturn_env import MultiTurnEnv
from verifiers_tito.errors import ConfigError, ToolCallError, ToolError, ToolParseError
from verifiers_tito.rubrics import ToolCallCount, count_tool_calls
from verifiers_tito.tools import FunctionTool, to_content, tool_name
from verifiers_tito.types import Messages, State, ToolCall, ToolMessage


def describe_error(error: Exception) -> str:
    """What the model is told of an error: its text, or its type where it has none."""
    return str(error) or type(error).__name__


class ToolEnv(MultiTurnEnv):
    """`tools` are Python functions, sync or async, whose type hints and docstrings the model is shown.

    Calls of one turn run at once, unless `tools_in_parallel` is false. A call takes `tool_timeout_seconds` at most
    (None is no limit): a coroutine is cancelled then; a plain function runs in a thread, which nothing can stop, so it
    is left to itself and nobody waits for it. `stop_errors` are types of exceptions: a tool's own, those that caused a
    `ToolParseError` or `ToolCallError`, or these two. The rubric records `total_tool_calls` and `NAME_calls`.
    """

    def __init__(
        self,
        tools: Iterable[Callable[..., Any]] | None = None,
        max_turns: int = 10,
        error_formatter: Callable[[Exception], str] = describe_error,
        stop_errors: Iterable[type[Exception]] | None = None,
        tool_timeout_seconds: float | None = None,
        tools_in_parallel: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(max_turns=max_turns, **kwargs)
        self.error_formatter = error_formatter
        self.stop_errors = list(stop_errors or [])
        self.tool_timeout_seconds = tool_timeout_seconds
        self.tools_in_parallel = tools_in_parallel
        self.tools: list[Callable[..., Any]] = []
        self.tool_map: dict[str, Callable[..., Any]] = {}
        self._function_tools: dict[str, FunctionTool] = {}
        count_tool_calls(self.rubric, *(tool.name for tool in self.tool_defs))
        for tool in tools or []:
            self._add(FunctionTool.of(tool))

    def add_tool(self, tool: Callable[..., Any]) -> None:
        """Offers another tool to the rollouts that begin from now on."""
        self._add(FunctionTool.of(tool))

    def remove_tool(self, tool: Callable[..., Any]) -> None:
        """Takes a tool back, and its metric."""
        if tool not in self.tools:
            raise ConfigError(f"{tool_name(tool)} is no tool of this environment; it has {self._known_tools()}")
        name = tool_name(tool)
        self.tools.remove(tool)
        self.tool_defs = [definition for definition in self.tool_defs if definition.name != name]
        del self.tool_map[name]
        del self._function_tools[name]
        self.rubric.remove_metric(ToolCallCount(name).__name__)

    @stop
    async def no_tools_called(self, state: State) -> bool:
        if not state["trajectory"]:
            return False
        last = state["trajectory"][-1]["completion"][-1]
        return last.get("role") == "assistant" and not last.get("tool_calls")

    async def env_response(self, messages: Messages, state: State, **kwargs: Any) -> Messages:
        """One tool message for each call of the last message, in the order of the calls."""
        calls: list[ToolCall] = (messages[-1].get("tool_calls") or []) if messages else []
        if not self.tools_in_parallel:
            return [await self._answer(call, messages, state, **kwargs) for call in calls]
        try:
            async with asyncio.TaskGroup() as group:
                answers = [group.create_task(self._answer(call, messages, state, **kwargs)) for call in calls]
        except ExceptionGroup as failures:
            first = failures.exceptions[0]
            raise first from first.__cause__
        return [answer.result() for answer in answers]

    async def call_tool(
        self, tool_name: str, tool_args: dict[str, Any], tool_call_id: str, **kwargs: Any
    ) -> ToolMessage:
        """Calls a tool with the arguments of `complete_arguments`. Override it to call tools elsewhere.

        What it raises is told to the model; a `ConfigError` (a hidden argument is missing) ends the rollout.
        """
        tool = self._function_tool(tool_name)
        result = await tool.call(tool.check_complete(tool_args))
        return ToolMessage(tool_call_id=tool_call_id, content=to_content(result))

    def read_arguments(self, call: ToolCall) -> dict[str, Any]:
        """The arguments that the model sent. Raises `ToolError` for the model to read."""
        if call.name not in {*self.tool_map, *(tool.name for tool in self.tool_defs)}:
            raise ToolCallError(f"there is no tool {call.name!r:.100}; the tools are {self._known_tools()}")
        try:
            arguments = json.loads(call.arguments) if call.arguments.strip() else {}
        except (ValueError, RecursionError) as error:
            raise ToolParseError(f"{call.name} was not called: its arguments are no JSON: {error}") from error
        if not isinstance(arguments, dict):
            kind = type(arguments).__name__
            raise ToolParseError(f"{call.name} was not called: its arguments must be a JSON object, got {kind}")
        return arguments

    async def complete_arguments(
        self, tool_name: str, tool_args: dict[str, Any], messages: Messages, state: State, **kwargs: Any
    ) -> dict[str, Any]:
        """The arguments of the call. What it raises is the environment's mistake and ends the rollout."""
        return tool_args

    async def _answer(self, call: ToolCall, messages: Messages, state: State, **kwargs: Any) -> ToolMessage:
        try:
            sent = self.read_arguments(call)
        except ToolError as error:
            return self._tell(call, error)
        arguments = await self.complete_arguments(call.name, sent, messages, state, **kwargs)
        try:
            return await self._call_in_time(call, arguments)
        except ConfigError:
            raise
        except Exception as error:
            return self._tell(call, error)

    async def _call_in_time(self, call: ToolCall, arguments: dict[str, Any]) -> ToolMessage:
        """Raises what the tool raises, and `ToolCallError` for a call that took too long or cancelled itself."""
        limit = asyncio.timeout(self.tool_timeout_seconds)
        try:
            async with limit:
                return await self.call_tool(call.name, arguments, call.id)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ToolCallError(f"{call.name} gave no result in {self.tool_timeout_seconds} seconds") from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise ToolCallError(f"{call.name} was cancelled from within") from error

    def _tell(self, call: ToolCall, error: Exception) -> ToolMessage:
        """The error as the call's tool message. Raises it, as a `ToolError`, where it shall end the rollout."""
        causes = (error, error.__cause__) if isinstance(error, ToolError) else (error,)
        if not any(isinstance(cause, tuple(self.stop_errors)) for cause in causes):
            return ToolMessage(tool_call_id=call.id, content=self.error_formatter(error))
        if isinstance(error, ToolError):
            raise error
        raise ToolCallError(f"tool {call.name} raised {type(error).__name__}: {error}") from error

    def _add(self, tool: FunctionTool) -> None:
        if any(tool.name == known.name for known in self.tool_defs):
            raise ConfigError(f"there is a tool {tool.name} already; a model tells tools apart by their names")
        self.tools.append(tool.function)
        self.tool_map[tool.name] = tool.function
        self.tool_defs.append(tool.definition)
        self._function_tools[tool.name] = tool
        count_tool_calls(self.rubric, tool.name)

    def _function_tool(self, name: str) -> FunctionTool:
        """The tool as `tool_map` has it, which authors may change by hand."""
        if name not in self.tool_map:
            raise ConfigError(f"tool {name} has a definition and no function; override call_tool, or give it in tools=")
        function, known = self.tool_map[name], self._function_tools.get(name)
        if known is None or known.function is not function:
            known = FunctionTool.of(function, hidden=known.hidden if known else ())
            self._function_tools[name] = known
        return known

    def _known_tools(self) -> str:
        return ", ".join(tool.name for tool in self.tool_defs) or "none"
