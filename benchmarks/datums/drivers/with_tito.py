"""Ours: `build_training_set`, then `pack_datums`; and a plain copy of all that was packed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from building import Turns, drive

TOKEN_BUDGET = 65_536


def load() -> tuple[Callable[[Turns], Any], dict[str, Callable[[list[Any]], int]]]:
    from verifiers_tito.datums import PackedBatch, build_training_set, pack_datums  # noqa: PLC0415  as the others do

    def make(turns: Turns) -> Any:
        return [
            {
                "tokens": {
                    "prompt_ids": prompt,
                    "completion_ids": completion,
                    "completion_mask": [1] * len(completion),
                    "completion_logprobs": logprobs,
                },
                "advantage": 1.0,
            }
            for prompt, completion, logprobs in turns
        ]

    packed: list[PackedBatch] = []

    def build(trajectories: list[Any]) -> int:
        packed.clear()
        datums = build_training_set({"trajectory": one} for one in trajectories).datums
        longest = max(map(len, datums))
        packed.extend(pack_datums(datums, token_budget=max(TOKEN_BUDGET, longest)))
        return sum(batch.input_ids.size for batch in packed)

    def copy(trajectories: list[Any]) -> int:
        copies = [
            array.copy()
            for batch in packed
            for array in (batch.input_ids, batch.position_ids, batch.cu_seqlens, *batch.columns.values())
        ]
        return sum(array.nbytes for array in copies)

    return make, {"build": build, "copy": copy}


if __name__ == "__main__":
    drive(load, "verifiers-tito", "numpy")
