"""What came back for one turn, provider-independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ConfigDict, Field

from verifiers_tito.errors import InvalidModelResponseError
from verifiers_tito.types.messages import AssistantMessage, DictLike
from verifiers_tito.types.serving import Served

MINUS_INFINITY = -9999.0
"""JSON has no infinity; vLLM writes this instead."""

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTokens:
    """The token ids of one turn: what the model saw (P,) and what it sampled (C,), with natural-log probabilities (C,).

    `completion_ids` include the stop token where one was sampled. Treat the lists as read-only: they are shared
    with the trajectory.
    """

    prompt_ids: list[int]
    completion_ids: list[int]
    completion_logprobs: list[float]

    def __post_init__(self) -> None:
        if len(self.completion_ids) != len(self.completion_logprobs):
            raise InvalidModelResponseError(
                f"the answer holds {len(self.completion_ids)} sampled ids but "
                f"{len(self.completion_logprobs)} log-probabilities; they must pair one to one"
            )
        lowest = min(self.completion_logprobs, default=0.0)
        if lowest <= MINUS_INFINITY:
            raise InvalidModelResponseError(
                f"the answer holds the log-probability {lowest} at index {self.completion_logprobs.index(lowest)}, by "
                "which vLLM means minus infinity: no token can have been sampled with it"
            )


class Usage(DictLike):
    """Token counts as the server reported them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    reasoning_tokens: int = 0


class ResponseMessage(AssistantMessage):
    """The model's message, with how it ended and the ids behind it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    finish_reason: FinishReason | None = None
    is_truncated: bool = False
    tokens: TurnTokens | None = Field(default=None, exclude=True, repr=False)

    def plain(self) -> AssistantMessage:
        """The message as it stands in a conversation."""
        return AssistantMessage(
            content=self.content, reasoning_content=self.reasoning_content, tool_calls=self.tool_calls
        )


class Response(DictLike):
    """One turn's answer. `stop_reason` is vLLM's: None for the end-of-sequence token, the id or string that hit."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    id: str
    created: int
    model: str
    message: ResponseMessage
    usage: Usage | None = None
    stop_reason: int | str | None = None
    served: Served | None = None


def first_difference(sent: Sequence[Any], echoed: Sequence[Any]) -> int | None:
    """The first index at which two sequences part (the shorter length if one extends the other); None if equal."""
    if sent == echoed:
        return None
    pairs = enumerate(zip(sent, echoed, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(sent), len(echoed)))
