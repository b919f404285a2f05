"""What a tool returned, as the content of a message."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from verifiers_tito.types import (
    ImageUrlContentPart,
    InputAudioContentPart,
    MessageContent,
    TextContentPart,
)

_PART_TYPES = frozenset({"text", "image_url", "input_audio"})


def to_content(result: Any) -> MessageContent:
    """A string as it is, a list of content parts as parts, anything else as JSON, or as `str` where JSON cannot."""
    if isinstance(result, str):
        return result
    if _is_list_of_parts(result):
        return list(result)
    try:
        return json.dumps(to_jsonable_python(result, inf_nan_mode="constants"), ensure_ascii=False)
    except (PydanticSerializationError, ValueError, RecursionError):
        return str(result)


def _is_list_of_parts(result: Any) -> bool:
    parts = (TextContentPart, ImageUrlContentPart, InputAudioContentPart)
    return (
        isinstance(result, list)
        and bool(result)
        and all(
            isinstance(item, parts) or (isinstance(item, dict) and item.get("type") in _PART_TYPES) for item in result
        )
    )
