"""A tool as the model is told of it."""

from __future__ import annotations

from verifiers_tito.types.messages import DictLike


class Tool(DictLike):
    """`parameters` is the JSON schema of the arguments."""

    name: str
    description: str
    parameters: dict[str, object]
    strict: bool | None = None
