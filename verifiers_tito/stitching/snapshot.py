"""What a message said when it was looked at, for telling cheaply whether another one still says the same.

A conversation is passed again turn after turn, as the same message objects or as equal ones. A snapshot holds the very
strings of a message, so comparing an unchanged message compares addresses; an edit in place is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifiers_tito.types import Message, ToolCall

_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The texts of a message, and id, name and arguments of its tool calls."""

    kind: type
    texts: dict[str, Any]
    calls: tuple[tuple[str, str, str], ...]

    @classmethod
    def of(cls, message: Message | Mapping[str, Any]) -> Snapshot | None:
        """None for a message that holds more than texts and calls, and so has to be looked at again each time."""
        if isinstance(message, Mapping) and type(message) is not dict:
            return None
        fields = _fields(message)
        texts, calls = _texts(fields), _calls(fields.get(_CALLS))
        if calls is None or not all(value is None or type(value) is str for value in texts.values()):
            return None
        return cls(type(message), texts, calls)

    def holds(self, message: Message | Mapping[str, Any]) -> bool:
        """Whether `message` says the same: about a tenth of a microsecond where it makes no calls."""
        if type(message) is not self.kind:
            return False
        fields = _fields(message)
        if fields == self.texts:
            return not self.calls
        return _texts(fields) == self.texts and _calls(fields.get(_CALLS)) == self.calls


def _fields(message: Any) -> dict[str, Any]:
    """The very fields of a message where it has no others than its model declares: they are not copied."""
    if type(message) is dict:
        return message
    extra = message.__pydantic_extra__
    return {**message.__dict__, **extra} if extra else message.__dict__


def _texts(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, _CALLS: None} if _CALLS in fields else dict(fields)


def _calls(calls: Any) -> tuple[tuple[str, str, str], ...] | None:
    """What calls say; None where they are not all ours."""
    if not all(type(call) is ToolCall and not call.__pydantic_extra__ for call in calls or ()):
        return None
    return tuple((call.id, call.name, call.arguments) for call in calls or ())
