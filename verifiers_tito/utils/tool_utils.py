"""Where authors import `convert_func_to_tool_def` from; it is defined in `tools`."""

from verifiers_tito.tools import convert_func_to_tool_def

__all__ = ["convert_func_to_tool_def"]
