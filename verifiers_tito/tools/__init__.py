"""Tools: Python functions that a model may call."""

from verifiers_tito.tools.content import to_content
from verifiers_tito.tools.function_tool import FunctionTool, convert_func_to_tool_def, tool_name

__all__ = ["FunctionTool", "convert_func_to_tool_def", "to_content", "tool_name"]
