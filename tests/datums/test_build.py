"""Trajectories to datums: every sampled id once, nothing else trained, splits counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import verifiers_tito as vf


def step(prompt: list[int], completion: list[int], advantage: float | None = 1.0, **changes: Any) -> dict[str, Any]:
    tokens = {
        "prompt_ids": prompt,
        "completion_ids": completion,
        "completion_logprobs": [-0.5 - i / 100 for i in range(len(completion))],
        **changes,
    }
    return {"tokens": tokens, "advantage": advantage}


def test_three_turns_are_one_datum_with_the_environment_masked_out() -> None:
    first = step([1, 2, 3, 4], [5, 6, 7])
    second = step([1, 2, 3, 4, 5, 6, 7, 8, 9], [10, 11])
    third = step([*range(1, 13)], [13, 14, 15])
    built = vf.build_datums([first, second, third])
    (datum,) = built.datums
    assert built.splits == []
    assert datum.model_input.to_ints() == list(range(1, 15))
    inputs = datum.loss_fn_inputs
    assert inputs["target_tokens"].tolist() == list(range(2, 16))
    assert [0.0, *inputs["mask"].tolist()] == [0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1]
    assert inputs["advantages"].tolist() == inputs["mask"].tolist()
    assert inputs["logprobs"].tolist() == pytest.approx(
        [0, 0, 0, -0.5, -0.51, -0.52, 0, 0, -0.5, -0.51, 0, -0.5, -0.51, -0.52]
    )
    assert {name: str(values.dtype) for name, values in inputs.items()} == {
        "target_tokens": "int64",
        "logprobs": "float32",
        "advantages": "float32",
        "mask": "float32",
    }


def test_a_step_that_does_not_extend_the_one_before_begins_a_new_datum_and_is_counted() -> None:
    built = vf.build_datums([step([1, 2], [3]), step([1, 2, 9, 4], [5]), step([1, 2, 9, 4, 5, 6], [7])])
    assert [datum.model_input.to_ints() for datum in built.datums] == [[1, 2], [1, 2, 9, 4, 5, 6]]
    assert built.splits == [vf.Split(step_index=1, parted_at=2, previous_ids=3)]


def test_a_shorter_prompt_is_a_split_too() -> None:
    built = vf.build_datums([step([1, 2], [3]), step([1], [2])])
    assert built.splits == [vf.Split(step_index=1, parted_at=1, previous_ids=3)]


def test_steps_without_samples_are_counted_and_passed_over() -> None:
    built = vf.build_datums([{"tokens": None, "advantage": 1.0}, step([1], [2])])
    assert built.steps_without_samples == [0]
    assert len(built.datums) == 1


def test_a_given_advantage_wins_over_the_steps_own() -> None:
    (datum,) = vf.build_datums([step([1], [2, 3], advantage=9.0)], advantage=-0.5).datums
    assert datum.loss_fn_inputs["advantages"].tolist() == [-0.5, -0.5]


def test_no_advantage_is_an_error_that_names_the_step() -> None:
    with pytest.raises(vf.DatumError, match="step 1 has no advantage: score its group first"):
        vf.build_datums([step([1], [2]), step([1, 2], [3], advantage=None)])


def test_log_probabilities_that_do_not_pair_are_an_error() -> None:
    with pytest.raises(vf.DatumError, match="step 0: completion_logprobs has 1 entries for 2 completion_ids"):
        vf.build_datums([step([1], [2, 3], completion_logprobs=[-0.1])])


def test_an_empty_trajectory_has_no_datums() -> None:
    assert vf.build_datums([]).datums == []


def test_a_datum_checks_its_lengths_and_names_the_field() -> None:
    with pytest.raises(vf.DatumError, match=r"loss_fn_inputs\['mask'\] has shape \(2,\), the model input has 3 ids"):
        vf.Datum(vf.ModelInput.from_ints([1, 2, 3]), {"mask": np.zeros(2)})


def test_datums_survive_a_file(tmp_path: Path) -> None:
    datums = vf.build_datums([step([1, 2], [3, 4]), step([9], [8])]).datums
    path = tmp_path / "new" / "datums.jsonl"
    assert vf.write_datums(datums, str(path)) == 2
    assert vf.read_datums(path) == datums
    assert vf.read_datums(path) != list(reversed(datums))


def test_what_json_cannot_hold_is_refused_before_the_file_is_touched(tmp_path: Path) -> None:
    datums = vf.build_datums([step([1, 2], [3], completion_logprobs=[float("-inf")])]).datums
    with pytest.raises(vf.DatumError, match="no finite number"):
        vf.write_datums(datums, tmp_path / "datums.jsonl")
    assert not (tmp_path / "datums.jsonl").exists()


def test_a_step_that_sampled_nothing_is_counted_and_passed_over() -> None:
    built = vf.build_datums([step([1, 2], []), step([1, 2], [3])])
    assert built.steps_without_samples == [0]
    assert len(built.datums) == 1


TURNS = st.lists(
    st.tuples(
        st.booleans(),
        st.lists(st.integers(0, 9), min_size=1, max_size=4),
        st.lists(st.integers(0, 9), min_size=1, max_size=4),
    ),
    max_size=6,
)


@given(TURNS)
def test_the_masked_targets_are_exactly_the_sampled_ids_once_each(
    turns: list[tuple[bool, list[int], list[int]]],
) -> None:
    history: list[int] = []
    steps = []
    for extends, said, sampled in turns:
        prompt = [*history, *said] if extends else said
        steps.append(step(prompt, sampled))
        history = [*prompt, *sampled]
    built = vf.build_datums(steps)
    trained = [
        token
        for datum in built.datums
        for token in datum.loss_fn_inputs["target_tokens"][datum.loss_fn_inputs["mask"] == 1]
    ]
    assert trained == [token for _, _, sampled in turns for token in sampled]
    assert len(built.datums) == len(built.splits) + (1 if turns else 0)
