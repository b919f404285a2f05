"""From a trajectory to PPO datums.

    step 0   prompt ──── sampled
    step 1   prompt ──── sampled ── environment ── sampled        extends step 0: same datum
    step 2   another prompt ── sampled                            extends none: a new datum, and a `Split`
    step 3   prompt ──── sampled ── environment ── sampled ── …   extends step 1: the first datum again

A prompt that begins with all ids of a datum goes on with it, whichever came last, so that agents may take turns and
branches may grow side by side. Every sampled id stands once where it can be trained, in the context in which it was
sampled; where a branch repeats it, it is context there.

Nothing here knows servers, environments or rewards: only ids, log-probabilities, advantages, and what a step records.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from verifiers_tito.datums.blocks import Blocks
from verifiers_tito.datums.datum import Datum
from verifiers_tito.datums.forest import Forest
from verifiers_tito.datums.place import Place
from verifiers_tito.datums.sampled_span import LeftOut
from verifiers_tito.datums.sequence import GrowingSequence
from verifiers_tito.datums.split import Split
from verifiers_tito.datums.train_on import TrainOn
from verifiers_tito.datums.turn import Advantage, Turn
from verifiers_tito.errors import DatumError
from verifiers_tito.types import TrajectoryStep

_DEFAULTS = TrainOn()


class UnprovenLogprobsWarning(UserWarning):
    """Sampled ids are left out of the loss because nobody says that their log-probabilities are raw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatumSet:
    """The datums of one trajectory, where it had to be split, which steps had nothing sampled to train on, and how
    many sampled ids were left out of the loss, by why."""

    datums: list[Datum]
    splits: list[Split]
    steps_without_samples: list[int]
    left_out: Mapping[LeftOut, int]

    @property
    def trained_tokens(self) -> int:
        return sum(datum.trained_tokens for datum in self.datums)


def build_datums(
    trajectory: Sequence[TrajectoryStep],
    *,
    advantage: float | None = None,
    advantages: Sequence[Advantage | None] | None = None,
    rollout: str = "",
    train: TrainOn = _DEFAULTS,
    vocabulary_size: int | None = None,
) -> DatumSet:
    """The datums of `trajectory`, in the order in which they began. Each id is taken over once: what a turn's prompt
    repeats of the turns before is compared, and not copied.

    Sampled ids carry `advantage`; or that of their step in `advantages`, one entry for each step, which is a number or
    one for each sampled id; or that of the step itself, where both are None. What `train` refuses, and what an
    environment's `completion_mask` leaves out, stays in the datum as context, with mask, advantage and
    log-probability 0. Warns once where that is so because the server's `logprobs_mode` is unproven.

    Raises `DatumError`, naming `rollout` (else the step's `trajectory_id`), turn and index, where ids,
    log-probabilities or an advantage are missing, do not pair, or cannot be: ids below 0 or from `vocabulary_size` on,
    log-probabilities above 0, NaN.
    """
    return build_in(
        Blocks(),
        trajectory,
        advantage=advantage,
        advantages=advantages,
        rollout=rollout,
        train=train,
        vocabulary_size=vocabulary_size,
    )


def build_in(
    blocks: Blocks,
    trajectory: Sequence[TrajectoryStep],
    *,
    advantage: float | None,
    advantages: Sequence[Advantage | None] | None,
    rollout: str,
    train: TrainOn,
    vocabulary_size: int | None,
) -> DatumSet:
    """`build_datums` with its arrays in `blocks`, which several trajectories can share."""
    if advantages is not None and (advantage is not None or len(advantages) != len(trajectory)):
        raise DatumError(
            f"build_datums: give either advantage, or one of advantages for each of the {len(trajectory)} steps; "
            f"advantage is {advantage}, there are {len(advantages)} advantages"
        )
    forest, left_out, without_samples = Forest(), Counter[LeftOut](), list[int]()
    for index, step in enumerate(trajectory):
        tokens = step["tokens"]
        if tokens is None or len(tokens["completion_ids"]) == 0:
            without_samples.append(index)
            continue
        own = step.get("advantage") if advantages is None else advantages[index]
        turn = Turn.of_step(
            Place(rollout=rollout or step.get("trajectory_id") or "", turn=index),
            step,
            tokens,
            advantage=own if advantage is None else advantage,
            train=train,
        )
        if untrained := turn.untrained_tokens:
            left_out[turn.left_out or LeftOut.MASKED] += untrained
        forest.add(turn)
    if LeftOut.LOGPROBS_MODE in left_out:
        _warn_of_unproven_logprobs()
    return DatumSet(
        datums=forest.datums(blocks, vocabulary_size=vocabulary_size),
        splits=forest.splits,
        steps_without_samples=without_samples,
        left_out=dict(left_out),
    )


def datum_from_samples(
    prompt_ids: Sequence[int],
    completion_ids: Sequence[int],
    logprobs: Sequence[float],
    advantage: Advantage,
    *,
    vocabulary_size: int | None = None,
) -> Datum:
    """One datum of one sample: `logprobs` (C,) are the sampler's, `advantage` is a number or (C,).

    Raises `DatumError` as `build_datums` does.
    """
    turn = Turn.of_samples(
        Place(rollout="", turn=0),
        prompt_ids=prompt_ids,
        completion_ids=completion_ids,
        logprobs=logprobs,
        advantage=advantage,
    )
    return GrowingSequence(turn).datum(Blocks(), vocabulary_size=vocabulary_size)


def _warn_of_unproven_logprobs() -> None:
    """Python shows it once for each place that builds datums."""
    warnings.warn(
        "sampled ids are left out of the loss, because their server does not say that its log-probabilities are raw: "
        "run it with our plugin, or build_datums(..., train=TrainOn(unproven_logprobs=True)) if you know it",
        UnprovenLogprobsWarning,
        stacklevel=4,
    )
