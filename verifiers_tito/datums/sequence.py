"""A datum in the making: ids that grow turn by turn.

    turn 0   prompt ──── sampled
    turn 1   (prompt ─── sampled) ── environment ── sampled      in brackets: compared, never copied

It knows which prompts go on with it, and where others part from it. Lists become arrays once, in the end, by `struct`:
that is twice as fast as by numpy, and refuses what is no number of the kind, where numpy would cut 1.5 to 1. Turn by
turn, since the arguments of one call for all would fill fresh pages of memory.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifiers_tito.datums.blocks import Blocks
from verifiers_tito.datums.datum import Datum
from verifiers_tito.datums.sampled_span import SampledSpan
from verifiers_tito.datums.split import SplitReason
from verifiers_tito.datums.turn import Turn
from verifiers_tito.errors import DatumError
from verifiers_tito.types import MINUS_INFINITY, WeightVersionSpan, first_difference

_BLOCK = 1024
_ALL_IDS = 2**31
"""No vocabulary is larger: ids have 32 bits elsewhere."""


class _End:
    """Stands behind the ids in a comparison: no id equals it, and comparing one with it gives it back."""

    def __gt__(self, other: object) -> _End:
        return self


_END: Any = _End()


class GrowingSequence:
    """Begins with a turn, and takes those whose prompts it `is_continued_by`."""

    def __init__(self, first: Turn) -> None:
        self._ids: list[int] = []
        self._turns: list[Turn] = []
        self._starts: list[int] = []
        """Where each turn's sampled ids begin."""
        self.append(first)

    def __len__(self) -> int:
        return len(self._ids)

    def is_continued_by(self, prompt_ids: list[int]) -> bool:
        """Whether `prompt_ids` begin with all ids of this sequence.

        One comparison, and no slice of a long history: that of two lists "has the same value as" that of the first
        elements in which they differ (Python's language reference, 6.10.1), which here is an id and the end.
        """
        ids = self._ids
        if len(prompt_ids) <= len(ids):
            return prompt_ids == ids
        if prompt_ids[len(ids) - 1] != ids[-1]:
            return False
        ids.append(_END)
        first_that_differs: object = prompt_ids < ids
        ids.pop()
        return first_that_differs is _END

    def append(self, turn: Turn) -> None:
        """Adds what is new in the turn's prompt, and what was sampled behind it."""
        self._ids += turn.prompt_ids[len(self._ids) :]
        self._starts.append(len(self._ids))
        self._turns.append(turn)
        self._ids += turn.completion_ids

    def parted_at(self, prompt_ids: list[int]) -> int:
        """The first index at which they differ, or the length of the shorter one. Block by block, which is fast."""
        for start in range(0, len(self._ids), _BLOCK):
            block = slice(start, start + _BLOCK)
            parted = first_difference(self._ids[block], prompt_ids[block])
            if parted is not None:
                return start + parted
        return len(self._ids)

    def split_reason(self, parted_at: int, *, prompt_length: int) -> SplitReason:
        """Why a prompt that parts there does not go on with this sequence."""
        if parted_at < self._starts[0]:
            return SplitReason.OTHER_PROMPT
        latest = bisect_right(self._starts, parted_at) - 1
        is_in_sampled = parted_at < self._starts[latest] + len(self._turns[latest].completion_ids)
        return SplitReason.SAMPLED_IDS_CHANGED if is_in_sampled and parted_at < prompt_length else SplitReason.BRANCH

    def datum(self, blocks: Blocks, *, vocabulary_size: int | None = None) -> Datum:
        """Inputs without the last id, targets (and what goes with them) without the first, in arrays of `blocks`.

        Raises `DatumError` for an id or a log-probability that cannot be.
        """
        ids = self._id_array(blocks, end=vocabulary_size or _ALL_IDS)
        logprobs = self._logprob_array(blocks)
        mask, advantages = (blocks.zeros(len(self), np.float32) for _ in range(2))
        for turn, start in zip(self._turns, self._starts, strict=True):
            where = slice(start, start + len(turn.completion_ids))
            mask[where], advantages[where] = turn.mask, turn.advantages
            if turn.untrained_tokens:
                logprobs[where] *= turn.mask
                advantages[where] *= turn.mask
        return Datum(
            ids[:-1],
            {"target_tokens": ids[1:], "logprobs": logprobs[1:], "advantages": advantages[1:], "mask": mask[1:]},
            tuple(_span(turn, start - 1) for turn, start in zip(self._turns, self._starts, strict=True)),
        )

    def _id_array(self, blocks: Blocks, *, end: int) -> NDArray[np.int64]:
        ids = blocks.zeros(len(self), np.int64)
        memory, end_of_turn = ids.data, 0
        try:
            for turn, start in zip(self._turns, self._starts, strict=True):
                said = self._ids[end_of_turn:start]
                struct.pack_into(f"{len(said)}q", memory, end_of_turn * ids.itemsize, *said)
                struct.pack_into(f"{len(turn.completion_ids)}q", memory, start * ids.itemsize, *turn.completion_ids)
                end_of_turn = start + len(turn.completion_ids)
        except struct.error as error:
            index = _first_unfit("q", self._ids)
            raise self._error(index, f"is {self._ids[index]!r:.40}, which is no id") from error
        if ids.view(np.uint64).max() >= end:  # a negative one is a huge one, too
            index = int(np.flatnonzero((ids < 0) | (ids >= end))[0])
            raise self._error(index, f"is {ids[index]}: ids go from 0 to {end - 1}")
        return ids

    def _logprob_array(self, blocks: Blocks) -> NDArray[np.float32]:
        logprobs = blocks.zeros(len(self), np.float32)
        for turn, start in zip(self._turns, self._starts, strict=True):
            try:
                struct.pack_into(f"{len(turn.logprobs)}f", logprobs.data, start * logprobs.itemsize, *turn.logprobs)
            except (struct.error, OverflowError) as error:
                index = _first_unfit("f", turn.logprobs)
                raise turn.place.error(
                    f"completion_logprobs[{index}] is {turn.logprobs[index]!r:.40}, which is no number"
                ) from error
        if not (logprobs.max() <= 0 and logprobs.min() > MINUS_INFINITY):  # nor is one of them NaN
            index = int(np.flatnonzero(~((logprobs <= 0) & (logprobs > MINUS_INFINITY)))[0])
            raise self._error(
                index,
                f"is {logprobs[index]}: a sampled id's is at most 0, and above {MINUS_INFINITY}, which is vLLM's minus "
                "infinity",
                of_sampled="completion_logprobs",
            )
        return logprobs

    def _error(self, index: int, problem: str, *, of_sampled: str = "completion_ids") -> DatumError:
        """About the id at `index` of the sequence, or what goes with it."""
        latest = bisect_right(self._starts, index) - 1
        if latest >= 0 and (within := index - self._starts[latest]) < len(self._turns[latest].completion_ids):
            return self._turns[latest].place.error(f"{of_sampled}[{within}] {problem}")
        return self._turns[latest + 1].place.error(f"prompt_ids[{index}] {problem}")


def _first_unfit(kind: str, values: Sequence[Any]) -> int:
    """The index of the first value that is no number of this kind of `struct`'s."""
    return next(index for index, value in enumerate(values) if not _fits(kind, value))


def _fits(kind: str, value: Any) -> bool:
    try:
        struct.pack(kind, value)
    except (struct.error, OverflowError):
        return False
    return True


def _span(turn: Turn, start: int) -> SampledSpan:
    """Of a turn whose sampled ids are the targets from `start` on. A turn that was cut has fewer ids than versions."""
    count = len(turn.completion_ids)
    versions = tuple(
        WeightVersionSpan(version=span.version, start=start + span.start, end=start + min(span.end, count))
        for span in turn.weight_versions
        if span.start < count
    )
    return SampledSpan(
        turn=turn.place.turn, start=start, end=start + count, left_out=turn.left_out, weight_versions=versions
    )
