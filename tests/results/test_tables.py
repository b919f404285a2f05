from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

import verifiers_tito as vf
from tests.results.rollouts import planned
from tests.results.test_store import filled
from verifiers_tito.results import RolloutOutput, load_results, outputs_to_dataset

datasets = pytest.importorskip("datasets")
parquet = pytest.importorskip("pyarrow.parquet")


def test_a_dataset_has_a_row_for_each_rollout(tmp_path: Path) -> None:
    dataset = load_results(filled(tmp_path)).to_dataset()
    assert dataset.num_rows == 6
    assert dataset[0]["completion"][0] == {"role": "assistant", "content": "answer 0"}
    assert dataset["reward"][:2] == [1.0, 1.0]


def test_a_column_of_several_types_is_json_text_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    outputs = [RolloutOutput(example_id=0, info={"a": 1}), RolloutOutput(example_id=1, info={"a": "x"})]
    with caplog.at_level(logging.WARNING):
        dataset = outputs_to_dataset(outputs)
    assert dataset["info"][:] == ['{"a": 1}', '{"a": "x"}']
    assert "column info holds values of several types" in caplog.text


def test_a_parquet_file_has_the_ids_of_each_turn_in_columns(tmp_path: Path) -> None:
    loaded = load_results(filled(tmp_path / "run", [planned(0), planned("b")]))
    assert loaded.to_parquet(tmp_path / "tables" / "tokens.parquet") == 4
    rows = parquet.read_table(tmp_path / "tables" / "tokens.parquet").to_pylist()
    steps = [step for state in loaded.states() for step in state["trajectory"]]
    assert [row["prompt_ids"] for row in rows] == [step["tokens"]["prompt_ids"] for step in steps]
    assert [row["completion_logprobs"] for row in rows] == [step["tokens"]["completion_logprobs"] for step in steps]
    assert [(row["example_id"], row["turn"]) for row in rows] == [("0", 0), ("0", 1), ("b", 0), ("b", 1)]
    assert {row["advantage"] for row in rows} == {0.5}


@pytest.mark.parametrize(("package", "extra"), [("datasets", "datasets"), ("pyarrow", "parquet")])
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    loaded = load_results(filled(tmp_path))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(vf.ConfigError, match=rf"pip install 'verifiers-tito\[{extra}\]'"):
        loaded.to_dataset() if package == "datasets" else loaded.to_parquet(tmp_path / "x")
