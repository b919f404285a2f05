"""One step of a trajectory: what went in, what came out, which ids, what it was worth."""

from __future__ import annotations

from typing import Any, TypedDict

from verifiers_tito.types.messages import Messages
from verifiers_tito.types.response import Response


class StepTokens(TypedDict):
    """Ids, masks (0 for prompt, 1 for sampled) and log-probabilities of one turn, as trainers read them."""

    prompt_ids: list[int]
    prompt_mask: list[int]
    completion_ids: list[int]
    completion_mask: list[int]
    completion_logprobs: list[float]
    overlong_prompt: bool
    is_truncated: bool
    routed_experts: list[list[list[int]]] | None


class TrajectoryStep(TypedDict):
    """`prompt` is the whole conversation the model saw, `completion` what it answered.

    How the turn was served stands on `response.served`; `extras` belongs to the environment.
    """

    prompt: Messages
    completion: Messages
    response: Response
    tokens: StepTokens | None
    reward: float | None
    advantage: float | None
    is_truncated: bool
    trajectory_id: str
    extras: dict[str, Any]


def step_tokens(response: Response, *, max_seq_len: int | None) -> StepTokens | None:
    """The ids of `response` as a step keeps them, cut to `max_seq_len` ids in all where that is given.

    A cut is never silent: `overlong_prompt` or `is_truncated` says so.
    """
    tokens = response.message.tokens
    if tokens is None:
        return None
    prompt_ids, completion_ids = tokens.prompt_ids, tokens.completion_ids
    logprobs, limit = tokens.completion_logprobs, max_seq_len
    cut = limit is not None and len(prompt_ids) + len(completion_ids) > limit
    overlong = limit is not None and len(prompt_ids) > limit
    if cut and limit is not None:
        prompt_ids = prompt_ids[:limit]
        room = limit - len(prompt_ids)
        completion_ids, logprobs = completion_ids[:room], logprobs[:room]
    return StepTokens(
        prompt_ids=prompt_ids,
        prompt_mask=[0] * len(prompt_ids),
        completion_ids=completion_ids,
        completion_mask=[1] * len(completion_ids),
        completion_logprobs=logprobs,
        overlong_prompt=overlong,
        is_truncated=cut or response.message.is_truncated,
        routed_experts=None,
    )
