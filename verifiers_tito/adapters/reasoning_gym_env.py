"""Reasoning Gym's procedural tasks, scored by the package itself. Needs the extra `reasoning-gym`.

gym ──► create_dataset(seed) ──► a question each ──► the model's <answer> ──► the task's own score_answer
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from verifiers_tito.envs import SingleTurnEnv
from verifiers_tito.extras import load_extra
from verifiers_tito.parsers import Parser, XMLParser
from verifiers_tito.rubrics import Rubric

SYSTEM_PROMPT = "Work the task out. Then write the final answer, and only that, between <answer> and </answer>."


class ReasoningGymEnv(SingleTurnEnv):
    """`ReasoningGymEnv(gym="leg_counting")`, or several tasks at once: names, or dicts of `name`, `weight`, `config`.

    Examples are drawn from `seed`, those for evaluation after those for training. How well the format is kept is
    recorded and does not count. No answer is worth 0.0.
    """

    def __init__(
        self,
        gym: str | Sequence[str | Mapping[str, Any]],
        num_train_examples: int = 1000,
        num_eval_examples: int = 100,
        system_prompt: str | None = SYSTEM_PROMPT,
        parser: Parser | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        parser = XMLParser(["answer"]) if parser is None else parser
        rubric = Rubric(self.task_score, parser=parser)
        rubric.add_metric(parser.get_format_reward_func())
        total = num_train_examples + num_eval_examples
        super().__init__(
            dataset=lambda: self._rows(range(num_train_examples)),
            eval_dataset=lambda: self._rows(range(num_train_examples, total)),
            system_prompt=system_prompt,
            parser=parser,
            rubric=rubric,
            **kwargs,
        )
        self.gym, self.seed, self._total = gym, seed, total

    @cached_property
    def tasks(self) -> Any:
        """Reasoning Gym's own dataset: entries by index, and `score_answer`."""
        remedy = "ReasoningGymEnv needs the extra reasoning-gym: pip install reasoning-gym"
        reasoning_gym = load_extra("reasoning_gym", otherwise=remedy)
        composite = load_extra("reasoning_gym.composite", otherwise=remedy)
        if isinstance(self.gym, str):
            return reasoning_gym.create_dataset(self.gym, size=self._total, seed=self.seed)
        parts = [{"name": part} if isinstance(part, str) else part for part in self.gym]
        specs = [composite.DatasetSpec(**{"weight": 1.0, "config": {}, **part}) for part in parts]
        return reasoning_gym.create_dataset("composite", datasets=specs, size=self._total, seed=self.seed)

    def task_score(self, parser: Any, completion: Any, info: Mapping[str, Any]) -> float:
        """What the task's own scorer gives to the answer, from 0.0 to 1.0."""
        answer = parser.parse_answer(completion)
        return 0.0 if answer is None else float(self.tasks.score_answer(str(answer).strip(), self.tasks[info["index"]]))

    def _rows(self, indices: range) -> list[dict[str, Any]]:
        entries = [(index, self.tasks[index]) for index in indices]
        return [
            {
                "question": entry["question"],
                "answer": "" if entry["answer"] is None else str(entry["answer"]),
                "info": {"index": index, "source_dataset": entry["metadata"]["source_dataset"]},
            }
            for index, entry in entries
        ]
