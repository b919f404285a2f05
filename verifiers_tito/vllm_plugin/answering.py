"""What an answer of our route shows that vLLM's does not: a digest for the prompt, plain numbers, weight versions.

Flow: `answering` makes a copy of the handler for one request, which notes on the request what passes through it;
`completion_body` writes it into vLLM's completion. Should a vLLM no longer pass through here, then nothing is noted and
its own fields stay: what the client asked for can fail, its proof cannot get lost.

It knows no HTTP, and imports nothing of vLLM.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from verifiers_tito.wire.answers import PromptDigestAnswer
from verifiers_tito.wire.logprobs_form import LogprobsForm

MINUS_INFINITY = -9999.0
"""JSON has no infinity; vLLM writes this instead, and for a number that is missing."""


@dataclass(slots=True, kw_only=True)
class Noted:
    """What was noted of one request. `logprobs` has a list (C,) for each choice, `weight_versions` by its index."""

    prompt_digest: PromptDigestAnswer | None = None
    logprobs: list[list[float]] = field(default_factory=list)
    weight_versions: dict[int, list[dict[str, Any]]] = field(default_factory=dict)


def answering(handler: Any, request: Any) -> Any:
    """A copy of `handler` (ours, made of vLLM's) that notes on `request` what goes into its answer."""
    noted: Noted = request._noted
    noting = copy.copy(handler)
    answer = getattr(noting, "chat_completion_full_generator", None)
    if answer is not None:

        async def chat_completion_full_generator(request: Any, outputs: Any, *arguments: Any, **options: Any) -> Any:
            return await answer(request, _noting_versions(outputs, noted), *arguments, **options)

        noting.chat_completion_full_generator = chat_completion_full_generator
    if request.logprobs_form == LogprobsForm.ARRAY:

        def _create_chat_logprobs(token_ids: Any, top_logprobs: Any, *_: Any, **__: Any) -> None:
            noted.logprobs.append(_numbers(token_ids, top_logprobs))

        noting._create_chat_logprobs = _create_chat_logprobs
    return noting


def completion_body(completion: Any, request: Any) -> dict[str, Any]:
    """vLLM's completion as JSON, with what was noted in place of what it stands for."""
    noted: Noted = request._noted
    has_digest = noted.prompt_digest is not None
    body = dict(completion.model_dump(exclude={"prompt_token_ids"} if has_digest else None))
    if has_digest:
        body |= {"prompt_token_ids": None, "prompt_digest": msgspec.to_builtins(noted.prompt_digest)}
    for position, choice in enumerate(body["choices"]):
        if position < len(noted.logprobs) and choice.get("token_ids") is not None:
            choice["completion_logprobs"] = noted.logprobs[position]
        if choice["index"] in noted.weight_versions:
            choice["weight_versions"] = noted.weight_versions[choice["index"]]
    return body


async def _noting_versions(outputs: AsyncIterator[Any], noted: Noted) -> AsyncIterator[Any]:
    """The engine's outputs, unchanged. The last one knows which weights each id was sampled with (from 0.32 on)."""
    async for output in outputs:
        for choice in output.outputs:
            spans = getattr(choice, "weight_versions", None)
            if spans:
                noted.weight_versions[choice.index] = [
                    {"version": span.version, "start": span.start, "end": span.end} for span in spans
                ]
        yield output


def _numbers(token_ids: Any, top_logprobs: Any) -> list[float]:
    """The sampled ids' own log-probabilities, as vLLM would write them."""
    numbers = []
    for token_id, by_id in zip(token_ids, top_logprobs, strict=False):
        sampled = None if by_id is None else by_id.get(token_id)
        numbers.append(MINUS_INFINITY if sampled is None else max(sampled.logprob, MINUS_INFINITY))
    return numbers
