"""A rubric: weighted reward functions, run over finished rollouts.

    reset ──► each function in order, over all rollouts at once ──► weighted sum ──► group-centred advantages

A reward function or metric that raises does not make the rollout worth 0.0: it has no reward, `state["error"]` says
why, and the functions after it are not asked. A rubric made with `on_error=OnRewardError.ZERO_COUNTED` gives 0.0
instead, and counts it in a metric. A rollout that already failed is not scored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any

from verifiers_tito.errors import ConfigError, RewardError
from verifiers_tito.parsers import Parser
from verifiers_tito.rubrics.advantages import assign_advantages
from verifiers_tito.rubrics.reward_function import RewardFunction, Scope
from verifiers_tito.types import State

REWARD_ERRORS = "reward_errors"
"""The metric that counts, for each rollout, the functions whose error became 0.0."""

_logger = logging.getLogger(__name__)


class OnRewardError(StrEnum):
    """What an error in a reward function or metric does."""

    FAIL = "fail"
    """The rollout has no reward, and the error stands in its state."""
    ZERO_COUNTED = "zero_counted"
    """That score is 0.0; the metric `reward_errors` counts it, and the log has the error."""


class Rubric:
    """`Rubric(f)`, or `Rubric([f, g], weights=[1.0, 0.5])`. The reward is the weighted sum of the scores."""

    def __init__(
        self,
        funcs: Callable[..., Any] | Iterable[Callable[..., Any]] | None = None,
        weights: Sequence[float] | None = None,
        parser: Any = None,
        *,
        on_error: OnRewardError | str = OnRewardError.FAIL,
    ) -> None:
        functions = [funcs] if callable(funcs) else list(funcs or [])
        weights = [1.0] * len(functions) if weights is None else list(weights)
        if len(weights) != len(functions):
            raise ConfigError(
                f"a rubric needs one weight per function: {len(functions)} functions, {len(weights)} weights"
            )
        if on_error not in list(OnRewardError):
            raise ConfigError(f"on_error must be one of {', '.join(OnRewardError)}, got {on_error!r}")
        self.on_error = OnRewardError(on_error)
        self._parser = parser
        self.class_objects: dict[str, Any] = {}
        self._functions: list[RewardFunction] = []
        for function, weight in zip(functions, weights, strict=True):
            self.add_reward_func(function, weight)

    @property
    def parser(self) -> Any:
        """What reward functions get as `parser`: the one given, or one that takes the whole text for the answer."""
        if self._parser is None:
            self._parser = Parser()
        return self._parser

    @parser.setter
    def parser(self, parser: Any) -> None:
        self._parser = parser

    def use_parser(self, parser: Any) -> None:
        """Takes an environment's parser, unless this rubric was given one of its own."""
        if self._parser is None:
            self._parser = parser

    @property
    def funcs(self) -> list[Callable[..., Any]]:
        return [function.function for function in self._functions]

    @property
    def weights(self) -> list[float]:
        return [function.weight for function in self._functions]

    def get_reward_funcs(self) -> list[Callable[..., Any]]:
        return self.funcs

    def get_reward_weights(self) -> list[float]:
        return self.weights

    def get_reward_func_names(self) -> list[str]:
        """The names under which scores stand in `state["metrics"]`, in order."""
        return [function.name for function in self._functions]

    def add_reward_func(self, func: Callable[..., Any], weight: float = 1.0) -> None:
        name = getattr(func, "__name__", type(func).__name__)
        free = free_name(name, taken=[REWARD_ERRORS, *self.get_reward_func_names()])
        self._functions.append(RewardFunction(func, float(weight), free))

    def add_metric(self, func: Callable[..., Any], weight: float = 0.0) -> None:
        """A function whose score is recorded; it does not count unless given a weight."""
        self.add_reward_func(func, weight)

    def remove_metric(self, name: str) -> None:
        """Forgets the function whose score is recorded under `name`, if there is one."""
        self._functions = [function for function in self._functions if function.name != name]

    def add_class_object(self, name: str, obj: Any) -> None:
        """Makes `obj` available to reward functions under `name`."""
        self.class_objects[name] = obj

    def require_no_group_functions(self) -> None:
        """Raises `ConfigError` where a rollout cannot be scored without its group."""
        needs_group = [function.name for function in self._functions if function.scope is Scope.GROUP]
        if needs_group:
            raise ConfigError(f"{', '.join(needs_group)} scores a group: use run_group or score_group")

    async def score_rollout(self, state: State) -> None:
        """Sets `reward` and `metrics` of one rollout. Group functions need `score_group`."""
        self.require_no_group_functions()
        await self._score([state])

    async def score_group(self, states: Sequence[State]) -> None:
        """Sets `reward`, `metrics` and group-centred `advantage` of rollouts of one example."""
        await self._score(states)
        assign_advantages(states)

    async def dummy_score_rollout(self, state: State) -> None:
        """For runs that are not scored: reward 0.0, and no metrics."""
        state["reward"], state["metrics"] = 0.0, {}

    async def dummy_score_group(self, states: Sequence[State]) -> None:
        for state in states:
            await self.dummy_score_rollout(state)

    async def cleanup(self, state: State) -> None:
        """Override it to free what scoring made for one rollout. Environments call it once the rollout is scored."""

    async def teardown(self) -> None:
        """Override it to free what the rubric holds. Environments call it from their own `teardown`."""

    async def _score(self, states: Sequence[State]) -> None:
        started = time.perf_counter()
        for state in states:
            self._reset(state)
        for function in self._functions:
            await self._run(function, [state for state in states if state.get("error") is None])
        for state in states:
            if state.get("error") is None:
                scores = state["metrics"]
                state["reward"] = sum((function.weight * scores[function.name] for function in self._functions), 0.0)
            else:
                self._reset_turns(state)
        note_scoring_time(states, since=started)

    def _reset(self, state: State) -> None:
        counts = self.on_error is OnRewardError.ZERO_COUNTED and state.get("error") is None
        state["reward"], state["metrics"] = None, {REWARD_ERRORS: 0.0} if counts else {}
        self._reset_turns(state)

    def _reset_turns(self, state: State) -> None:
        """Rewards of turns are this rubric's only if a function of it gives some."""
        if any(function.weight and function.scope is Scope.TURNS for function in self._functions):
            for step in state["trajectory"]:
                step["reward"] = None

    async def _run(self, function: RewardFunction, states: Sequence[State]) -> None:
        """One function over all states, at once; what it raises concerns those it was raised for."""
        if function.scope is not Scope.GROUP:
            async with asyncio.TaskGroup() as scoring:
                for state in states:
                    scoring.create_task(self._run_for_one(function, state))
        elif states:
            try:
                scores = await function.score_group(states, self._objects)
            except RewardError as error:
                for state in states:
                    self._note_failure(function, state, error)
                return
            for state, score in zip(states, scores, strict=True):
                state["metrics"][function.name] = score

    async def _run_for_one(self, function: RewardFunction, state: State) -> None:
        try:
            if function.scope is Scope.TURNS:
                _note_turns(function, state, await function.score_turns(state, self._objects))
            else:
                state["metrics"][function.name] = await function.score(state, self._objects)
        except RewardError as error:
            self._note_failure(function, state, error)

    def _note_failure(self, function: RewardFunction, state: State, error: RewardError) -> None:
        if self.on_error is OnRewardError.FAIL:
            state["error"] = error
            return
        _logger.warning("a score became 0.0: %s", error, exc_info=error)
        state["metrics"][REWARD_ERRORS] += 1.0
        state["metrics"][function.name] = 0.0
        if function.scope is Scope.TURNS:
            _note_turns(function, state, [0.0] * len(state["trajectory"]))

    @property
    def _objects(self) -> dict[str, Any]:
        return {"parser": self.parser, **self.class_objects}


def free_name(name: str, *, taken: Iterable[str]) -> str:
    """`name`, or `name_2`, `name_3`, ... whichever is the first that is not taken."""
    taken = set(taken)
    names = [name, *(f"{name}_{number}" for number in range(2, len(taken) + 2))]
    return next(candidate for candidate in names if candidate not in taken)


def note_scoring_time(states: Sequence[State], *, since: float) -> None:
    """Writes down how long scoring took, since `since` on the performance counter."""
    elapsed_ms = (time.perf_counter() - since) * 1000
    for state in states:
        if state.get("timing"):
            state["timing"]["scoring_ms"] = elapsed_ms
            state["timing"]["total_ms"] = state["timing"]["generation_ms"] + elapsed_ms


def _note_turns(function: RewardFunction, state: State, scores: Sequence[float]) -> None:
    """The sum is the rollout's score; each turn's part counts in its step."""
    state["metrics"][function.name] = sum(scores, 0.0)
    if function.weight:
        for step, score in zip(state["trajectory"], scores, strict=True):
            step["reward"] = (step["reward"] or 0.0) + function.weight * score
