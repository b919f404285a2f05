"""Datums to the arrays that a forward pass takes.

    packed    a a a a b b b c c        no padding; attention is kept apart by `cu_seqlens` or by position ids
    padded    a a a a                  a row for each
              b b b .
              c c . .

Deterministic: the same datums give the same batches. Every column of `loss_fn_inputs` comes along under its own name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifiers_tito.datums.blocks import Blocks
from verifiers_tito.datums.datum import Datum
from verifiers_tito.datums.plan import plan_packs, plan_rows
from verifiers_tito.errors import DatumError
from verifiers_tito.extras import load_extra

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """S datums one behind the other, T ids in all.

    `input_ids` and `position_ids` (from 0 in each datum) are (T,) int64, `columns` (T,). `cu_seqlens` (S + 1,) int32
    are the borders, as flash attention's variable-length kernels take them, `longest` their `max_seqlen`.
    `datum_indices` (S,) say which datums these are.
    """

    input_ids: NDArray[np.int64]
    position_ids: NDArray[np.int64]
    cu_seqlens: NDArray[np.int32]
    longest: int
    columns: Columns
    datum_indices: tuple[int, ...]

    def to_torch(self, device: Any = None) -> dict[str, Any]:
        """`input_ids`, `position_ids`, `cu_seqlens` and the columns as tensors; on the CPU they share this memory."""
        arrays: Columns = {
            "input_ids": self.input_ids,
            "position_ids": self.position_ids,
            "cu_seqlens": self.cu_seqlens,
        }
        return to_tensors({**arrays, **self.columns}, device=device)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaddedBatch:
    """B datums in rows of L ids, padded on the right.

    `input_ids`, `attention_mask` (0 on padding) and `position_ids` are (B, L) int64, `columns` (B, L), 0 on padding.
    `datum_indices` (B,) say which datums these are.
    """

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]
    position_ids: NDArray[np.int64]
    columns: Columns
    datum_indices: tuple[int, ...]

    def to_torch(self, device: Any = None) -> dict[str, Any]:
        """`input_ids`, `attention_mask`, `position_ids` and the columns; on the CPU they share this memory."""
        arrays = {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "position_ids": self.position_ids,
        }
        return to_tensors({**arrays, **self.columns}, device=device)


def pack_datums(datums: Sequence[Datum], *, token_budget: int) -> Iterator[PackedBatch]:
    """Batches of at most `token_budget` ids, without padding, made one at a time as they are asked for.

    Raises `DatumError`, at once, for a datum that is empty or longer than the budget, and for columns that differ.
    """
    names = column_names(datums)
    packs = plan_packs([len(datum) for datum in datums], token_budget=token_budget)
    positions, blocks = np.arange(max(map(len, datums), default=0)), Blocks()
    return (_pack([datums[index] for index in pack], pack, names, positions, blocks) for pack in packs)


def pad_datums(
    datums: Sequence[Datum], *, token_budget: int, pad_id: int = 0, multiple_of: int = 1
) -> Iterator[PaddedBatch]:
    """Batches whose rows times the longest row, rounded up to `multiple_of`, are `token_budget` ids at most.

    Raises `DatumError` as `pack_datums` does.
    """
    names = column_names(datums)
    batches = plan_rows([len(datum) for datum in datums], token_budget=token_budget, multiple_of=multiple_of)
    return (_pad(datums, batch, names, pad_id=pad_id, multiple_of=multiple_of) for batch in batches)


def column_names(datums: Sequence[Datum]) -> tuple[str, ...]:
    """Of all datums. Raises `DatumError` where one has others than the first."""
    names = tuple(datums[0].loss_fn_inputs) if datums else ()
    for index, datum in enumerate(datums):
        if datum.loss_fn_inputs.keys() != set(names):
            raise DatumError(
                f"datum {index} has the columns {', '.join(sorted(datum.loss_fn_inputs))}, datum 0 has "
                f"{', '.join(sorted(names))}: batch datums for the same loss together"
            )
    return names


def to_tensors(arrays: Columns, *, device: Any = None) -> dict[str, Any]:
    """The arrays as tensors of the same kinds. Needs the extra `torch`."""
    torch = load_extra("torch", otherwise="tensors need torch: pip install 'verifiers-tito[torch]'")
    return {name: torch.from_numpy(values).to(device) for name, values in arrays.items()}


def rows_of(parts: Sequence[NDArray[Any]], *, length: int, fill: int = 0, left: bool = False) -> NDArray[Any]:
    """(B, length) of B arrays that are no longer, in their kind, filled up on one side."""
    rows = np.full((len(parts), length), fill, dtype=parts[0].dtype if parts else np.int64)
    for row, part in zip(rows, parts, strict=True):
        row[length - part.size if left else 0 :][: part.size] = part
    return rows


def _pack(
    chosen: Sequence[Datum],
    indices: Sequence[int],
    names: Sequence[str],
    positions: NDArray[np.int64],
    blocks: Blocks,
) -> PackedBatch:
    lengths = [len(datum) for datum in chosen]
    return PackedBatch(
        input_ids=_joined(blocks, [datum.input_ids for datum in chosen]),
        position_ids=_joined(blocks, [positions[:length] for length in lengths]),
        cu_seqlens=np.cumsum([0, *lengths], dtype=np.int32),
        longest=max(lengths),
        columns={name: _joined(blocks, [datum.loss_fn_inputs[name] for datum in chosen]) for name in names},
        datum_indices=tuple(indices),
    )


def _joined(blocks: Blocks, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """`parts` one behind the other, in an array of `blocks`."""
    joined = blocks.zeros(sum(part.size for part in parts), np.result_type(*parts))
    np.concatenate(parts, out=joined)
    return joined


def _pad(
    datums: Sequence[Datum], indices: Sequence[int], names: Sequence[str], *, pad_id: int, multiple_of: int
) -> PaddedBatch:
    chosen = [datums[index] for index in indices]
    lengths = np.array([len(datum) for datum in chosen])
    longest = -(-int(lengths.max()) // multiple_of) * multiple_of
    positions = np.arange(longest)
    is_there = positions < lengths[:, None]
    return PaddedBatch(
        input_ids=rows_of([datum.input_ids for datum in chosen], length=longest, fill=pad_id),
        attention_mask=is_there.astype(np.int64),
        position_ids=np.where(is_there, positions, 0),
        columns={name: rows_of([datum.loss_fn_inputs[name] for datum in chosen], length=longest) for name in names},
        datum_indices=tuple(indices),
    )
