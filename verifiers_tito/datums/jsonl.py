"""Datums in a file: one JSON object a line, readable by anything."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from verifiers_tito.datums.datum import Datum
from verifiers_tito.types import ModelInput


def write_datums(datums: Iterable[Datum], path: Path) -> int:
    """Writes `path` anew, making its folder if need be; returns the number of datums."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(_to_json(datum)) + "\n" for datum in datums]
    path.write_text("".join(lines))
    return len(lines)


def read_datums(path: Path) -> list[Datum]:
    """The datums of a file that `write_datums` wrote, equal to the bit."""
    return [_from_json(json.loads(line)) for line in path.read_text().splitlines()]


def _to_json(datum: Datum) -> dict[str, Any]:
    inputs = {
        name: {"dtype": str(values.dtype), "data": values.tolist()} for name, values in datum.loss_fn_inputs.items()
    }
    return {"model_input": datum.model_input.to_ints(), "loss_fn_inputs": inputs}


def _from_json(row: dict[str, Any]) -> Datum:
    inputs = {name: np.array(column["data"], dtype=column["dtype"]) for name, column in row["loss_fn_inputs"].items()}
    return Datum(model_input=ModelInput.from_ints(row["model_input"]), loss_fn_inputs=inputs)
