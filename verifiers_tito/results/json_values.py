"""Any value as JSON, without ever failing: what JSON cannot hold becomes text, and it is remembered where.

Numbers and arrays of numpy and torch are known by what they can do (`tolist`), so that neither is imported here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
"""What readers of JSON keep as whole numbers."""
_DEEPEST = 100
_LONGEST_TEXT = 2000


@dataclass(slots=True)
class JsonValues:
    """`changed` says of each place (`info.when`) what stood there and was made text."""

    changed: dict[str, str] = field(default_factory=dict)

    def of(self, value: Any, place: str, *, depth: int = 0) -> Any:
        """`value` made of dicts with text keys, lists, text, finite numbers, booleans and None."""
        if value is None or isinstance(value, bool):
            return value
        if depth > _DEEPEST:
            return self._text(value, place, "nested too deep")
        if isinstance(value, Enum):
            return self.of(value.value, place, depth=depth + 1)
        if isinstance(value, int):
            whole = int(value)
            return whole if _SMALLEST <= whole <= _LARGEST else self._text(value, place, "a number too large")
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else self._text(value, place, "no finite number")
        if isinstance(value, str):
            return encodable(value)
        return self._compound(value, place, depth + 1)

    def _compound(self, value: Any, place: str, depth: int) -> Any:
        if isinstance(value, BaseModel):
            return self._mapping(value.model_dump(exclude_none=True), place, depth)
        if isinstance(value, Mapping):
            return self._mapping(value, place, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return [self.of(item, f"{place}[]", depth=depth) for item in value]
        if isinstance(value, date | time):
            return value.isoformat()
        if isinstance(value, PurePath):
            return encodable(value.as_posix())
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {item.name: getattr(value, item.name, None) for item in dataclasses.fields(value)}
            return self._mapping(fields, place, depth)
        plain = _plain(value)
        return self._text(value, place, type(value).__name__) if plain is value else self.of(plain, place, depth=depth)

    def _mapping(self, value: Mapping[Any, Any], place: str, depth: int) -> dict[str, Any]:
        items: Iterable[tuple[Any, Any]] = value.items()
        made = {}
        for key, item in items:
            name = encodable(key) if isinstance(key, str) else self._text(key, f"{place} (a key)", type(key).__name__)
            made[name] = self.of(item, f"{place}.{name}", depth=depth)
        return made

    def _text(self, value: Any, place: str, what: str) -> str:
        self.changed.setdefault(place, what)
        return shown(value)


def shown(value: Any) -> str:
    """A value's text for people, whatever it is."""
    try:
        text = str(value)
    except Exception as error:  # somebody else's __str__
        text = f"<{type(value).__name__}, whose text cannot be had: {type(error).__name__}>"
    return encodable(text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "...")


def encodable(text: str) -> str:
    """The text as it is, or with halves of surrogate pairs, which no file can hold, written out."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return str(text)


def _plain(value: Any) -> Any:
    """Lists and numbers of an array or a scalar, or the value itself where it is neither."""
    to_list = getattr(value, "tolist", None)
    if not callable(to_list):
        return value
    try:
        return to_list()
    except Exception:  # a tensor on a device that is gone, say: it is shown as text then
        return value
