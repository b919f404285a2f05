"""Our losses, as sums, are the formulas that Tinker publishes, forward and gradient.

They run on Tinker's servers, and no package has them: the formulas here are those of the pages at
https://tinker-docs.thinkingmachines.ai/tinker/losses, for a datum's targets without a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.oracle.loss_rows import Rows, by_formula, ours, random_rows
from verifiers_tito.losses import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="losses need the extra torch")

Formula = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]
"""Of the learner's log-probabilities, the sampler's, and advantages."""


def importance_sampling(target: Tensor, sampling: Tensor, advantages: Tensor) -> Tensor:
    return -((target - sampling).exp() * advantages).sum()


def ppo(target: Tensor, sampling: Tensor, advantages: Tensor) -> Tensor:
    ratio = (target - sampling).exp()
    return -(ratio * advantages).minimum(ratio.clamp(0.8, 1.2) * advantages).sum()


def cispo(target: Tensor, sampling: Tensor, advantages: Tensor) -> Tensor:
    return -((target - sampling).exp().clamp(0.8, 1.2).detach() * target * advantages).sum()


def dro(target: Tensor, sampling: Tensor, advantages: Tensor) -> Tensor:
    return -(target * advantages - 0.5 * 0.05 * (target - sampling) ** 2).sum()


PUBLISHED: Mapping[str, Formula] = {
    "cispo": cispo,
    "dro": dro,
    "importance_sampling": importance_sampling,
    "ppo": ppo,
}


def without_context(seed: int) -> Rows:
    """Every target was sampled."""
    rows = random_rows(seed)
    return Rows(learned=rows.learned, columns={**rows.columns, "mask": np.ones_like(rows.mask)})


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("seed", range(5))
def test_a_policy_loss_is_the_published_formula(name: str, seed: int) -> None:
    rows = without_context(seed)
    mine = ours(name, rows, {"denominator": 1.0})
    published = by_formula(
        rows, lambda learned: PUBLISHED[name](learned, rows.tensor("logprobs"), rows.tensor("advantages"))
    )
    assert mine.loss == pytest.approx(published.loss, rel=1e-12)
    np.testing.assert_allclose(mine.gradient, published.gradient, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_cross_entropy_is_the_published_sum_of_weighted_losses(seed: int) -> None:
    rows = random_rows(seed)
    mine = ours("cross_entropy", rows, {"denominator": 1.0})
    published = by_formula(rows, lambda learned: -(learned * rows.tensor("mask")).sum())
    assert mine.loss == pytest.approx(published.loss, rel=1e-12)
    np.testing.assert_allclose(mine.gradient, published.gradient, rtol=1e-12)


@pytest.mark.parametrize("name", ["cispo", "importance_sampling", "ppo"])
def test_context_with_an_advantage_of_zero_weighs_nothing_on_either_side(name: str) -> None:
    """Tinker's documents give prompts zeros and no mask; here a mask leaves them out. But for DRO, whose square would
    count the log-probabilities of prompts, both are the same."""
    rows = random_rows(3)
    zeros = {column: rows.columns[column] * rows.mask for column in ("logprobs", "advantages")}
    as_tinker = Rows(learned=rows.learned, columns={**rows.columns, **zeros})
    published = by_formula(
        as_tinker,
        lambda learned: PUBLISHED[name](learned, as_tinker.tensor("logprobs"), as_tinker.tensor("advantages")),
    )
    mine = ours(name, as_tinker, {"denominator": 1.0})
    assert mine.loss == pytest.approx(published.loss, rel=1e-12)
    np.testing.assert_allclose(mine.gradient, published.gradient, rtol=1e-12, atol=1e-15)


def test_each_loss_that_the_installed_tinker_names_is_here_or_known_to_be_missing() -> None:
    names = pytest.importorskip("tinker.types.loss_fn_type", reason="the extra tinker is not installed").LossFnType
    missing = set(names.__args__) - set(LOSSES)
    assert missing == {"gspo", "stable_reinforce", "custom"}
