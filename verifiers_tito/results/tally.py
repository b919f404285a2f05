"""Averages over the rollouts of a run, kept up to date one record at a time.

pass@k is the chance that at least one of k rollouts of an example succeeds, pass^k that all do, both estimated without
bias from all n (Chen et al. 2021, arXiv:2107.03374): 1 - C(n-c, k)/C(n, k) and C(c, k)/C(n, k), where c of n reached
the threshold. Examples count once all of their rollouts are there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LATER_TURNS, LATER_TOKEN_IN_TURNS = "tito/later_turns", "tito/later_token_in_turns"
"""Among the counts of a record's `continuity`: turns after a rollout's first, and those of them that went in as ids."""
_FALLBACK = "tito/fallback/"


def fallbacks_in(continuity: Mapping[str, float]) -> dict[str, int]:
    """Turns that went in as messages although they need not have, by reason."""
    return {name.removeprefix(_FALLBACK): int(n) for name, n in continuity.items() if name.startswith(_FALLBACK)}


@dataclass(slots=True, kw_only=True)
class PassRates:
    """For k = 1, 2, 4, ... up to `rollouts_per_example`; none where there is one rollout of each."""

    rollouts_per_example: int
    threshold: float
    _seen: Counter[int | str] = field(default_factory=Counter)
    _passed: Counter[int | str] = field(default_factory=Counter)
    _by_passed: Counter[int] = field(default_factory=Counter)

    def add(self, example_id: int | str, reward: float | None) -> None:
        self._seen[example_id] += 1
        self._passed[example_id] += reward is not None and reward >= self.threshold
        if self._seen[example_id] == self.rollouts_per_example:
            self._by_passed[self._passed[example_id]] += 1

    def at_k(self) -> dict[str, float]:
        n = self.rollouts_per_example
        return self._mean(lambda c, k: 1.0 - math.comb(n - c, k) / math.comb(n, k))

    def all_k(self) -> dict[str, float]:
        n = self.rollouts_per_example
        return self._mean(lambda c, k: math.comb(c, k) / math.comb(n, k))

    def _mean(self, chance: Any) -> dict[str, float]:
        n, examples = self.rollouts_per_example, self._by_passed.total()
        if n < 2 or not examples:
            return {}
        ks = [2**power for power in range(n.bit_length())]
        return {str(k): sum(chance(c, k) * many for c, many in self._by_passed.items()) / examples for k in ks}


@dataclass(slots=True, kw_only=True)
class Tally:
    """Sums over records. A rollout without a reward has no part in the average reward; failed ones count in
    `average_error`."""

    passes: PassRates
    rollouts: int = 0
    failed: int = 0
    scored: int = 0
    reward_sum: float = 0.0
    usage: Counter[str] = field(default_factory=Counter)
    continuity: Counter[str] = field(default_factory=Counter)
    _metric_sums: Counter[str] = field(default_factory=Counter)
    _metric_counts: Counter[str] = field(default_factory=Counter)

    def add(self, record: Mapping[str, Any]) -> None:
        self.rollouts += 1
        self.failed += record["error"] is not None
        reward = record["reward"]
        if reward is not None:
            self.scored += 1
            self.reward_sum += reward
            for name, value in (record["metrics"] or {}).items():
                self._metric_sums[name] += value
                self._metric_counts[name] += 1
        self.usage.update({name: value for name, value in record["token_usage"].items() if value is not None})
        self.continuity.update(record["continuity"])
        self.passes.add(record["example_id"], reward)

    @property
    def average_reward(self) -> float | None:
        return self.reward_sum / self.scored if self.scored else None

    @property
    def token_in_rate(self) -> float | None:
        """Of the turns after the first of each rollout, the share that went in as token ids."""
        later = self.continuity[LATER_TURNS]
        return self.continuity[LATER_TOKEN_IN_TURNS] / later if later else None

    @property
    def fallbacks(self) -> dict[str, int]:
        return fallbacks_in(self.continuity)

    def summary(self) -> dict[str, Any]:
        """The averages under the names that metadata has for them."""
        means = {name: total / self._metric_counts[name] for name, total in self._metric_sums.items()}
        return {
            "avg_reward": self.average_reward,
            "avg_metrics": means,
            "avg_error": self.failed / self.rollouts if self.rollouts else 0.0,
            "pass_at_k": self.passes.at_k(),
            "pass_all_k": self.passes.all_k(),
            "usage": {name: total / self.rollouts for name, total in self.usage.items()} if self.rollouts else None,
            "continuity": dict(self.continuity),
        }
