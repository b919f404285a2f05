from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

import verifiers_tito as vf
from tests.results.rollouts import finished, planned
from verifiers_tito.results import JsonValues, PassRates, Tally, record_of


def tally_of(*records: dict[str, Any], each: int = 1) -> Tally:
    tally = Tally(passes=PassRates(rollouts_per_example=each, threshold=0.5))
    for record in records:
        tally.add(record)
    return tally


def record(index: int = 0, **fields: Any) -> dict[str, Any]:
    rollout = planned(0, index)
    return record_of(rollout, finished(rollout, **fields), state_columns=(), values=JsonValues())


def test_failed_rollouts_have_no_part_in_the_mean_reward() -> None:
    tally = tally_of(record(reward=0.5), record(reward=1.0), record(error=vf.ModelError("gone"), turns=0))
    summary = tally.summary()
    assert (summary["avg_reward"], summary["avg_error"]) == (0.75, 1 / 3)
    assert summary["avg_metrics"] == {"right": 1.0}
    assert summary["usage"]["output_tokens"] == 8 / 3


def test_without_rollouts_there_are_no_averages() -> None:
    summary = tally_of().summary()
    assert (summary["avg_reward"], summary["avg_error"], summary["usage"]) == (None, 0.0, None)


def test_the_token_in_rate_is_of_later_turns_and_fallbacks_are_counted_by_reason() -> None:
    lost = finished(planned(), turns=4)
    lost["trajectory"][2]["response"].served = vf.Served(route=vf.Route.CHAT, reason=vf.FallbackReason.NO_PREFIX)
    fallen = record_of(planned(), lost, state_columns=(), values=JsonValues())
    tally = tally_of(record(turns=3), fallen)
    assert tally.token_in_rate == 4 / 5
    assert tally.fallbacks == {"no prefix": 1}
    assert tally_of(record(turns=1)).token_in_rate is None


@pytest.mark.parametrize("passed", range(7))
def test_pass_at_k_is_the_share_of_all_choices_of_k(passed: int) -> None:
    n = 6
    rates = PassRates(rollouts_per_example=n, threshold=0.5)
    for number in range(n):
        rates.add("x", 1.0 if number < passed else (None if number == 5 else 0.0))
    for k in (1, 2, 4):
        chosen = list(combinations([number < passed for number in range(n)], k))
        assert rates.at_k()[str(k)] == pytest.approx(sum(map(any, chosen)) / len(chosen))
        assert rates.all_k()[str(k)] == pytest.approx(sum(map(all, chosen)) / len(chosen))
    assert list(rates.at_k()) == ["1", "2", "4"]


def test_examples_count_once_all_of_their_rollouts_are_there() -> None:
    rates = PassRates(rollouts_per_example=2, threshold=0.5)
    rates.add("a", 1.0)
    assert rates.at_k() == {}
    rates.add("a", 0.0)
    rates.add("b", 1.0)
    assert rates.at_k() == {"1": 0.5, "2": 1.0}
    assert PassRates(rollouts_per_example=1, threshold=0.5).at_k() == {}
