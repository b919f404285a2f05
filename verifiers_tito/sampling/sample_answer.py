"""From an answer of `/v1/completions` to a `SampleResponse`, with everything checked that a trainer relies on.

What is off is an `InvalidModelResponseError` that names the sample and the index.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from verifiers_tito.clients.answer_checks import check_echoed_ids, unknown_id
from verifiers_tito.errors import InvalidModelResponseError
from verifiers_tito.sampling.sample_request import SampleRequest
from verifiers_tito.types import SampledSequence, SampleResponse, SampleStopReason
from verifiers_tito.types.response import MINUS_INFINITY
from verifiers_tito.wire.sampled_answers import (
    CompletionChoiceAnswer,
    CompletionsAnswer,
    PromptLogprobAnswer,
    PromptLogprobsAnswer,
)


def to_sample_response(
    answer: CompletionsAnswer, request: SampleRequest, token_ids: list[int], *, vocabulary_size: int | None
) -> SampleResponse:
    """`token_ids` (N,) are the prompt that was sent. Greedy samples are all the same, and are sampled once."""
    choices = sorted(answer.choices, key=lambda choice: choice.index)
    if [choice.index for choice in choices] != list(range(request.sampled_at_once)):
        raise InvalidModelResponseError(
            f"sample: {request.sampled_at_once} samples were asked for, and the answer {answer.id} holds the numbers "
            f"{[choice.index for choice in choices]}"
        )
    for choice in choices:
        check_echoed_ids(token_ids, choice.prompt_token_ids)
    sequences = [_sequence(choice, vocabulary_size) for choice in choices]
    sequences += [_copy(sequences[0]) for _ in range(request.num_samples - len(sequences))]
    places = _places(choices[0], token_ids) if request.asks_prompt_logprobs else []
    count = request.topk_prompt_logprobs
    return SampleResponse(
        sequences=sequences,
        prompt_logprobs=_prompt_logprobs(places, token_ids) if request.include_prompt_logprobs else None,
        topk_prompt_logprobs=[None, *(_likeliest(place, count) for place in places)] if count else None,
    )


def _sampled_logprobs(choice: CompletionChoiceAnswer) -> list[float]:
    """Of each sampled id, (C,)."""
    told = choice.logprobs.token_logprobs if choice.logprobs else []
    count = len(choice.token_ids or [])
    if len(told) != count:
        raise InvalidModelResponseError(
            f"sample {choice.index}: the answer holds {count} ids and {len(told)} log-probabilities; they must pair"
        )
    return [_checked(logprob, f"id {index} of sample {choice.index}") for index, logprob in enumerate(told)]


def _sequence(choice: CompletionChoiceAnswer, vocabulary_size: int | None) -> SampledSequence:
    ids = choice.token_ids
    if not ids:
        raise InvalidModelResponseError(f"sample {choice.index}: the answer holds no sampled ids")
    wrong = unknown_id(ids, vocabulary_size)
    if wrong is not None:
        highest = math.inf if vocabulary_size is None else vocabulary_size - 1
        raise InvalidModelResponseError(
            f"sample {choice.index}: id {wrong} at index {ids.index(wrong)} is none of the model's (0 to {highest})"
        )
    if choice.finish_reason not in ("stop", "length"):
        raise InvalidModelResponseError(
            f"sample {choice.index}: it ended with {choice.finish_reason!r}, and completions end with stop or length"
        )
    stop_reason: SampleStopReason = "stop" if choice.finish_reason == "stop" else "length"
    return SampledSequence(tokens=ids, logprobs=_sampled_logprobs(choice), stop_reason=stop_reason)


def _copy(sequence: SampledSequence) -> SampledSequence:
    logprobs = None if sequence.logprobs is None else list(sequence.logprobs)
    return SampledSequence(tokens=list(sequence.tokens), logprobs=logprobs, stop_reason=sequence.stop_reason)


def _places(choice: CompletionChoiceAnswer, token_ids: Sequence[int]) -> list[dict[int, PromptLogprobAnswer]]:
    """What was likely at each place of the prompt but the first, (N-1,)."""
    try:
        told = msgspec.json.decode(choice.prompt_logprobs, type=PromptLogprobsAnswer) or []
    except msgspec.MsgspecError as error:
        raise InvalidModelResponseError(f"sample: the prompt's log-probabilities cannot be read: {error}") from error
    places = [place for place in told[1:] if place is not None]
    if len(told) != len(token_ids) or len(places) != len(token_ids) - 1:
        raise InvalidModelResponseError(
            f"sample: the answer holds log-probabilities of {len(places)} prompt ids, not of {len(token_ids) - 1}"
        )
    return places


def _prompt_logprobs(places: Sequence[dict[int, PromptLogprobAnswer]], token_ids: Sequence[int]) -> list[float | None]:
    """Of each prompt id given those before it, (N,); None for the first, before which there are none."""
    logprobs: list[float | None] = [None]
    for index, place in enumerate(places, start=1):
        told = place.get(token_ids[index])
        logprobs.append(_checked(None if told is None else told.logprob, f"prompt id {index}"))
    return logprobs


def _likeliest(place: dict[int, PromptLogprobAnswer], count: int) -> list[tuple[int, float]]:
    """The likeliest ids, the likeliest first. The prompt's own id comes beside them on the wire."""
    pairs = [(token_id, told.logprob) for token_id, told in place.items()]
    return sorted(pairs, key=lambda pair: -pair[1])[:count]


def _checked(logprob: float | None, where: str) -> float:
    """A logarithm of a probability that is not zero."""
    if logprob is None or not MINUS_INFINITY < logprob <= 0.0:  # which is false of NaN, too
        raise InvalidModelResponseError(
            f"sample: the log-probability of {where} is {logprob}, which no id that was seen or sampled can have"
        )
    return logprob
