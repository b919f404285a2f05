"""All datums in the making of one trajectory: which of them a turn goes on with, and where a new one begins."""

from __future__ import annotations

from verifiers_tito.datums.blocks import Blocks
from verifiers_tito.datums.datum import Datum
from verifiers_tito.datums.sequence import GrowingSequence
from verifiers_tito.datums.split import Split
from verifiers_tito.datums.turn import Turn


class Forest:
    """`add` turns in order, then take the `datums`. `splits` counts what did not go on with any."""

    def __init__(self) -> None:
        self.splits: list[Split] = []
        self._sequences: list[GrowingSequence] = []

    def add(self, turn: Turn) -> None:
        """Goes on with the longest sequence that the turn's prompt begins with; the latest, if several are equal."""
        continued = [one for one in reversed(self._sequences) if one.is_continued_by(turn.prompt_ids)]
        if continued:
            max(continued, key=len).append(turn)
            return
        if self._sequences:
            self.splits.append(self._split(turn))
        self._sequences.append(GrowingSequence(turn))

    def datums(self, blocks: Blocks, *, vocabulary_size: int | None = None) -> list[Datum]:
        """In the order in which they began. Raises `DatumError`."""
        return [sequence.datum(blocks, vocabulary_size=vocabulary_size) for sequence in self._sequences]

    def _split(self, turn: Turn) -> Split:
        """Where the turn's prompt leaves the sequence that it shares most ids with (the latest of equal ones)."""
        candidates = [(one.parted_at(turn.prompt_ids), one) for one in reversed(self._sequences)]
        parted_at, nearest = max(candidates, key=lambda candidate: candidate[0])
        return Split(
            step_index=turn.place.turn,
            parted_at=parted_at,
            previous_ids=len(nearest),
            reason=nearest.split_reason(parted_at, prompt_length=len(turn.prompt_ids)),
            fallback=turn.fallback,
        )
