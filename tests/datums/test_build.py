"""Trajectories to datums: which ids are trained, with what, and what cannot be."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import verifiers_tito as vf
from tests.datums.steps import columns, served_step, step, three_turns
from verifiers_tito.datums import LeftOut, TrainOn


def test_three_turns_are_one_datum_with_the_environment_masked_out() -> None:
    built = vf.build_datums(three_turns())
    (datum,) = built.datums
    assert built.splits == []
    assert datum.model_input.to_ints() == datum.input_ids.tolist() == list(range(1, 15))
    assert datum.trained_tokens == built.trained_tokens == 8
    inputs = columns(datum)
    assert inputs["target_tokens"] == list(range(2, 16))
    assert [0.0, *inputs["mask"]] == [0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1]
    assert inputs["advantages"] == inputs["mask"]
    assert inputs["logprobs"] == pytest.approx([0, 0, 0, -0.5, -0.51, -0.52, 0, 0, -0.5, -0.51, 0, -0.5, -0.51, -0.52])
    assert {name: str(values.dtype) for name, values in datum.loss_fn_inputs.items()} == {
        "target_tokens": "int64",
        "logprobs": "float32",
        "advantages": "float32",
        "mask": "float32",
    }


def test_a_datum_says_which_turn_sampled_which_targets() -> None:
    (datum,) = vf.build_datums(three_turns()).datums
    assert [(span.turn, span.start, span.end) for span in datum.spans] == [(0, 3, 6), (1, 8, 10), (2, 11, 14)]


def test_steps_without_samples_are_counted_and_passed_over() -> None:
    built = vf.build_datums([{"tokens": None, "advantage": 1.0}, step([1, 2], []), step([1, 2], [3])])  # type: ignore[list-item]
    assert built.steps_without_samples == [0, 1]
    assert len(built.datums) == 1


def test_an_empty_trajectory_has_no_datums() -> None:
    assert vf.build_datums([]).datums == []


def test_a_given_advantage_wins_over_the_steps_own() -> None:
    (datum,) = vf.build_datums([step([1], [2, 3], advantage=9.0)], advantage=-0.5).datums
    assert columns(datum)["advantages"] == [-0.5, -0.5]


def test_each_turn_and_each_token_can_have_an_advantage_of_its_own() -> None:
    steps = [step([1], [2, 3]), step([1, 2, 3, 4], [5, 6])]
    (datum,) = vf.build_datums(steps, advantages=[-1.0, [0.25, 0.5]]).datums
    assert columns(datum)["advantages"] == [-1, -1, 0, 0.25, 0.5]


def test_an_advantage_and_advantages_at_once_are_refused() -> None:
    with pytest.raises(vf.DatumError, match="give either advantage, or one of advantages for each of the 1 steps"):
        vf.build_datums([step([1], [2])], advantage=1.0, advantages=[1.0])
    with pytest.raises(vf.DatumError, match="there are 2 advantages"):
        vf.build_datums([step([1], [2])], advantages=[1.0, 1.0])


def test_ids_sampled_under_a_grammar_are_context_unless_they_are_asked_for() -> None:
    steps = [served_step([1], [2, 3], under_grammar=True), served_step([1, 2, 3, 4], [5])]
    built = vf.build_datums(steps)
    (datum,) = built.datums
    assert columns(datum) == {
        "target_tokens": [2, 3, 4, 5],
        "logprobs": [0, 0, 0, -0.5],
        "advantages": [0, 0, 0, 1],
        "mask": [0, 0, 0, 1],
    }
    assert [span.left_out for span in datum.spans] == [LeftOut.GRAMMAR, None]
    assert built.left_out == {LeftOut.GRAMMAR: 2}
    (asked_for,) = vf.build_datums(steps, train=TrainOn(grammar=True)).datums
    assert columns(asked_for)["mask"] == [1, 1, 0, 1]


@pytest.mark.parametrize("mode", ["", "processed_logprobs"])
def test_ids_whose_logprobs_are_not_known_to_be_raw_are_left_out_with_a_warning(mode: str) -> None:
    steps = [served_step([1], [2, 3], logprobs_mode=mode)]
    with pytest.warns(vf.UnprovenLogprobsWarning, match="unproven_logprobs=True"):
        built = vf.build_datums(steps)
    assert built.left_out == {LeftOut.LOGPROBS_MODE: 2}
    assert built.trained_tokens == 0
    trusted = vf.build_datums(steps, train=TrainOn(unproven_logprobs=True))
    assert trusted.trained_tokens == 2


def test_the_warning_is_shown_at_the_line_that_builds_the_datums() -> None:
    steps = [served_step([1], [2, 3], logprobs_mode="")]
    for build in (lambda: vf.build_datums(steps), lambda: vf.build_training_set([{"trajectory": steps}])):
        with pytest.warns(vf.UnprovenLogprobsWarning) as shown:
            build()
        assert [warning.filename for warning in shown] == [__file__]


def test_truncated_turns_are_trained_on_unless_they_are_switched_off() -> None:
    steps = [{**step([1], [2, 3]), "is_truncated": True}, step([1, 2, 3, 4], [5])]
    assert vf.build_datums(steps).trained_tokens == 3
    built = vf.build_datums(steps, train=TrainOn(truncated=False))
    assert built.left_out == {LeftOut.TRUNCATED: 2}
    assert columns(built.datums[0])["mask"] == [0, 0, 0, 1]


def test_what_the_environment_masked_is_context() -> None:
    built = vf.build_datums([step([1], [2, 3, 4], completion_mask=[1, 0, 1])])
    assert columns(built.datums[0])["mask"] == columns(built.datums[0])["advantages"] == [1, 0, 1]
    assert columns(built.datums[0])["logprobs"][1] == 0
    assert built.left_out == {LeftOut.MASKED: 1}
    whole = vf.build_datums([step([1], [2, 3], completion_mask=[0, 0])])
    assert [span.left_out for span in whole.datums[0].spans] == [LeftOut.MASKED]


def test_a_turn_without_loss_needs_no_advantage() -> None:
    assert vf.build_datums([step([1], [2], None, completion_mask=[0])]).trained_tokens == 0


def test_weight_versions_come_along_and_end_where_the_turn_was_cut() -> None:
    spans = tuple(
        vf.WeightVersionSpan(version=version, start=start, end=end)
        for version, start, end in (("v1", 0, 1), ("v2", 1, 3), ("v3", 3, 5))
    )
    (datum,) = vf.build_datums([served_step([7, 8], [1, 2], weight_versions=spans)]).datums
    assert [(span.version, span.start, span.end) for span in datum.spans[0].weight_versions] == [
        ("v1", 1, 2),
        ("v2", 2, 3),
    ]


IMPOSSIBLE = {
    "no advantage": (step([1], [2], None), "there is no advantage: score its group first"),
    "NaN advantage": (step([1], [2], float("nan")), "the advantage is nan, which is no finite number"),
    "infinite advantage": (step([1], [2, 3], [0.0, float("inf")]), "advantages[1] is inf"),
    "too few advantages": (step([1], [2, 3], [1.0]), "advantages have shape (1,) for 2 completion_ids, not (2,)"),
    "too few logprobs": (
        step([1], [2, 3], completion_logprobs=[-0.1]),
        "completion_logprobs has 1 entries for 2 completion_ids",
    ),
    "logprob above 0": (step([1, 9], [2, 3], completion_logprobs=[-0.1, 0.5]), "completion_logprobs[1] is 0.5"),
    "NaN logprob": (step([1], [2], completion_logprobs=[float("nan")]), "completion_logprobs[0] is nan"),
    "vLLM's minus infinity": (step([1], [2], completion_logprobs=[-9999.0]), "completion_logprobs[0] is -9999.0"),
    "logprob missing": (step([1], [2], completion_logprobs=[None]), "completion_logprobs[0] is None, which is no num"),
    "negative id": (step([1, 4], [2, -3]), "completion_ids[1] is -3: ids go from 0 to 99"),
    "id outside of the vocabulary": (step([1, 100], [2]), "prompt_ids[1] is 100: ids go from 0 to 99"),
    "half an id": (step([1], [2.5]), "completion_ids[0] is 2.5, which is no id"),  # type: ignore[list-item]
    "an id that is text": (step([1, "2"], [2]), "prompt_ids[1] is '2', which is no id"),  # type: ignore[list-item]
    "an endless id": (step([1, 10**30], [2]), "prompt_ids[1] is 1000000"),
    "no prompt": (step([], [2]), "prompt_ids is empty"),
    "mask too short": (step([1], [2, 3], completion_mask=[1]), "completion_mask has 1 entries for 2 completion_ids"),
    "mask of other numbers": (step([1], [2], completion_mask=[2]), "completion_mask[0] is 2; a mask is made of 0 and"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_is_an_error_that_names_rollout_turn_and_index(name: str) -> None:
    wrong, words = IMPOSSIBLE[name]
    with pytest.raises(vf.DatumError, match=re.escape(f"rollout 12, turn 1: {words}")):
        vf.build_datums([step([50], [60]), wrong], rollout="12", vocabulary_size=100)


def test_an_error_in_a_later_turn_of_a_datum_is_counted_from_that_turns_own_lists() -> None:
    good = step([1, 2], [3])
    with pytest.raises(vf.DatumError, match=re.escape("turn 1: prompt_ids[4] is -5")):
        vf.build_datums([good, step([1, 2, 3, 4, -5], [6])])
    with pytest.raises(vf.DatumError, match=re.escape("turn 1: completion_logprobs[0] is 1.0")):
        vf.build_datums([good, step([1, 2, 3, 4], [6], completion_logprobs=[1.0])])


def test_a_step_that_knows_its_trajectory_is_named_by_it() -> None:
    with pytest.raises(vf.DatumError, match="rollout abc, turn 0"):
        vf.build_datums([{**step([1], [2], None), "trajectory_id": "abc"}])


def test_arrays_are_taken_for_lists() -> None:
    arrays = step(np.array([1, 2]), np.array([3, 4]), completion_logprobs=np.array([-0.5, -0.25]))  # type: ignore[arg-type]
    lists = step([1, 2], [3, 4], completion_logprobs=[-0.5, -0.25])
    assert vf.build_datums([arrays]).datums == vf.build_datums([lists]).datums


def test_the_trajectory_is_left_as_it_was() -> None:
    steps, again = three_turns(), three_turns()
    vf.build_datums(steps)
    assert steps == again


def test_one_sample_is_a_datum_by_itself() -> None:
    datum = vf.datum_from_samples([1, 2], [3, 4], [-0.5, -0.25], 2.0)
    assert datum.model_input.to_ints() == [1, 2, 3]
    assert columns(datum) == {
        "target_tokens": [2, 3, 4],
        "logprobs": [0, -0.5, -0.25],
        "advantages": [0, 2, 2],
        "mask": [0, 1, 1],
    }
    token_level: Any = [0.5, -0.5]
    assert columns(vf.datum_from_samples([1], [3, 4], [-0.5, -0.25], token_level))["advantages"] == token_level
    with pytest.raises(vf.DatumError, match="prompt_ids is empty"):
        vf.datum_from_samples([], [3], [-0.5], 1.0)
    with pytest.raises(vf.DatumError, match="completion_ids is empty"):
        vf.datum_from_samples([3], [], [], 1.0)


def test_a_datum_checks_its_lengths_and_names_the_field() -> None:
    with pytest.raises(vf.DatumError, match=r"loss_fn_inputs\['mask'\] has shape \(2,\), the model input has 3 ids"):
        vf.Datum(vf.ModelInput.from_ints([1, 2, 3]), {"mask": np.zeros(2)})
    with pytest.raises(vf.DatumError, match="the spans end at 4, the datum has 3 targets"):
        vf.Datum(vf.ModelInput.from_ints([1, 2, 3]), {}, (vf.SampledSpan(turn=0, start=0, end=4),))
    with pytest.raises(vf.DatumError, match="must not be empty"):
        vf.SampledSpan(turn=0, start=4, end=4)
