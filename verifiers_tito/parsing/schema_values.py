"""Values written as text, given the types that the tool's JSON schema asks for, as vLLM does it.

The first type that fits is taken, in a fixed order; a text that fits none stays text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

ALIASES = {
    **dict.fromkeys(("str", "text", "varchar", "char", "enum"), "string"),
    **dict.fromkeys(("int", "int32", "int64", "uint", "uint32", "uint64", "long", "short", "unsigned"), "integer"),
    **dict.fromkeys(("float", "float32", "float64", "double"), "number"),
    **dict.fromkeys(("arr", "list", "sequence"), "array"),
    "bool": "boolean",
    "dict": "object",
}
TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)


class DoesNotFitError(ValueError):
    """A text is no value of a type."""


def fit_arguments(arguments: str, schemas: Mapping[str, Any]) -> str:
    """JSON text of arguments with their values in the types of `schemas`; the very text where nothing changes."""
    try:
        values = json.loads(arguments) if schemas else None
    except (ValueError, RecursionError):
        return arguments
    if not isinstance(values, dict):
        return arguments
    fitted = _fit_object(values, schemas)
    if _is_same(fitted, values):
        return arguments
    return json.dumps(fitted, ensure_ascii=False)


def _fit_object(values: dict[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _fit(value, schema) if isinstance(schema := schemas.get(key), dict) else value
        for key, value in values.items()
    }


def _fit(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return fit_text(value, types_of(schema))
    if isinstance(value, dict):
        properties = schema.get("properties")
        return _fit_object(value, properties) if isinstance(properties, dict) else value
    if isinstance(value, list):
        items = schema.get("items")
        return [_fit(item, items) for item in value] if isinstance(items, dict) else value
    fitted = fit_text(json.dumps(value, ensure_ascii=False), types_of(schema))
    return value if _is_same(fitted, value) else fitted


def _is_same(one: Any, other: Any) -> bool:
    """Equal and of equal types all the way down: to Python 1, 1.0 and True are equal."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return bool(one == other)


def types_of(schema: Any) -> frozenset[str]:
    """The names of the types that a schema allows; that of text where it says nothing."""
    if not isinstance(schema, dict):
        return frozenset({"string"})
    declared = schema.get("type")
    types = {one for one in (declared if isinstance(declared, list) else [declared]) if isinstance(one, str)}
    if isinstance(schema.get("enum"), list):
        types |= {_type_name(value) for value in schema["enum"]}
    for combination in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(combination)
        for choice in choices if isinstance(choices, list) else []:
            types |= types_of(choice)
    return frozenset(types) or frozenset({"string"})


def _type_name(value: Any) -> str:
    return next((name for kind, name in TYPE_NAMES if isinstance(value, kind)), "null")


def fit_text(text: str, types: frozenset[str]) -> Any:
    """The text as a value of the first of the types that it fits; as JSON where the types are unknown ones."""
    names = {ALIASES.get(name.strip().lower(), name.strip().lower()) for name in types}
    for name, convert in CONVERSIONS.items():
        if name in names:
            try:
                return convert(text)
            except (ValueError, RecursionError):
                continue
    try:
        return _finite_json(text)
    except (ValueError, RecursionError):
        return text


def _null(text: str) -> None:
    if text.lower() != "null":
        raise DoesNotFitError(text)


def _number(text: str) -> int | float:
    number = float(text)
    if not math.isfinite(number):
        raise DoesNotFitError(text)
    return int(number) if number == int(number) else number


def _boolean(text: str) -> bool:
    word = text.lower().strip()
    if word not in ("true", "1", "false", "0"):
        raise DoesNotFitError(text)
    return word in ("true", "1")


def _finite_json(text: str) -> Any:
    value = json.loads(text)
    json.dumps(value, allow_nan=False)
    return value


CONVERSIONS: dict[str, Any] = {
    "null": _null,
    "integer": int,
    "number": _number,
    "boolean": _boolean,
    "object": _finite_json,
    "array": _finite_json,
    "string": str,
}
"""By the names of JSON's types, in the order in which they are tried."""
