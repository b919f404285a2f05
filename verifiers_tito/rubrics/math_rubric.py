"""Rewards for mathematical answers: right if equal to the reference, however it is written (`0.5`, `\\frac{1}{2}`).

The answer is what stands in the last `\\boxed{...}` behind the model's thinking, unless another parser is given. An
answer that cannot be compared in time is not a right one; the metric `math_timed_out` counts those. A reference that
holds no answer is the dataset's fault, and fails the rollout's score.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from verifiers_tito.errors import RewardError
from verifiers_tito.parsers import MaybeThinkParser, Parser
from verifiers_tito.rubrics.math_checker import Comparison, MathChecker
from verifiers_tito.rubrics.rubric import OnRewardError, Rubric
from verifiers_tito.types import State
from verifiers_tito.utils.answers import extract_boxed_answer

_TIMED_OUT = "_math_timed_out"
_logger = logging.getLogger(__name__)


class MathRubric(Rubric):
    """`MathRubric()` scores by `correct_answer`; `funcs` and `weights` come before it. Needs the extra `math`.

    A comparison may take `timeout_seconds`; `max_workers` processes compare at once. An answer of more than
    `max_verify_chars` characters is wrong. `teardown` ends the processes.
    """

    def __init__(
        self,
        funcs: Callable[..., Any] | Iterable[Callable[..., Any]] | None = None,
        weights: Sequence[float] | None = None,
        parser: Parser | None = None,
        max_workers: int = 4,
        timeout_seconds: float = 5.0,
        max_verify_chars: int = 50_000,
        *,
        on_error: OnRewardError | str = OnRewardError.FAIL,
    ) -> None:
        boxed = MaybeThinkParser(extract_fn=partial(extract_boxed_answer, strict=True))
        super().__init__(funcs, weights, parser=parser or boxed, on_error=on_error)
        self.timeout_seconds, self.max_verify_chars = timeout_seconds, max_verify_chars
        self._checker = MathChecker(max_workers=max_workers, timeout_seconds=timeout_seconds)
        self.add_reward_func(self.correct_answer)
        self.add_metric(self.math_timed_out)

    async def correct_answer(self, parser: Parser, completion: Any, answer: Any, state: State) -> float:
        """1.0 where the answer equals the reference, else 0.0."""
        state[_TIMED_OUT] = False
        response = str(parser.parse_answer(completion) or "")
        if not response or len(response) > self.max_verify_chars:
            return 0.0
        compared = await self._checker.compare(str(answer), response)
        if compared is Comparison.UNREADABLE:
            raise RewardError(f"the reference answer {answer!r:.200} is none that math-verify can read")
        if compared in (Comparison.TIMED_OUT, Comparison.CRASHED):
            _logger.info("comparing %.100r with %.100r: %s", response, answer, compared)
            state[_TIMED_OUT] = True
        return float(compared is Comparison.EQUAL)

    def math_timed_out(self, state: State) -> float:
        """A metric: 1.0 where the answer could not be compared within the time, or not at all."""
        return float(state.get(_TIMED_OUT, False))

    async def teardown(self) -> None:
        """Ends the processes."""
        await asyncio.to_thread(self._checker.close)
