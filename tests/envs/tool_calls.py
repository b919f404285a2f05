"""Tool calls for tests: as a model samples them, and as a turn that has been parsed."""

from __future__ import annotations

import json
from typing import Any

import verifiers_tito as vf


def sampled(*calls: tuple[str, dict[str, Any]]) -> str:
    """The text of a turn that makes these calls (name and arguments), in the syntax of Hermes and Qwen."""
    bodies = (json.dumps({"name": name, "arguments": arguments}) for name, arguments in calls)
    return "\n".join(f"<tool_call>\n{body}\n</tool_call>" for body in bodies)


def calling(*calls: tuple[str, Any]) -> vf.Messages:
    """A conversation that ends with these calls; arguments are a dict or the text that the model wrote."""
    made = [
        vf.ToolCall(
            id=f"call-{number}", name=name, arguments=written if isinstance(written, str) else json.dumps(written)
        )
        for number, (name, written) in enumerate(calls)
    ]
    return [vf.UserMessage(content="Go on."), vf.AssistantMessage(tool_calls=made)]
