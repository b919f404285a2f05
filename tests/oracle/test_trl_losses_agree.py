"""Our losses are those that TRL computes, forward and gradient, and so are their metrics, but for what is said here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from tests.oracle import trl_losses
from tests.oracle.loss_rows import Found, Rows, ours, random_rows

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(
        find_spec("trl") is None, reason="the oracle needs trl; docs/training.md says how to install it"
    ),
    pytest.mark.filterwarnings("ignore"),  # TRL's own warnings are its own
]
SEEDS = range(5)


def assert_equal(mine: Found, theirs: Found) -> None:
    assert mine.loss == pytest.approx(theirs.loss, rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(mine.gradient, theirs.gradient, rtol=1e-12, atol=1e-15)
    assert theirs.gradient.any()


def mean_of_answers(rows: Rows) -> np.ndarray:
    """Weights with which a sum over tokens is the sum of the means of answers."""
    return np.divide(rows.mask, rows.mask.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("loss_type", ["dapo", "bnpo"])
@pytest.mark.parametrize("seed", SEEDS)
def test_ppo_is_the_mean_over_tokens_that_trl_calls_dapo_and_bnpo(loss_type: str, seed: int) -> None:
    rows = random_rows(seed)
    mine = ours("ppo", rows, {"clip_low_threshold": 0.9, "clip_high_threshold": 1.3})
    theirs = trl_losses.grpo(rows, loss_type, epsilon_low=0.1, epsilon_high=0.3)
    assert_equal(mine, theirs)
    assert mine.metrics["clip_fraction"] == pytest.approx(theirs.metrics["clip_ratio/region_mean"])


@pytest.mark.parametrize("seed", SEEDS)
def test_ppo_with_a_constant_denominator_is_dr_grpo(seed: int) -> None:
    rows = random_rows(seed)
    denominator = 100.0 * len(rows.learned)
    assert_equal(ours("ppo", rows, {"denominator": denominator}), trl_losses.grpo(rows, "dr_grpo"))


@pytest.mark.parametrize("seed", SEEDS)
def test_ppo_whose_mask_holds_one_over_the_length_is_grpos_mean_of_means(seed: int) -> None:
    rows = random_rows(seed)
    mine = ours("ppo", rows, {"denominator": float(len(rows.learned))}, mask=mean_of_answers(rows))
    assert_equal(mine, trl_losses.grpo(rows, "grpo"))


@pytest.mark.parametrize("seed", SEEDS)
def test_cispo_without_a_lower_bound_is_trls(seed: int) -> None:
    rows = random_rows(seed)
    mine = ours("cispo", rows, {"clip_low_threshold": 0.0, "clip_high_threshold": 1.2})
    assert_equal(mine, trl_losses.grpo(rows, "cispo", epsilon_high=1.2))


@pytest.mark.parametrize("seed", SEEDS)
def test_cispo_counts_each_clipped_token_where_trl_counts_those_with_a_positive_advantage(seed: int) -> None:
    rows = random_rows(seed)
    positive = Rows(learned=rows.learned, columns={**rows.columns, "advantages": np.abs(rows.columns["advantages"])})
    mine = ours("cispo", rows, {"clip_low_threshold": 0.0, "clip_high_threshold": 1.2}).metrics["clip_fraction"]
    counted = [trl_losses.grpo(one, "cispo", epsilon_high=1.2).metrics["cispo_clip_ratio"] for one in (rows, positive)]
    assert counted[0] <= counted[1] == pytest.approx(mine)


WITH_ADDITIONS: Mapping[str, tuple[dict[str, float], dict[str, Any]]] = {
    "a penalty to a reference": ({"kl_coefficient": 0.3}, {"beta": 0.3}),
    "truncated importance sampling": ({"mismatch_limit": 1.1}, {"mismatch_limit": 1.1}),
    "both": ({"kl_coefficient": 0.3, "mismatch_limit": 1.1}, {"beta": 0.3, "mismatch_limit": 1.1}),
}


@pytest.mark.parametrize("addition", WITH_ADDITIONS)
@pytest.mark.parametrize("seed", SEEDS)
def test_ppo_with_an_addition_is_trls_with_the_same(addition: str, seed: int) -> None:
    rows = random_rows(seed)
    mine_set, theirs_set = WITH_ADDITIONS[addition]
    mine, theirs = ours("ppo", rows, mine_set), trl_losses.grpo(rows, "dapo", **theirs_set)
    assert_equal(mine, theirs)
    if "kl" in theirs.metrics:
        assert mine.metrics["kl_reference_v3"] == pytest.approx(theirs.metrics["kl"])


@pytest.mark.parametrize("seed", SEEDS)
def test_dpo_is_trls_sigmoid_and_so_are_its_metrics(seed: int) -> None:
    rows = random_rows(seed)
    mine, theirs = ours("dpo", rows, {"beta": 0.2}), trl_losses.dpo(rows, beta=0.2)
    assert_equal(mine, theirs)
    same = {
        "preferred_fraction": "rewards/accuracies",
        "margin:mean": "rewards/margins",
        "chosen_reward:mean": "rewards/chosen",
        "rejected_reward:mean": "rewards/rejected",
    }
    for name, theirs_name in same.items():
        assert mine.metrics[name] == pytest.approx(theirs.metrics[theirs_name])
