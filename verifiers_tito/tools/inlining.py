"""JSON schemas without references, because neither chat templates nor tool call parsers follow them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIX = "#/$defs/"


class _RecursiveError(Exception):
    """A definition holds itself."""


def inline_definitions(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of pydantic's without title, and with each `$ref` replaced by what it refers to.

    One with a type that holds itself keeps its references, for want of another way to write it.
    """
    untitled = {key: value for key, value in schema.items() if key != "title"}
    definitions = untitled.get("$defs", {})
    try:
        return {key: _inline(value, definitions, ()) for key, value in untitled.items() if key != "$defs"}
    except _RecursiveError:
        return untitled


def _inline(node: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions, inside) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return {key: _inline(value, definitions, inside) for key, value in node.items()}
    name = reference.removeprefix(_PREFIX)
    if name in inside:
        raise _RecursiveError(name)
    definition = {key: value for key, value in definitions[name].items() if key != "title"}
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return {**_inline(definition, definitions, (*inside, name)), **beside}
