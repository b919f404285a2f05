"""Counts of tool calls as metrics: `total_tool_calls`, and `NAME_calls` for each tool.

What the model asked for is counted in the completion, whether or not the call could be made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from verifiers_tito.rubrics.rubric import Rubric
from verifiers_tito.types import Messages


def total_tool_calls(completion: Messages) -> float:
    """How many tool calls the model made."""
    return float(len(_called_names(completion)))


class ToolCallCount:
    """How many calls of one tool the model made."""

    def __init__(self, tool: str) -> None:
        self.tool = tool
        self.__name__ = f"{tool}_calls"

    def __call__(self, completion: Messages) -> float:
        return float(_called_names(completion).count(self.tool))


class ToolRubric(Rubric):
    """A rubric that counts calls of `tools` (functions or names). A `ToolEnv` counts them in whatever rubric it has."""

    def __init__(
        self,
        tools: Iterable[Callable[..., Any] | str] | None = None,
        tool_names: Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        count_tool_calls(self)
        for tool in [*(tools or []), *(tool_names or [])]:
            self.add_tool_metric(tool)

    def add_tool_metric(self, tool: Callable[..., Any] | str) -> None:
        count_tool_calls(self, _name(tool))

    def remove_tool_metric(self, tool: Callable[..., Any] | str) -> None:
        self.remove_metric(ToolCallCount(_name(tool)).__name__)


def count_tool_calls(rubric: Rubric, *tools: str) -> None:
    """Adds the metrics to any rubric: the total, and one for each name. What it counts already is not added again."""
    counted = {getattr(function, "__name__", "") for function in rubric.funcs}
    metrics: dict[str, Callable[..., float]] = {"total_tool_calls": total_tool_calls}
    metrics |= {count.__name__: count for count in map(ToolCallCount, tools)}
    for name, metric in metrics.items():
        if name not in counted:
            rubric.add_metric(metric)


def _name(tool: Callable[..., Any] | str) -> str:
    return tool if isinstance(tool, str) else getattr(tool, "__name__", type(tool).__name__)


def _called_names(completion: Messages) -> list[str]:
    """Messages may be dicts where an environment renders its completion itself."""
    said = (message for message in completion if message.get("role") == "assistant")
    return [call["name"] for message in said for call in message.get("tool_calls") or []]
