"""The soak's own workings, with a handful of rollouts. No time and no memory is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak import Options, violations
from tests.results.rollouts import SETTINGS, finished, planned
from tests.results.test_store import write
from verifiers_tito.errors import ConfigError
from verifiers_tito.results import ResultsStore


@pytest.mark.parametrize(("rollouts", "turns"), [(13, 6), (4, 6), (20, 1)])
def test_too_few_rollouts_or_turns_are_refused(rollouts: int, turns: int) -> None:
    with pytest.raises(ConfigError, match="must be a multiple of 4"):
        Options(rollouts=rollouts, turns=turns)


def test_what_is_lost_doubled_or_cut_short_is_found(qwen3_tiny: Path, tmp_path: Path) -> None:
    options = Options(rollouts=12, turns=2, model_folder=qwen3_tiny)
    with ResultsStore(tmp_path, SETTINGS) as store:
        store.write_metadata(SETTINGS.to_json())
        for index, turns in enumerate((2, 2, 1)):
            write(store, planned(0, index), finished(planned(0, index), turns=turns, advantage=0.0))
    assert violations(tmp_path, options) == [
        "1 rollouts with other than all turns",
        "9 rollouts missing",
        "3 answers taken twice",
    ]
