"""Chat messages: what environments write and read.

Every message is a small pydantic model with dict-style access beside its attributes, because environments use
both (`m.content`, `m["content"]`, `m.get("tool_calls")`). `to_messages` accepts whatever an author may return
(a string, dicts, models) and gives models. This module knows nothing of tokens or of any provider's wire.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator


class DictLike(BaseModel):
    """A pydantic model that can also be read and written like a dict; unknown fields are kept."""

    model_config = ConfigDict(extra="allow")

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, key, value)

    def __contains__(self, key: object) -> bool:
        return key in self.__pydantic_fields__ or key in (self.__pydantic_extra__ or {})

    def get(self, key: str, default: Any = None) -> Any:
        return getattr(self, key) if key in self else default

    def keys(self) -> list[str]:
        return [*type(self).model_fields, *(self.__pydantic_extra__ or {})]

    def items(self) -> Iterator[tuple[str, Any]]:
        return ((key, self[key]) for key in self.keys())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return {k: v for k, v in self.items() if v is not None} == {k: v for k, v in other.items() if v is not None}
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]


class TextContentPart(DictLike):
    type: Literal["text"] = "text"
    text: str


class ImageUrlSource(DictLike):
    url: str


class ImageUrlContentPart(DictLike):
    type: Literal["image_url"] = "image_url"
    image_url: ImageUrlSource


class InputAudioSource(DictLike):
    data: str
    format: str


class InputAudioContentPart(DictLike):
    type: Literal["input_audio"] = "input_audio"
    input_audio: InputAudioSource


class GenericContentPart(DictLike):
    type: str


ContentPart = TextContentPart | ImageUrlContentPart | InputAudioContentPart | GenericContentPart
MessageContent = str | list[ContentPart]


class ToolCall(DictLike):
    """A call the model made. `arguments` is the JSON text as the model wrote it, never re-serialized."""

    id: str
    name: str
    arguments: str

    @model_validator(mode="before")
    @classmethod
    def _flatten_openai_shape(cls, data: Any) -> Any:
        """OpenAI nests name and arguments under `function`; both shapes are accepted."""
        if not isinstance(data, Mapping):
            return data
        flat = {key: value for key, value in data.items() if key not in ("function", "type")}
        function = data.get("function")
        if isinstance(function, Mapping):
            flat |= function
        if isinstance(flat.get("arguments"), Mapping):
            flat["arguments"] = json.dumps(flat["arguments"], ensure_ascii=False)
        return flat


class SystemMessage(DictLike):
    role: Literal["system", "developer"] = "system"
    content: MessageContent


class UserMessage(DictLike):
    role: Literal["user"] = "user"
    content: MessageContent


class AssistantMessage(DictLike):
    role: Literal["assistant"] = "assistant"
    content: MessageContent | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None

    @model_validator(mode="before")
    @classmethod
    def _accept_reasoning(cls, data: Any) -> Any:
        """vLLM calls the field `reasoning`, others `reasoning_content`; here it has one name."""
        if isinstance(data, Mapping) and "reasoning" in data:
            data = dict(data)
            reasoning = data.pop("reasoning")
            if data.get("reasoning_content") is None:
                data["reasoning_content"] = reasoning
        return data


class ToolMessage(DictLike):
    role: Literal["tool"] = "tool"
    tool_call_id: str
    content: MessageContent


class TextMessage(DictLike):
    """Plain text outside a chat: the prompt or completion of a completion-style environment."""

    role: Literal["text"] = "text"
    content: str


Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage | TextMessage
Messages = list[Message]

_BY_ROLE: dict[str, type[Message]] = {
    "system": SystemMessage,
    "developer": SystemMessage,
    "user": UserMessage,
    "assistant": AssistantMessage,
    "tool": ToolMessage,
    "text": TextMessage,
}


def to_message(value: Any) -> Message:
    """One message from a model (returned as it is) or from a dict with a known `role`."""
    if isinstance(value, Message):
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"a message must be a message object or a dict with a role, got {type(value).__name__}")
    role = value.get("role")
    if role not in _BY_ROLE:
        raise ValueError(f"unknown message role {role!r}; known roles: {', '.join(_BY_ROLE)}")
    try:
        return _BY_ROLE[role].model_validate(value)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ValueError(f"this {role} message is malformed: {wrong}") from error


def to_messages(value: Any) -> Messages:
    """Messages from a string (one user message), one message, or a list of messages and dicts; None gives none.

    Message objects are passed on as they are, so that a history costs nothing to pass on.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [UserMessage(content=value)]
    if isinstance(value, Message | Mapping):
        return [to_message(value)]
    return [to_message(item) for item in value]


def content_to_text(content: Any) -> str:
    """The text of a message's content: a string as it is, the text parts of a list joined, "" for None."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content if part.get("type") == "text")


def has_media(message: Message | Mapping[str, Any]) -> bool:
    """Whether a content part is anything but text (an image, audio, a file)."""
    content = message.get("content")
    return isinstance(content, list) and any(part.get("type") != "text" for part in content)
