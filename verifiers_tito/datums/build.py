"""From a trajectory to PPO datums.

    step 0   prompt ──── sampled
    step 1   prompt ──── sampled ── environment ── sampled        extends step 0: same datum
    step 2   another prompt ── sampled                            does not: a new datum, and a `Split`

As long as each prompt begins with all ids of the step before, one datum holds the whole conversation, and every
sampled id is trained once, in the context in which it was sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from verifiers_tito.datums.datum import Datum
from verifiers_tito.errors import DatumError
from verifiers_tito.types import ModelInput, StepTokens, TrajectoryStep, first_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Step `step_index` began a new datum: its prompt parts at `parted_at` from the `previous_ids` ids before it."""

    step_index: int
    parted_at: int
    previous_ids: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatumSet:
    """The datums of one trajectory, where it had to be split, and which steps had nothing sampled to train on."""

    datums: list[Datum]
    splits: list[Split]
    steps_without_samples: list[int]


def build_datums(trajectory: Sequence[TrajectoryStep], *, advantage: float | None = None) -> DatumSet:
    """The datums of `trajectory`, in order. Every sampled id carries `advantage`, or that of its step if None.

    Raises `DatumError`, naming the step, where ids, log-probabilities or an advantage are missing or do not pair.
    """
    segments: list[_Segment] = []
    splits: list[Split] = []
    without_samples: list[int] = []
    for index, step in enumerate(trajectory):
        tokens = step["tokens"]
        if tokens is None or not tokens["completion_ids"]:
            without_samples.append(index)
            continue
        if not segments or not segments[-1].is_extended_by(tokens):
            if segments:
                splits.append(segments[-1].split_before(index, tokens))
            segments.append(_Segment())
        segments[-1].extend(index, tokens, _advantage(index, step, advantage))
    datums = [segment.datum() for segment in segments]
    return DatumSet(datums=datums, splits=splits, steps_without_samples=without_samples)


@dataclass(slots=True)
class _Segment:
    """A datum in the making: four columns over the same ids."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    advantages: list[float] = field(default_factory=list)
    mask: list[float] = field(default_factory=list)

    def is_extended_by(self, tokens: StepTokens) -> bool:
        return tokens["prompt_ids"][: len(self.ids)] == self.ids

    def split_before(self, index: int, tokens: StepTokens) -> Split:
        parted_at = first_difference(self.ids, tokens["prompt_ids"])
        return Split(step_index=index, parted_at=parted_at or 0, previous_ids=len(self.ids))

    def extend(self, index: int, tokens: StepTokens, advantage: float) -> None:
        """Appends what the environment said (masked out) and what was sampled."""
        said = tokens["prompt_ids"][len(self.ids) :]
        sampled, logprobs = tokens["completion_ids"], tokens.get("completion_logprobs") or []
        if len(sampled) != len(logprobs):
            raise DatumError(
                f"step {index}: completion_logprobs has {len(logprobs)} entries for {len(sampled)} completion_ids"
            )
        self.ids += [*said, *sampled]
        self.logprobs += [*([0.0] * len(said)), *logprobs]
        self.advantages += [*([0.0] * len(said)), *([advantage] * len(sampled))]
        self.mask += [*([0.0] * len(said)), *([1.0] * len(sampled))]

    def datum(self) -> Datum:
        """The datum: inputs without the last id, targets (and what goes with them) without the first."""
        return Datum(
            model_input=ModelInput.from_ints(self.ids[:-1]),
            loss_fn_inputs={
                "target_tokens": np.array(self.ids[1:], dtype=np.int64),
                "logprobs": np.array(self.logprobs[1:], dtype=np.float32),
                "advantages": np.array(self.advantages[1:], dtype=np.float32),
                "mask": np.array(self.mask[1:], dtype=np.float32),
            },
        )


def _advantage(index: int, step: TrajectoryStep, advantage: float | None) -> float:
    chosen = step["advantage"] if advantage is None else advantage
    if chosen is None:
        raise DatumError(
            f"step {index} has no advantage: score its group first, or pass advantage=...; "
            'a rollout that failed (state["error"]) has none and is to be left out'
        )
    return chosen
