"""What authors' annotations call things: rows, reward functions, functions that make datasets.

At run time these are plain dicts and functions; nothing is checked against them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias, TypedDict

from verifiers_tito.types.messages import Message, Messages

Info: TypeAlias = dict[str, Any]
ChatMessage: TypeAlias = Message
ChatMessages: TypeAlias = Messages
MessageType: TypeAlias = Literal["chat"]
IndividualRewardFunc: TypeAlias = Callable[..., float | Awaitable[float]]
GroupRewardFunc: TypeAlias = Callable[..., list[float] | Awaitable[list[float]]]
RewardFunc: TypeAlias = IndividualRewardFunc | GroupRewardFunc
DatasetBuilder: TypeAlias = Callable[[], Iterable[Mapping[str, Any]]]
"""Makes the rows when they are first needed: a list of dicts, or a Hugging Face `Dataset`."""


class RolloutInput(TypedDict, total=False):
    """What a rollout begins with: a row of the dataset. Other columns reach reward functions by their names."""

    prompt: Any
    question: str
    example_id: int | str
    task: str
    answer: Any
    info: Info | str
