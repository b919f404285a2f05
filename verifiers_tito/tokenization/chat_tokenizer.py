"""What stitching needs of a tokenizer: a conversation in the model's chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from verifiers_tito.errors import ModelError
from verifiers_tito.tokenization.rendering import Rendering


class TemplateRefusedError(ModelError):
    """The chat template cannot render this conversation; the message holds the template's own words."""


class ChatTokenizer(Protocol):
    """Renders and tokenizes for one server or one folder. Knows nothing of trajectories."""

    async def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str,
        tools: Sequence[Mapping[str, Any]] | None,
        template_fields: Mapping[str, Any],
        add_generation_prompt: bool,
    ) -> Rendering:
        """`messages` and `tools` in OpenAI's shape; `template_fields` as `wire.requests.tokenize_fields` gives them.

        Raises `TemplateRefusedError` where the template does not accept the conversation.
        """
        ...
