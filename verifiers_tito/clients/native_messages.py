"""Our messages and tools in OpenAI's shape, as vLLM reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from verifiers_tito.types import AssistantMessage, Message, MessageContent, TextMessage, Tool, ToolCall, to_message


class NativePrompt(Sequence[dict[str, Any]]):
    """A conversation that is put into OpenAI's shape when somebody looks: a turn that goes in as ids needs its last
    messages only."""

    def __init__(self, messages: Sequence[Message | Mapping[str, Any]]) -> None:
        self.messages = messages

    def __len__(self) -> int:
        return len(self.messages)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return to_native_messages(self.messages[index])
        return _to_native(self.messages[index])


def to_native_message(message: Message) -> dict[str, Any]:
    """One message. Reasoning goes out as `reasoning`, which vLLM's chat and `/tokenize` routes both read."""
    native: dict[str, Any] = {"role": message.role, "content": _native_content(message.content)}
    if isinstance(message, TextMessage):
        native["role"] = "user"
    elif isinstance(message, AssistantMessage):
        if message.reasoning_content is not None:
            native["reasoning"] = message.reasoning_content
        if message.tool_calls:
            native["tool_calls"] = [_native_call(call) for call in message.tool_calls]
    elif message.role == "tool":
        native["tool_call_id"] = message.tool_call_id
    name = message.get("name")
    return native if name is None else {**native, "name": name}


def to_native_messages(messages: Iterable[Message | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages given as models or dicts. Dicts that are in OpenAI's shape already stay as they are."""
    return [_to_native(message) for message in messages]


def to_native_tool(tool: Tool) -> dict[str, Any]:
    """A function tool; `strict` is left out unless it was set, because templates show what is there."""
    function: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _to_native(message: Message | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(message, Mapping) and _is_native(message):
        return dict(message)
    return to_native_message(to_message(message))


def _is_native(message: Mapping[str, Any]) -> bool:
    calls = message.get("tool_calls") or []
    return "reasoning_content" not in message and all("function" in call for call in calls)


def _native_content(content: MessageContent | None) -> Any:
    if content is None or isinstance(content, str):
        return content
    return [part.model_dump(exclude_none=True) for part in content]


def _native_call(given: ToolCall | Mapping[str, Any]) -> dict[str, Any]:
    call = ToolCall.model_validate(given)
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
