"""What besides the messages decides how a prompt is rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from verifiers_tito.stitching import value_digest
from verifiers_tito.wire.requests import rendering_fields, tokenize_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateInput:
    """`fields` are those of the request. `key` names all of it; it is equal for turns that may be stitched to each
    other. `family` names it without the tools' own texts: what is proven of a template holds for all tools.
    """

    model: str
    tools: Sequence[Mapping[str, Any]] | None
    fields: Mapping[str, Any]
    key: str = field(init=False)
    family: str = field(init=False)

    def __post_init__(self) -> None:
        rendered_with = rendering_fields(self.fields)
        key = value_digest([self.model, self.tools or [], rendered_with])
        family = value_digest([self.model, bool(self.tools), rendered_with])
        object.__setattr__(self, "key", key.hex())
        object.__setattr__(self, "family", family.hex())

    @property
    def rendering(self) -> dict[str, Any]:
        """The arguments of `ChatTokenizer.render` that come from here."""
        return {"model": self.model, "tools": self.tools, "template_fields": tokenize_fields(self.fields)}
