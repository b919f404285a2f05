"""Results as tables of other programs: a Hugging Face dataset of outputs, a Parquet file of token ids.

Made from the journals on demand; nothing is read back from them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from verifiers_tito.errors import ConfigError
from verifiers_tito.results.record import Record, RolloutOutput, trajectory_of

if TYPE_CHECKING:
    from datasets import Dataset

_LOGGER = logging.getLogger(__name__)
_RECORDS_AT_ONCE = 64


def require_datasets() -> ModuleType:
    """The package `datasets`, or an error that says how to get it."""
    try:
        import datasets  # noqa: PLC0415  late: optional, and it takes seconds
    except ImportError as error:
        raise ConfigError("a Hugging Face dataset needs datasets: pip install 'verifiers-tito[datasets]'") from error
    module: ModuleType = datasets
    return module


def outputs_to_dataset(outputs: Sequence[RolloutOutput]) -> Dataset:
    """A row for each output. A column whose values have no one type of Arrow's is JSON text, and a log line says so."""
    datasets, arrow = require_datasets(), _arrow()
    names = list(dict.fromkeys(name for output in outputs for name in output if name != "trajectory"))
    columns = {name: [output.get(name) for output in outputs] for name in names}
    for name, values in columns.items():
        if not _has_one_type(arrow, values):
            _LOGGER.warning("column %s holds values of several types: it is JSON text in the dataset", name)
            columns[name] = [json.dumps(value) for value in values]
    return datasets.Dataset.from_dict(columns)


def write_token_table(records: Iterable[Record], path: Path) -> int:
    """A row for each turn: `example_id` (text), `rollout_index, turn, prompt_ids, completion_ids, completion_logprobs,
    advantage, reward` (of the rollout). Turns without ids are left out."""
    arrow = _arrow()
    import pyarrow.parquet  # noqa: PLC0415  late: optional

    ids, integer, number = arrow.list_(arrow.int32()), arrow.int64(), arrow.float64()
    fields = {"example_id": arrow.string(), "rollout_index": integer, "turn": integer, "prompt_ids": ids}
    fields |= {"completion_ids": ids, "completion_logprobs": arrow.list_(number)}
    schema = arrow.schema({**fields, "advantage": number, "reward": number})
    path.parent.mkdir(parents=True, exist_ok=True)
    written, remaining = 0, iter(records)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(remaining, _RECORDS_AT_ONCE)):
            rows = [row for record in batch for row in _token_rows(record)]
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
            written += len(rows)
    return written


def _token_rows(record: Record) -> Iterator[dict[str, Any]]:
    whose = {"example_id": str(record["example_id"]), "rollout_index": record["rollout_index"]}
    for turn, step in enumerate(trajectory_of(record)):
        if step["tokens"] is not None:
            columns = {name: step["tokens"][name] for name in ("prompt_ids", "completion_ids", "completion_logprobs")}
            yield {**whose, "turn": turn, **columns, "advantage": step["advantage"], "reward": record["reward"]}


def _has_one_type(arrow: Any, values: list[Any]) -> bool:
    try:
        arrow.array(values)
    except (arrow.ArrowException, OverflowError):
        return False
    return True


def _arrow() -> Any:
    try:
        import pyarrow  # noqa: PLC0415  late: optional, and it takes long
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow: pip install 'verifiers-tito[parquet]'") from error
    return pyarrow
