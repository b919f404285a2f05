"""Sampling arguments: a plain dict at run time, with the known keys spelled out for editors and type checkers.

Keys that OpenAI's API does not know but vLLM does (`top_k`, `min_p`, `repetition_penalty`, `structured_outputs`,
`chat_template_kwargs`, ...) may stand at the top level or under `extra_body`.
"""

from __future__ import annotations

from typing import Any, TypedDict


class SamplingArgs(TypedDict, total=False):
    """`SamplingArgs(temperature=1.0, max_tokens=256)` and `{"temperature": 1.0, ...}` are the same thing."""

    temperature: float
    max_tokens: int
    max_completion_tokens: int
    top_p: float
    top_k: int
    min_p: float
    seed: int
    stop: str | list[str]
    stop_token_ids: list[int]
    n: int
    frequency_penalty: float
    presence_penalty: float
    repetition_penalty: float
    logprobs: bool
    top_logprobs: int
    tool_choice: Any
    parallel_tool_calls: bool
    structured_outputs: dict[str, Any]
    chat_template_kwargs: dict[str, Any]
    extra_body: dict[str, Any]
