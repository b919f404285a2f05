"""Request bodies: how sampling arguments, messages and token ids are laid out on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TEMPLATE_FIELDS = ("chat_template", "chat_template_kwargs", "documents")
"""Fields of a request that change how messages are rendered; `/tokenize` must get the same ones."""

RENDER_FLAGS = ("add_generation_prompt", "continue_final_message", "echo")
"""Fields with which a chat request's prompt does not end in an ordinary generation prompt."""


def flatten_sampling_args(sampling_args: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling arguments as top-level body fields: `extra_body` merged in, None dropped, `max_tokens` renamed."""
    flat = {**sampling_args, **(sampling_args.get("extra_body") or {})}
    flat.pop("extra_body", None)
    if flat.get("max_tokens") is not None:
        flat["max_completion_tokens"] = flat.pop("max_tokens")
    return {key: value for key, value in flat.items() if value is not None}


def with_token_ids(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields, asking for the sampled ids and their log-probabilities."""
    return {**fields, "logprobs": True, "return_token_ids": True}


def template_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a request's fields that the chat template sees."""
    return {key: fields[key] for key in TEMPLATE_FIELDS if fields.get(key)}


def chat_body(
    *,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None,
    fields: Mapping[str, Any],
    token_ids: list[int] | None = None,
) -> dict[str, Any]:
    """Body of a chat completion; with `token_ids` that of our tokens-in route, whose messages are not rendered."""
    body: dict[str, Any] = {"model": model, "messages": messages, **fields}
    if tools:
        body["tools"] = tools
    if token_ids is not None:
        body["tokens"] = token_ids
    return body


def tokenize_body(
    *,
    model: str,
    messages: str | Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Body of `/tokenize` for a plain text or a conversation."""
    if isinstance(messages, str):
        return {"model": model, "prompt": messages, **(fields or {})}
    body: dict[str, Any] = {"model": model, "messages": messages, **(fields or {})}
    if tools:
        body["tools"] = tools
    return body
