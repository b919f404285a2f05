"""Tools that work on a rollout's own state: a file system, a sandbox, a game.

    the model's arguments ──► checked, none is hidden ──► update_tool_args adds the hidden ones ──► checked ──► call

The model neither sees nor sends hidden arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from verifiers_tito.calling import settle
from verifiers_tito.envs.tool_env import ToolEnv
from verifiers_tito.tools import FunctionTool
from verifiers_tito.types import Messages, State, ToolCall


class StatefulToolEnv(ToolEnv):
    """A `ToolEnv` whose tools get more arguments than the model sends. Subclasses write `update_tool_args`.

    Calls of one turn run one after the other, because they share the rollout's state: a model that writes and then
    reads shall read what it wrote. `tools_in_parallel=True` runs them at once.
    """

    def __init__(
        self,
        tools: Iterable[Callable[..., Any]] | None = None,
        max_turns: int = 10,
        tools_in_parallel: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(tools=tools, max_turns=max_turns, tools_in_parallel=tools_in_parallel, **kwargs)

    def add_tool(self, tool: Callable[..., Any], args_to_skip: Iterable[str] = ()) -> None:
        """Offers a tool without the arguments `args_to_skip`, which `update_tool_args` adds."""
        self._add(FunctionTool.of(tool, hidden=args_to_skip))

    @property
    def skipped_args(self) -> dict[str, list[str]]:
        """The hidden arguments of each tool."""
        return {name: sorted(tool.hidden) for name, tool in self._function_tools.items()}

    def update_tool_args(
        self, tool_name: str, tool_args: dict[str, Any], messages: Messages, state: State, **kwargs: Any
    ) -> Any:
        """The arguments of the call as a dict: those that the model sent, and hidden ones. It may be async.

        A hidden argument reaches the tool as the very object that is given here.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define update_tool_args(self, tool_name, tool_args, messages, state) -> dict"
        )

    def read_arguments(self, call: ToolCall) -> dict[str, Any]:
        """What the model sent, where a call with it can succeed; hidden arguments count as unknown ones."""
        sent = super().read_arguments(call)
        if call.name in self.tool_map:
            self._function_tool(call.name).check_sent(sent)
        return sent

    async def complete_arguments(
        self, tool_name: str, tool_args: dict[str, Any], messages: Messages, state: State, **kwargs: Any
    ) -> dict[str, Any]:
        updated = await settle(self.update_tool_args(tool_name, tool_args, messages, state, **kwargs))
        if not isinstance(updated, dict):
            raise TypeError(f"update_tool_args returned {type(updated).__name__}; return the dict of all arguments")
        return updated
