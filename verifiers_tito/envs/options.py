"""How a run of `generate` is to go, beside what it is of."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Self

from verifiers_tito.errors import ConfigError
from verifiers_tito.results import RolloutOutput, require_datasets

Metadata = dict[str, Any]
StartCallback = Callable[[list[dict[str, Any]], list[list[dict[str, Any]]]], None]
"""Gets all inputs, and those that are still to be run, group by group."""
ProgressCallback = Callable[[list[RolloutOutput], list[RolloutOutput], Metadata], None]
"""Gets all outputs so far, the new ones, and the metadata with averages so far."""
LogCallback = Callable[[str], None]

_RESULTS_ROOT = Path("outputs/evals")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateOptions:
    """`max_concurrent` rollouts at once (-1: no limit of yours), of at most `max_tokens_in_flight` tokens by estimate.

    Results are saved in the folder `results_path`, or in a new one below `outputs/evals` with `save_results`; a folder
    that holds some of this run's rollouts is continued. `state_columns` are fields of the state that outputs have too.
    With `independent_scoring` rollouts are not compared with their group. A rollout whose error says that it may help
    is begun anew up to `max_retries` times. Callbacks run between rollouts; what they raise ends the run.
    `on_progress`: one function takes the place of the progress display, a list of them stands beside it.
    Python's full garbage collections, which stop all rollouts, wait until these have run or memory has grown by 2 GiB,
    unless `postpone_full_collections` is false.
    """

    max_concurrent: int = -1
    results_path: str | PathLike[str] | None = None
    state_columns: Sequence[str] | None = None
    save_results: bool = False
    push_to_hf_hub: bool = False
    hf_hub_dataset_name: str | None = None
    independent_scoring: bool = False
    max_retries: int = 0
    on_start: StartCallback | None = None
    on_progress: ProgressCallback | Sequence[ProgressCallback] | None = None
    on_log: LogCallback | None = None
    max_tokens_in_flight: int | None = None
    show_progress: bool = True
    postpone_full_collections: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.state_columns, str):
            raise ConfigError(f"state_columns is a list of names, got the text {self.state_columns!r}")
        if private := [name for name in self.state_columns or [] if name.startswith("_") or name == "client"]:
            raise ConfigError(f"state_columns must not name {', '.join(private)}: that is no part of a result")
        if self.push_to_hf_hub:
            require_datasets()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.state_columns or ())

    @property
    def progress_callbacks(self) -> list[ProgressCallback]:
        if self.on_progress is None:
            return []
        return [self.on_progress] if callable(self.on_progress) else list(self.on_progress)

    @property
    def shows_progress(self) -> bool:
        return self.show_progress and not callable(self.on_progress)

    def for_workers(self) -> Self:
        """What a process that only runs rollouts has to know: no folder, and no callbacks, which stay here."""
        return replace(self, results_path=None, save_results=False, push_to_hf_hub=False, on_start=None,
                       on_progress=None, on_log=None)  # fmt: skip

    def folder(self, env_id: str, model: str) -> Path | None:
        """Where results go; None if they are not saved. Of names only letters, digits, dots and dashes are used."""
        if self.results_path is not None:
            return Path(self.results_path)
        if not self.save_results:
            return None
        return _RESULTS_ROOT / f"{_file_name(env_id)}--{_file_name(model)}" / uuid.uuid4().hex[:8]


def _file_name(text: str) -> str:
    return _NOT_IN_NAMES.sub("-", text).strip(".-")[:100] or "unnamed"
