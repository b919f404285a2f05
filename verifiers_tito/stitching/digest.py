"""Digests of messages, so that histories are compared by one number and never message by message.

Two messages have the same digest when a chat template cannot tell them apart in a way that matters for stitching:
content `None` and `""` are one, tool-call arguments may differ in JSON white space, and `reasoning` is
`reasoning_content`. A changed word, key order or number spelling is a difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import reduce
from hashlib import blake2b
from typing import Any

from verifiers_tito.types import Message, ToolCall, to_message

_DIGEST_BYTES = 16
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
"""Strings (the last one may lack its end), punctuation, and runs of anything else but white space: two texts with the
same tokens differ in white space only, be they JSON or not. No part is looked at twice, however long."""
_IGNORED_FIELDS = frozenset(
    {"finish_reason", "is_truncated", "tokens", "refusal", "annotations", "audio", "function_call"}
)


def chained(before: bytes, message: Message | Mapping[str, Any]) -> bytes:
    """The digest of a conversation from the digest of all but its last message (`b""` for none) and that message."""
    return blake2b(before + message_digest(message), digest_size=_DIGEST_BYTES).digest()


def conversation_digest(messages: Iterable[Message | Mapping[str, Any]], *, before: bytes = b"") -> bytes:
    """The digest of a conversation, of which `before` is that of all messages in front of these."""
    return reduce(chained, messages, before)


def message_digest(message: Message | Mapping[str, Any]) -> bytes:
    """The digest of one message, given as a model or as a dict in OpenAI's shape."""
    fields = {
        key: _canonical(key, value)
        for key, value in to_message(message).items()
        if key not in _IGNORED_FIELDS and value not in (None, "", [])
    }
    return value_digest(fields)


def value_digest(value: Any) -> bytes:
    """The digest of a JSON-like value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _canonical(key: str, value: Any) -> Any:
    if key != "tool_calls":
        return value
    calls = map(ToolCall.model_validate, value)  # an environment may have set dicts
    return [[call.id, call.name, _JSON_TOKEN.findall(call.arguments)] for call in calls]


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return dict(value.items())
    raise TypeError(f"a message may hold JSON-like values only, got {type(value).__name__}")
