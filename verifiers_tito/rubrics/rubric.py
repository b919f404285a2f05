"""A rubric: weighted reward functions, run over finished rollouts.

A reward function or metric that raises does not make the rollout worth 0.0: it has no reward, `state["error"]` says
why, and the functions after it are not asked. A rollout that already failed is not scored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from verifiers_tito.errors import ConfigError, RewardError
from verifiers_tito.rubrics.advantages import assign_advantages
from verifiers_tito.rubrics.reward_function import RewardFunction
from verifiers_tito.types import State


class Rubric:
    """`Rubric(f)`, or `Rubric([f, g], weights=[1.0, 0.5])`. The reward is the weighted sum of the scores."""

    def __init__(
        self,
        funcs: Callable[..., Any] | Iterable[Callable[..., Any]] | None = None,
        weights: Sequence[float] | None = None,
        parser: Any = None,
    ) -> None:
        functions = [funcs] if callable(funcs) else list(funcs or [])
        weights = [1.0] * len(functions) if weights is None else list(weights)
        if len(weights) != len(functions):
            raise ConfigError(
                f"a rubric needs one weight per function: {len(functions)} functions, {len(weights)} weights"
            )
        self.parser = parser
        self.class_objects: dict[str, Any] = {}
        self._functions: list[RewardFunction] = []
        for function, weight in zip(functions, weights, strict=True):
            self.add_reward_func(function, weight)

    @property
    def funcs(self) -> list[Callable[..., Any]]:
        return [function.function for function in self._functions]

    @property
    def weights(self) -> list[float]:
        return [function.weight for function in self._functions]

    def add_reward_func(self, func: Callable[..., Any], weight: float = 1.0) -> None:
        self._functions.append(RewardFunction(func, float(weight), self._free_name(func)))

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
        needs_group = [function.name for function in self._functions if function.scores_groups]
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

    async def _score(self, states: Sequence[State]) -> None:
        started = time.perf_counter()
        for state in states:
            state["reward"], state["metrics"] = None, {}
        for function in self._functions:
            await self._run(function, [state for state in states if state.get("error") is None])
        elapsed_ms = (time.perf_counter() - started) * 1000
        for state in states:
            if state.get("error") is None:
                scores = state["metrics"]
                state["reward"] = sum((function.weight * scores[function.name] for function in self._functions), 0.0)
            if state.get("timing"):
                state["timing"]["scoring_ms"] = elapsed_ms
                state["timing"]["total_ms"] = state["timing"]["generation_ms"] + elapsed_ms

    async def _run(self, function: RewardFunction, states: Sequence[State]) -> None:
        """One function over all states, at once; what it raises ends the scoring of those it was raised for."""
        if not function.scores_groups:
            async with asyncio.TaskGroup() as scoring:
                for state in states:
                    scoring.create_task(self._run_for_one(function, state))
        elif states:
            try:
                scores = await function.score_group(states, self._objects)
            except RewardError as error:
                for state in states:
                    state["error"] = error
                return
            for state, score in zip(states, scores, strict=True):
                state["metrics"][function.name] = score

    async def _run_for_one(self, function: RewardFunction, state: State) -> None:
        try:
            state["metrics"][function.name] = await function.score(state, self._objects)
        except RewardError as error:
            state["error"] = error

    @property
    def _objects(self) -> dict[str, Any]:
        return {"parser": self.parser, **self.class_objects}

    def _free_name(self, function: Callable[..., Any]) -> str:
        name = getattr(function, "__name__", type(function).__name__)
        taken = {known.name for known in self._functions}
        names = [name, *(f"{name}_{number}" for number in range(2, len(taken) + 2))]
        return next(candidate for candidate in names if candidate not in taken)
