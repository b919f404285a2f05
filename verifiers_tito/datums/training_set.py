"""Datums of many rollouts, with an account of what became of them.

    states (of `generate`, or `load_results(folder).states()`, one at a time) ──► TrainingSet ──► batches, tables

What is left out is counted, never dropped in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verifiers_tito.datums.blocks import Blocks
from verifiers_tito.datums.build import build_in
from verifiers_tito.datums.datum import Datum
from verifiers_tito.datums.sampled_span import LeftOut
from verifiers_tito.datums.split import SplitReason
from verifiers_tito.datums.train_on import TrainOn
from verifiers_tito.errors import DatumError

_DEFAULTS = TrainOn()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """`rollout_indices[i]` is the rollout of `datums[i]`, in the order in which rollouts came.

    Of `rollouts` rollouts `failed` ended in an error and were left out. `splits` counts where trajectories fell apart,
    `left_out` sampled tokens without loss, `steps_without_samples` turns with nothing sampled, and `untrained_datums`
    datums without a trained token, which are not among the `datums`.
    """

    datums: list[Datum]
    rollout_indices: list[int]
    rollouts: int
    failed: int
    splits: Mapping[SplitReason, int]
    left_out: Mapping[LeftOut, int]
    steps_without_samples: int
    untrained_datums: int

    @property
    def trained_tokens(self) -> int:
        return sum(datum.trained_tokens for datum in self.datums)

    def metrics(self) -> dict[str, float]:
        """Flat numbers for a training log."""
        lengths = [len(datum) for datum in self.datums]
        return {
            "datums/count": len(self.datums),
            "datums/rollouts": self.rollouts,
            "datums/failed_rollouts": self.failed,
            "datums/untrained": self.untrained_datums,
            "datums/tokens": sum(lengths),
            "datums/trained_tokens": self.trained_tokens,
            "datums/longest": max(lengths, default=0),
            "datums/steps_without_samples": self.steps_without_samples,
            **{f"datums/splits/{reason.name.lower()}": self.splits.get(reason, 0) for reason in SplitReason},
            **{f"datums/left_out/{reason.name.lower()}": self.left_out.get(reason, 0) for reason in LeftOut},
        }


def build_training_set(
    states: Iterable[Mapping[str, Any]],
    *,
    advantages: Sequence[float] | None = None,
    train: TrainOn = _DEFAULTS,
    vocabulary_size: int | None = None,
) -> TrainingSet:
    """The datums of all rollouts, each built as `build_datums` does.

    `advantages` has one entry for each rollout, failed ones included (theirs may be NaN, unless `train.failed`);
    without it each step carries its own. Raises `DatumError`, naming the rollout, as `build_datums` does.
    """
    rollouts = failed = without_samples = untrained = 0
    datums, indices = list[Datum](), list[int]()
    splits, left_out = Counter[SplitReason](), Counter[LeftOut]()
    blocks = Blocks()
    for index, state in enumerate(states):
        rollouts += 1
        if state.get("error") is not None and not train.failed:
            failed += 1
            continue
        built = build_in(
            blocks,
            state["trajectory"],
            advantage=None if advantages is None else _advantage(advantages, index),
            advantages=None,
            rollout=f"{index} (example {state['example_id']})" if "example_id" in state else str(index),
            train=train,
            vocabulary_size=vocabulary_size,
        )
        trained = [datum for datum in built.datums if datum.trained_tokens]
        datums += trained
        indices += [index] * len(trained)
        untrained += len(built.datums) - len(trained)
        splits.update(split.reason for split in built.splits)
        left_out.update(built.left_out)
        without_samples += len(built.steps_without_samples)
    if advantages is not None and len(advantages) != rollouts:
        raise DatumError(f"there are {len(advantages)} advantages for {rollouts} rollouts: one is needed for each")
    return TrainingSet(
        datums=datums,
        rollout_indices=indices,
        rollouts=rollouts,
        failed=failed,
        splits=dict(splits),
        left_out=dict(left_out),
        steps_without_samples=without_samples,
        untrained_datums=untrained,
    )


def _advantage(advantages: Sequence[float], index: int) -> float:
    if index >= len(advantages):
        raise DatumError(f"there are only {len(advantages)} advantages, and more rollouts: one is needed for each")
    return float(advantages[index])
