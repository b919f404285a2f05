"""A reward function with its weight, called with whatever arguments it names."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_origin

from verifiers_tito.calling import call_by_name
from verifiers_tito.errors import RewardError
from verifiers_tito.types import State

_GROUP_PARAMETERS = frozenset({"states", "prompts", "completions", "answers", "tasks", "infos"})
_LIST = re.compile(r"(typing\.)?[Ll]ist(\[|$)")
_INPUT_FIELDS_WITH_DEFAULTS: Mapping[str, Any] = {"answer": "", "task": "default", "info": {}}


@dataclass(frozen=True, slots=True)
class RewardFunction:
    """`function` takes `prompt, completion, answer, state, info, task, parser`, class objects of the rubric and
    extra columns of the dataset, by name. With a plural parameter (`completions`, ...) or a `list` annotation on
    its result it scores a whole group at once. A metric is a reward function of weight 0.
    """

    function: Callable[..., Any]
    weight: float
    name: str

    @property
    def scores_groups(self) -> bool:
        signature = inspect.signature(self.function)
        returned = signature.return_annotation
        written = returned if isinstance(returned, str) else ""  # annotations may be kept as they were written
        returns_list = returned is list or get_origin(returned) is list or _LIST.match(written) is not None
        return returns_list or bool(_GROUP_PARAMETERS & signature.parameters.keys())

    async def score(self, state: State, objects: Mapping[str, Any]) -> float:
        """The score of one rollout. Raises `RewardError` where there is none."""
        return self._number(await self._call({**objects, **_arguments(state)}))

    async def score_group(self, states: Sequence[State], objects: Mapping[str, Any]) -> list[float]:
        """One score per rollout, in order. Raises `RewardError` where there are none."""
        columns = [_arguments(state) for state in states]
        arguments = {
            f"{key}s": [column[key] for column in columns]
            for key in ("prompt", "completion", "answer", "task", "info", "state")
        }
        scores = await self._call({**objects, **arguments})
        if len(scores) != len(states):
            raise RewardError(f"{self.name} returned {len(scores)} scores for a group of {len(states)}")
        return [self._number(score) for score in scores]

    async def _call(self, available: Mapping[str, Any]) -> Any:
        try:
            return await call_by_name(self.function, available)
        except Exception as error:
            kind = "reward function" if self.weight else "metric"
            raise RewardError(f"{kind} {self.name}: {type(error).__name__}: {error}") from error

    def _number(self, score: Any) -> float:
        try:
            number = float(score)
        except (TypeError, ValueError) as error:
            raise RewardError(f"{self.name} returned {score!r:.80}, which is no number") from error
        if not math.isfinite(number):
            raise RewardError(f"{self.name} returned {number}, which is no finite number")
        return number


def _arguments(state: State) -> dict[str, Any]:
    extra_columns = dict(state.get("input") or {})
    known = {key: state.get(key, default) for key, default in _INPUT_FIELDS_WITH_DEFAULTS.items()}
    return {
        **extra_columns,
        **known,
        "prompt": state.get("prompt"),
        "completion": state.get("completion"),
        "state": state,
    }
