"""One training example: input ids, and per target what the loss needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifiers_tito.errors import DatumError
from verifiers_tito.types import ModelInput


@dataclass(frozen=True, slots=True, eq=False)
class Datum:
    """`model_input` are N ids; every array of `loss_fn_inputs` has N entries, one per target.

    Field-compatible with Tinker's `Datum`. Of a trajectory (`build_datums`): `target_tokens` int64, `logprobs`
    float32 (natural log, of the sampler; 0.0 where nothing was sampled), `advantages` float32, `mask` float32 (1.0 on
    sampled targets). Inputs are the ids without the last, targets the ids without the first.
    """

    model_input: ModelInput
    loss_fn_inputs: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        expected = self.model_input.length
        for name, values in self.loss_fn_inputs.items():
            if np.shape(values) != (expected,):
                raise DatumError(
                    f"loss_fn_inputs[{name!r}] has shape {np.shape(values)}, "
                    f"the model input has {expected} ids: it must be ({expected},)"
                )

    def __eq__(self, other: object) -> bool:
        """Equal ids, equal fields, equal to the bit."""
        if not isinstance(other, Datum):
            return NotImplemented
        mine, theirs = self.loss_fn_inputs, other.loss_fn_inputs
        return (
            self.model_input == other.model_input
            and mine.keys() == theirs.keys()
            and all(mine[key].dtype == theirs[key].dtype and np.array_equal(mine[key], theirs[key]) for key in mine)
        )

    __hash__ = None  # type: ignore[assignment]
