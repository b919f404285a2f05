"""A policy as a function: from a prompt in ids to sampled ids, or from a conversation to the next message.

    TokenCompleter      ModelInput, stop ──► TokensWithLogprobs      for RL, which needs ids and log-probabilities
    MessageCompleter    messages ──renderer──► ids ──renderer──► message      for evaluations, judges and chats

Rollouts and evaluations ask for one of the two protocols; whoever implements them decides what samples.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from verifiers_tito.renderers import Message, Renderer, get_text_content
from verifiers_tito.renderers.messages import AnyMessage
from verifiers_tito.types import ModelInput, SampleResponse, SampleStopReason, SamplingParams, StopCondition

JUDGE_PROMPT = "Rate this answer 1-5.\nQ: {question}\nA: {answer}\nScore:"
_MOST = 5.0


@dataclass(frozen=True, slots=True)
class TokensWithLogprobs:
    """Sampled ids (C,), the stop token included; `maybe_logprobs` (C,) are None where the sampler tells none."""

    tokens: list[int]
    maybe_logprobs: list[float] | None
    stop_reason: SampleStopReason = "stop"

    @property
    def logprobs(self) -> list[float]:
        """Raises `ValueError` where there are none."""
        if self.maybe_logprobs is None:
            raise ValueError(f"the sampler told no log-probabilities of these {len(self.tokens)} tokens")
        return self.maybe_logprobs


class TokenCompleter(Protocol):
    async def __call__(
        self, model_input: ModelInput, stop: StopCondition, *, max_tokens: int | None = None
    ) -> TokensWithLogprobs:
        """Samples behind `model_input` until one of `stop`, or `max_tokens` ids."""
        ...


class MessageCompleter(Protocol):
    async def __call__(self, messages: Sequence[AnyMessage]) -> Message:
        """The next message of the conversation."""
        ...


class Sampler(Protocol):
    """What completers need of a `SamplingClient`."""

    def sample(
        self, prompt: ModelInput, num_samples: int, sampling_params: SamplingParams
    ) -> Awaitable[SampleResponse]: ...


@dataclass(frozen=True, slots=True)
class VLLMTokenCompleter:
    """Samples at most `max_tokens` ids a call, and no more than `context_window` has room for behind the prompt."""

    sampling_client: Sampler
    max_tokens: int
    temperature: float = 1.0
    context_window: int | None = None

    async def __call__(
        self, model_input: ModelInput, stop: StopCondition, *, max_tokens: int | None = None
    ) -> TokensWithLogprobs:
        """Raises `ValueError` where the prompt fills the context window, or is text, whose length nobody knows."""
        most = self.max_tokens if max_tokens is None else min(self.max_tokens, max_tokens)
        if self.context_window is not None:
            most = min(most, _room(self.context_window, model_input))
        params = SamplingParams(max_tokens=most, temperature=self.temperature, stop=stop)
        (sampled,) = (await self.sampling_client.sample(model_input, 1, params)).sequences
        return TokensWithLogprobs(sampled.tokens, sampled.logprobs, sampled.stop_reason)


def _room(context_window: int, prompt: ModelInput) -> int:
    """How many ids may be sampled behind the prompt, at least one."""
    try:
        length = prompt.length
    except ValueError as error:
        raise ValueError(f"context_window={context_window} needs the prompt's length, but {error}") from error
    if length >= context_window:
        raise ValueError(
            f"a prompt of {length} tokens leaves no room to sample in a context window of {context_window}"
        )
    return context_window - length


class VLLMMessageCompleter:
    """Renders the conversation, samples, and parses what came. Reasoning, tool calls, and calls that could not be read
    are kept, as `Renderer.parse_response` gives them. Without a `stop_condition` a turn ends as the renderer says."""

    def __init__(
        self,
        sampling_client: Sampler,
        renderer: Renderer,
        max_tokens: int,
        stop_condition: StopCondition | None = None,
        temperature: float = 1.0,
    ) -> None:
        self.sampling_client = sampling_client
        self.renderer = renderer
        self.max_tokens = max_tokens
        self.temperature = temperature
        # A renderer without stops leaves the end to the model's own end token, which an empty list would switch off.
        self.stop_condition = (renderer.get_stop_sequences() or None) if stop_condition is None else stop_condition

    async def __call__(self, messages: Sequence[AnyMessage]) -> Message:
        params = SamplingParams(max_tokens=self.max_tokens, temperature=self.temperature, stop=self.stop_condition)
        prompt = self.renderer.build_generation_prompt(messages)
        (sampled,) = (await self.sampling_client.sample(prompt, 1, params)).sequences
        message, _ = self.renderer.parse_response(sampled.tokens)
        return message


async def judge_reward(message_completer: MessageCompleter, question: str, answer: str) -> float:
    """What a judge thinks of an answer: the first digit from 1 to 5 in its reply, divided by 5; 0.0 without one.

    For verdicts that have to be told from a judge's other words there is `JudgeRubric`.
    """
    request = JUDGE_PROMPT.format(question=question, answer=answer)
    reply = await message_completer([{"role": "user", "content": request}])
    match = re.search(r"[1-5]", get_text_content(reply))
    return float(match.group()) / _MOST if match else 0.0
