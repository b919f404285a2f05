"""Lists of messages: put together, and made fit for a log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from verifiers_tito.types import Messages, content_to_text, to_message, to_messages


def concat_messages(parts: Iterable[Any]) -> Messages:
    """One conversation of several: messages, dicts, strings, or lists of them."""
    return [message for part in parts for message in to_messages(part)]


def normalize_messages(messages: Any, *, field_name: str = "messages") -> Messages:
    """Message objects of a string, a message, or a list of messages and dicts. Errors name `field_name`."""
    try:
        return to_messages(messages)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{field_name}: {error}") from error


maybe_normalize_messages = normalize_messages


def message_to_printable(message: Any) -> dict[str, Any]:
    """The message as a dict whose content is text: images, sounds and files become `[image_url]` and the like."""
    fields = {name: value for name, value in to_message(message).items() if value is not None}
    content = fields.get("content")
    if isinstance(content, list):
        fields["content"] = " ".join(map(_part_to_text, content))
    return fields


def messages_to_printable(messages: Any) -> list[dict[str, Any]]:
    """The same for a conversation."""
    return [message_to_printable(message) for message in to_messages(messages)]


def _part_to_text(part: Mapping[str, Any]) -> str:
    return content_to_text([part]) if part.get("type") == "text" else f"[{part.get('type')}]"
