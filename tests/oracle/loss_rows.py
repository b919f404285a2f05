"""Answers on which losses are compared, and what a loss is found to be there.

Rows ──► ours, or another's formula ──► Found: the loss, its gradient, metrics
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.losses.batches import make_datum
from verifiers_tito.datums import Datum
from verifiers_tito.losses import make_loss

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = ("logprobs", "learner_logprobs", "reference_logprobs", "advantages", "mask")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A loss, its gradient by the learner's log-probabilities (B, T), and metrics."""

    loss: float
    gradient: np.ndarray
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """B answers of T tokens, of which `mask` says what was sampled; each column is (B, T) float64, and `learned` are
    the log-probabilities of the learner."""

    learned: np.ndarray
    columns: Mapping[str, np.ndarray]

    @property
    def mask(self) -> np.ndarray:
        return self.columns["mask"]

    def datums(self, mask: np.ndarray | None = None) -> list[Datum]:
        """As our losses take them, with another mask if one is given."""
        columns = {**self.columns, "mask": self.mask if mask is None else mask}
        return [make_datum(**{name: columns[name][row] for name in COLUMNS}) for row in range(len(self.learned))]

    def tensor(self, name: str) -> Tensor:
        return leaf(self.columns[name])


def leaf(values: np.ndarray, *, requires_grad: bool = False) -> Tensor:
    import torch  # noqa: PLC0415  takes seconds: not while tests are collected

    return torch.tensor(values, requires_grad=requires_grad)


def random_rows(seed: int, *, rows: int = 4, tokens: int = 7) -> Rows:
    """Policies so far apart that clips and limits bind. Each row has a sampled token."""
    random = np.random.default_rng(seed)
    sampler = -random.exponential(1.5, (rows, tokens))
    near = {name: sampler + random.normal(0, 0.4, sampler.shape) for name in ("learner_logprobs", "reference_logprobs")}
    mask = random.integers(0, 2, sampler.shape).astype(np.float64)
    mask[:, 0] = 1
    columns = {"logprobs": sampler, "advantages": random.normal(0, 1, sampler.shape), "mask": mask, **near}
    return Rows(learned=sampler + random.normal(0, 0.4, sampler.shape), columns=columns)


def ours(name: str, rows: Rows, config: Mapping[str, float], *, mask: np.ndarray | None = None) -> Found:
    leaves = [leaf(row, requires_grad=True) for row in rows.learned]
    loss, metrics = make_loss(name, config)(rows.datums(mask), leaves)
    loss.backward()
    gradient = np.stack([one.grad.numpy() for one in leaves if one.grad is not None])
    return Found(loss=float(loss.detach()), gradient=gradient, metrics=metrics)


def by_formula(rows: Rows, formula: Callable[[Tensor], Tensor]) -> Found:
    """`formula` of the learner's log-probabilities (B, T)."""
    learned = leaf(rows.learned, requires_grad=True)
    return found(formula(learned), learned, metrics={})


def found(loss: Tensor, learned: Tensor, *, metrics: Mapping[str, float]) -> Found:
    loss.backward()
    assert learned.grad is not None
    return Found(loss=float(loss.detach()), gradient=learned.grad.numpy(), metrics=metrics)
