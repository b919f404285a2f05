"""Several rubrics as one: rewards are summed, advantages are computed from the sum.

Each rubric scores by its own public methods, so that a subclass may score as it likes. It finds the states as they were
before the group scored them, and what it leaves there is added up: rewards, rewards of turns, and metrics. Two metrics
of one name are kept apart (`correct`, `correct_2`), as within one rubric: a sum of two accuracies is none. Only the
count of errors (`reward_errors`) is summed. Where one rubric fails a rollout, the rollout has no reward.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from verifiers_tito.errors import ConfigError
from verifiers_tito.rubrics.advantages import assign_advantages
from verifiers_tito.rubrics.rubric import REWARD_ERRORS, Rubric, free_name, note_scoring_time
from verifiers_tito.types import State


class RubricGroup(Rubric):
    """`RubricGroup([Rubric(f), JudgeRubric(...)])`. What is added to the group goes to its first rubric, class objects
    to all of them; each rubric keeps its own parser, and gets the group's where it has none."""

    def __init__(self, rubrics: Sequence[Rubric], parser: Any = None) -> None:
        self.rubrics = list(rubrics)
        if not self.rubrics:
            raise ConfigError("a RubricGroup needs at least one rubric")
        super().__init__(parser=parser)
        if parser is not None:
            self.parser = parser

    @property
    def parser(self) -> Any:
        return super().parser

    @parser.setter
    def parser(self, parser: Any) -> None:
        self._parser = parser
        for rubric in self.rubrics:
            rubric.use_parser(parser)

    def use_parser(self, parser: Any) -> None:
        if self._parser is None:
            self.parser = parser

    @property
    def funcs(self) -> list[Callable[..., Any]]:
        return [function for rubric in self.rubrics for function in rubric.funcs]

    @property
    def weights(self) -> list[float]:
        return [weight for rubric in self.rubrics for weight in rubric.weights]

    def get_reward_func_names(self) -> list[str]:
        return [name for names in self._metric_names() for name in names.values()]

    def add_reward_func(self, func: Callable[..., Any], weight: float = 1.0) -> None:
        self.rubrics[0].add_reward_func(func, weight)

    def remove_metric(self, name: str) -> None:
        for rubric in self.rubrics:
            rubric.remove_metric(name)

    def add_class_object(self, name: str, obj: Any) -> None:
        for rubric in self.rubrics:
            rubric.add_class_object(name, obj)

    def require_no_group_functions(self) -> None:
        for rubric in self.rubrics:
            rubric.require_no_group_functions()

    async def score_rollout(self, state: State) -> None:
        self.require_no_group_functions()
        await self._sum([state], lambda rubric: rubric.score_rollout(state))

    async def score_group(self, states: Sequence[State]) -> None:
        await self._sum(states, lambda rubric: rubric.score_group(states))
        assign_advantages(states)

    async def cleanup(self, state: State) -> None:
        for rubric in self.rubrics:
            await rubric.cleanup(state)

    async def teardown(self) -> None:
        for rubric in self.rubrics:
            await rubric.teardown()

    async def _sum(self, states: Sequence[State], score: Callable[[Rubric], Awaitable[None]]) -> None:
        """Lets every rubric score `states`, and leaves the sums there. Advantages are as before."""
        started = time.perf_counter()
        sums = [_Sum.of(state) for state in states]
        for rubric, names in zip(self.rubrics, self._metric_names(), strict=True):
            for one in sums:
                one.restore()
            await score(rubric)
            for one in sums:
                one.add(names)
        for one in sums:
            one.restore()
            one.write()
        note_scoring_time(states, since=started)

    def _metric_names(self) -> list[dict[str, str]]:
        """For each rubric, the group's names of its metrics."""
        taken: list[str] = []
        renamed = []
        for rubric in self.rubrics:
            names: dict[str, str] = {}
            for name in rubric.get_reward_func_names():
                names[name] = free_name(name, taken=taken)
                taken.append(names[name])
            renamed.append(names)
        return renamed


@dataclass(slots=True, kw_only=True)
class _Sum:
    """One state: what it was before the group scored it, and what its rubrics gave so far."""

    state: State
    advantage: float | None
    step_advantages: list[float | None]
    step_rewards: list[float | None]
    rewards: list[float | None] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    given_to_steps: list[list[float]] = field(default_factory=list)

    @classmethod
    def of(cls, state: State) -> _Sum:
        steps = state["trajectory"]
        return cls(
            state=state,
            advantage=state.get("advantage"),
            step_advantages=[step.get("advantage") for step in steps],
            step_rewards=[step.get("reward") for step in steps],
            given_to_steps=[[] for _ in steps],
        )

    def restore(self) -> None:
        """As before, but that no step has a reward: what stands there afterwards is a rubric's."""
        self.state["advantage"] = self.advantage
        for step, advantage in zip(self.state["trajectory"], self.step_advantages, strict=True):
            step["advantage"], step["reward"] = advantage, None

    def add(self, names: Mapping[str, str]) -> None:
        """What a rubric has left; `names` are the group's names of its metrics."""
        self.rewards.append(self.state.get("reward"))
        for name, score in (self.state.get("metrics") or {}).items():
            if name == REWARD_ERRORS:
                self.metrics[name] = self.metrics.get(name, 0.0) + score
            else:
                self.metrics[free_name(names.get(name, name), taken=self.metrics)] = score
        for given, step in zip(self.given_to_steps, self.state["trajectory"], strict=True):
            given += [] if step["reward"] is None else [step["reward"]]

    def write(self) -> None:
        given = [reward for reward in self.rewards if reward is not None]
        is_scored = self.state.get("error") is None and len(given) == len(self.rewards)
        self.state["reward"] = sum(given, 0.0) if is_scored else None
        self.state["metrics"] = self.metrics
        for step, earlier, parts in zip(self.state["trajectory"], self.step_rewards, self.given_to_steps, strict=True):
            step["reward"] = earlier if not parts else sum(parts) if is_scored else None
