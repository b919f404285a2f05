"""Arrays of datums that are cut from shared memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import verifiers_tito as vf
from tests.datums.steps import served_step, three_turns
from verifiers_tito.datums import blocks
from verifiers_tito.datums.blocks import Blocks

KINDS = st.sampled_from([np.int64, np.float32, np.int32, np.uint8])


@given(st.lists(st.tuples(st.integers(0, 300), KINDS), max_size=12))
def test_each_array_is_zeros_of_its_own_whatever_is_written_to_the_others(asked: list[tuple[int, type]]) -> None:
    taken, arrays = Blocks(), []
    for number, (count, kind) in enumerate(asked):
        arrays.append(taken.zeros(count, kind))
        assert (arrays[-1].shape, arrays[-1].dtype) == ((count,), kind)
        assert arrays[-1].flags.aligned
        assert not arrays[-1].any()
        arrays[-1][:] = number + 1
    assert all((array == number + 1).all() for number, array in enumerate(arrays))


def test_blocks_double_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_LARGEST_BYTES", 4_096)
    taken = Blocks()
    arrays = [taken.zeros(1_024, np.uint8) for _ in range(9)]
    assert [array.base.size for array in arrays] == [1_024, *[2_048] * 2, *[4_096] * 4, *[4_096] * 2]
    assert taken.zeros(5_000, np.uint8).base.size == 5_000


def test_a_few_datums_do_not_hold_more_than_they_need() -> None:
    (datum,) = vf.build_datums(three_turns()).datums
    held = {id(array.base): array.base.size for array in (datum.input_ids, *datum.loss_fn_inputs.values())}
    assert sum(held.values()) <= 3 * sum(array.nbytes for array in datum.loss_fn_inputs.values())


def test_datums_of_a_set_are_those_of_each_rollout_and_can_be_written_to_apart() -> None:
    trajectories = [three_turns(), [served_step([7, 8], [9], -1.0)], three_turns()]
    data = vf.build_training_set({"trajectory": steps} for steps in trajectories)
    alone = [datum for steps in trajectories for datum in vf.build_datums(steps).datums]
    assert data.datums == alone
    data.datums[0].loss_fn_inputs["advantages"][:] = 9
    assert data.datums[1:] == alone[1:]
    (batch,) = vf.pack_datums(data.datums, token_budget=100)
    batch.columns["advantages"][:] = 5
    assert (batch.columns["mask"] <= 1).all()
    assert data.datums[1:] == alone[1:]
