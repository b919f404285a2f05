"""What stitching needs of a tokenizer: a conversation in the model's chat template, as ids with their spellings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from verifiers_tito.errors import ModelError


class TemplateRefusedError(ModelError):
    """The chat template cannot render this conversation; the message holds the template's own words."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered conversation: ids (N,) and the vocabulary's spelling of each (N,).

    Spellings are for finding ASCII marks in the ids; they are not text (a byte-level vocabulary writes a space
    as `Ġ`).
    """

    token_ids: list[int]
    token_texts: list[str]

    def __post_init__(self) -> None:
        if len(self.token_ids) != len(self.token_texts):
            raise ValueError(f"{len(self.token_ids)} ids but {len(self.token_texts)} spellings")


class ChatTokenizer(Protocol):
    """Renders and tokenizes for one model. Knows nothing of trajectories."""

    async def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str,
        tools: Sequence[Mapping[str, Any]] | None,
        template_fields: Mapping[str, Any],
        add_generation_prompt: bool,
    ) -> Rendered:
        """`messages` and `tools` in OpenAI's shape; `template_fields` as `wire.requests.tokenize_fields` gives them.

        Raises `TemplateRefusedError` where the template does not accept the conversation.
        """
        ...
