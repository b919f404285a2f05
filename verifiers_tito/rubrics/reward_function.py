"""A reward function with its weight, called with whatever arguments it names.

What a function scores is read off its definition: a rollout; with the mark `@turn_reward`, each turn of a rollout; with
a plural parameter or a `list` annotation on its result, a whole group at once. The mark decides where both would fit.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar, get_origin

from verifiers_tito.calling import call_by_name
from verifiers_tito.errors import ConfigError, RewardError
from verifiers_tito.types import State

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_GROUP_PARAMETERS = frozenset({"states", "prompts", "completions", "answers", "tasks", "infos"})
_LIST = re.compile(r"(typing\.)?[Ll]ist(\[|$)")
_INPUT_FIELDS_WITH_DEFAULTS: Mapping[str, Any] = {"answer": "", "task": "default", "info": {}}
_TURN_MARK = "_verifiers_tito_turn_reward"


class Scope(Enum):
    """What one call of a reward function scores."""

    ROLLOUT = "a rollout"
    TURNS = "each turn of a rollout"
    GROUP = "a group of rollouts"


def turn_reward(function: FunctionT) -> FunctionT:
    """Marks a reward function that returns a list of numbers, one for each turn (each step of the trajectory).

    They count with the function's weight in `step["reward"]`; their sum is the rollout's score by this function.
    """
    setattr(function, _TURN_MARK, True)
    return function


@dataclass(frozen=True, slots=True)
class RewardFunction:
    """`function` takes `prompt, completion, answer, state, info, task, parser`, class objects of the rubric and
    extra columns of the dataset, by name. For a group they are lists under their plurals. A metric is a reward
    function of weight 0.
    """

    function: Callable[..., Any]
    weight: float
    name: str

    def __post_init__(self) -> None:
        if self.scope is Scope.TURNS and (plurals := self._plurals()):
            raise ConfigError(
                f"{self.name} is marked @turn_reward, which scores one rollout at a time: "
                f"it cannot take {', '.join(plurals)}"
            )

    @property
    def scope(self) -> Scope:
        if getattr(self.function, _TURN_MARK, False):
            return Scope.TURNS
        returned = inspect.signature(self.function).return_annotation
        written = returned if isinstance(returned, str) else ""  # annotations may be kept as they were written
        returns_list = returned is list or get_origin(returned) is list or _LIST.match(written) is not None
        return Scope.GROUP if returns_list or self._plurals() else Scope.ROLLOUT

    async def score(self, state: State, objects: Mapping[str, Any]) -> float:
        """The score of one rollout. Raises `RewardError` where there is none."""
        return self._number(await self._call({**objects, **_arguments(state)}))

    async def score_turns(self, state: State, objects: Mapping[str, Any]) -> list[float]:
        """One score per turn, in order. Raises `RewardError` where there are none."""
        scores = await self._call({**objects, **_arguments(state)})
        return self._numbers(scores, len(state["trajectory"]), "a rollout of {} turns")

    async def score_group(self, states: Sequence[State], objects: Mapping[str, Any]) -> list[float]:
        """One score per rollout, in order. Raises `RewardError` where there are none."""
        columns = [_arguments(state) for state in states]
        arguments = {
            f"{key}s": [column[key] for column in columns]
            for key in ("prompt", "completion", "answer", "task", "info", "state")
        }
        return self._numbers(await self._call({**objects, **arguments}), len(states), "a group of {}")

    async def _call(self, available: Mapping[str, Any]) -> Any:
        kind = "reward function" if self.weight else "metric"
        try:
            return await call_by_name(self.function, available)
        except RewardError as error:
            error.add_note(f"raised in the {kind} {self.name}")
            raise
        except Exception as error:
            raise RewardError(f"{kind} {self.name}: {type(error).__name__}: {error}") from error

    def _plurals(self) -> list[str]:
        return sorted(_GROUP_PARAMETERS & inspect.signature(self.function).parameters.keys())

    def _numbers(self, scores: Any, expected: int, of_what: str) -> list[float]:
        if isinstance(scores, str | Mapping) or not isinstance(scores, Collection):
            raise RewardError(f"{self.name} returned {scores!r:.80}, which is no list of scores")
        if len(scores) != expected:
            raise RewardError(f"{self.name} returned {len(scores)} scores for {of_what.format(expected)}")
        return [self._number(score) for score in scores]

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
