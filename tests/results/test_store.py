"""A folder of results: written, torn, continued, refused, read back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import verifiers_tito as vf
from tests.results.rollouts import SETTINGS, finished, planned
from verifiers_tito.results import JsonValues, ResultsStore, load_results, record_of, scores_of
from verifiers_tito.rollouts import PlannedRollout, RolloutKey

PLAN = [planned(example, index) for example in range(3) for index in range(2)]


def write(store: ResultsStore, rollout: PlannedRollout, state: vf.State) -> vf.State:
    store.add(record_of(rollout, state, state_columns=("extra",), values=JsonValues()))
    return state


def filled(folder: Path, plan: list[PlannedRollout] = PLAN) -> Path:
    with ResultsStore(folder, SETTINGS) as store:
        store.write_metadata(SETTINGS.to_json())
        for rollout in plan:
            state = write(store, rollout, finished(rollout))
            for scored in (state, *state["trajectory"]):
                scored["advantage"] = 0.5
            store.add_scores([scores_of(state, state_columns=(), values=JsonValues())])
    return folder


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    loaded = load_results(filled(tmp_path))
    assert [(output["example_id"], output["rollout_index"]) for output in loaded.outputs] == [
        (rollout.key.example_id, rollout.key.index) for rollout in PLAN
    ]
    states, made = list(loaded.states()), finished(PLAN[0])
    assert [state["advantage"] for state in states] == [0.5] * 6
    for field in ("prompt", "completion", "answer", "reward", "metrics", "usage", "stop_condition", "turn"):
        if field != "usage":
            assert states[0][field] == made[field], field
    assert states[0]["usage"]["output_tokens"] == made["usage"]["output_tokens"]
    assert vf.summarize(states[0]) == vf.summarize(made)
    assert vf.continuity(states[0]) == vf.continuity(made)
    assert vf.build_datums(states[0]["trajectory"], advantage=1.0).splits == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.floats(0, 1), st.floats(0, 1))
def test_cut_at_any_byte_a_continuation_ends_with_exactly_the_plan(
    tmp_path: Path, results_share: float, scores_share: float
) -> None:
    folder = tmp_path / "cut"
    for file in ("results.jsonl", "scores.jsonl", "metadata.json"):
        (folder / file).unlink(missing_ok=True)
    filled(folder)
    for file, share in (("results.jsonl", results_share), ("scores.jsonl", scores_share)):
        whole = (folder / file).read_bytes()
        (folder / file).write_bytes(whole[: round(share * len(whole))])
    with ResultsStore(folder, SETTINGS) as store:
        store.check_planned(PLAN)
        before = dict(store.index.rollouts)
        for rollout in PLAN:
            if not store.index.finished(rollout.key):
                write(store, rollout, finished(rollout))
    loaded = load_results(folder)
    assert set(loaded.index.rollouts) == {rollout.key for rollout in PLAN}
    assert {key: loaded.index.rollouts[key] for key in before} == before
    assert len((folder / "results.jsonl").read_bytes().splitlines()) == len(PLAN)
    assert len(list(loaded.states())) == len(PLAN)


def test_a_failed_rollout_is_not_finished_and_its_latest_record_counts(tmp_path: Path) -> None:
    with ResultsStore(tmp_path, SETTINGS) as store:
        store.write_metadata(SETTINGS.to_json())
        write(store, PLAN[0], finished(PLAN[0], turns=1, error=vf.InfraError("away")))
        assert not store.index.finished(PLAN[0].key)
    with ResultsStore(tmp_path, SETTINGS) as store:
        assert not store.index.finished(PLAN[0].key)
        write(store, PLAN[0], finished(PLAN[0], turns=2))
        assert store.index.finished(PLAN[0].key)
    loaded = load_results(tmp_path)
    assert len(loaded) == 1
    assert [state["turn"] for state in loaded.states()] == [2]


def test_a_rollout_whose_scoring_failed_afterwards_is_not_finished(tmp_path: Path) -> None:
    with ResultsStore(tmp_path, SETTINGS) as store:
        store.write_metadata(SETTINGS.to_json())
        state = write(store, PLAN[0], finished(PLAN[0]))
        state["error"], state["reward"] = vf.RewardError("no judge"), None
        store.add_scores([scores_of(state, state_columns=(), values=JsonValues())])
    with ResultsStore(tmp_path, SETTINGS) as store:
        assert not store.index.finished(PLAN[0].key)
    (state,) = load_results(tmp_path).states()
    with pytest.raises(vf.RecordedError, match="no judge"):
        raise state["error"]


def test_scores_of_an_earlier_record_do_not_reach_a_later_one(tmp_path: Path) -> None:
    filled(tmp_path, PLAN[:1])
    with ResultsStore(tmp_path, SETTINGS) as store:
        write(store, PLAN[0], finished(PLAN[0]))
        assert not store.index.is_scored_with_its_group(PLAN[0].key)
        assert store.index.read(PLAN[0].key)["advantage"] is None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"model": "m2"}, "other model: it has model 'm', this run has 'm2'"),
        ({"sampling_args": {"temperature": 0.5}}, r"sampling_args \{'temperature': 1.0\}, this run has .*0.5"),
        ({"env_id": "walk"}, "other environment: it has env_id 'talk', this run has 'walk'"),
        ({"env_args": {"size": 3}}, r"environment arguments: it has env_args \{\}, this run has \{'size': 3\}"),
        ({"scoring": "none"}, "scoring 'group', this run has 'none'"),
    ],
)
def test_a_run_of_something_else_is_refused_with_both_values(tmp_path: Path, other: Any, message: str) -> None:
    filled(tmp_path)
    with pytest.raises(vf.ConfigError, match=message), ResultsStore(tmp_path, replace(SETTINGS, **other)):
        pass
    with ResultsStore(tmp_path, SETTINGS):  # and the lock is free again
        pass


def test_another_dataset_is_refused_with_both_inputs(tmp_path: Path) -> None:
    filled(tmp_path)
    plan = [*PLAN[:-1], planned(2, 1, digest="e", question="something else")]
    with ResultsStore(tmp_path, SETTINGS) as store:
        with pytest.raises(vf.ConfigError, match=r"example 2, rollout 1 of another input.*'q'.*something else"):
            store.check_planned(plan)
        with pytest.raises(vf.ConfigError, match=r"does not ask for: .*than the folder has \(6\), not for fewer \(5\)"):
            store.check_planned(PLAN[:-1])
        store.check_planned([*PLAN, planned(3)])


def test_two_runs_cannot_write_one_folder(tmp_path: Path) -> None:
    first, second = ResultsStore(tmp_path, SETTINGS), ResultsStore(tmp_path, SETTINGS)
    with first, pytest.raises(vf.ResultsError, match="written by another run"):
        second.__enter__()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from verifiers_tito.results import ResultsStore, RunSettings\n"
        "store = ResultsStore(Path(sys.argv[1]), RunSettings(env_id='talk', model='m')).__enter__()\n"
        "print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(vf.ResultsError, match="another run"), ResultsStore(tmp_path, SETTINGS):
            pass
        process.kill()
        process.wait()
        with ResultsStore(tmp_path, SETTINGS) as store:
            assert store.index.rollouts == {}


def test_keys_headers_and_tokens_are_not_written(tmp_path: Path) -> None:
    secret = "sk-very-secret"
    judge = vf.ClientConfig(api_key=secret, extra_headers={"X": secret})
    args = {"judge": judge, "judge_api_key": secret, "options": [{"token": secret, "password": secret}]}
    sampling = {"max_tokens": 5, "stop_token_ids": [1], "extra_headers": {"Authorization": secret}}
    run = replace(SETTINGS, env_args=args, sampling_args=sampling)
    with ResultsStore(tmp_path, run) as store:
        store.write_metadata(run.to_json())
    written = (tmp_path / "metadata.json").read_text()
    assert secret not in written
    assert '"max_tokens": 5' in written
    with ResultsStore(tmp_path, run):  # and it is still the same run
        pass


def test_columns_that_are_no_json_do_not_lose_a_rollout(tmp_path: Path) -> None:
    with ResultsStore(tmp_path, SETTINGS) as store:
        store.write_metadata(SETTINGS.to_json())
        write(store, PLAN[0], finished(PLAN[0], extra=object()))
    (output,) = load_results(tmp_path).outputs
    assert output["extra"].startswith("<object object")


@pytest.mark.parametrize(
    ("metadata", "message"), [("{", "is no JSON"), ("[]", "must hold a JSON object"), (None, "nobody knows")]
)
def test_a_folder_without_proper_metadata_is_not_continued(tmp_path: Path, metadata: str | None, message: str) -> None:
    filled(tmp_path)
    file = tmp_path / "metadata.json"
    file.unlink() if metadata is None else file.write_text(metadata)
    with pytest.raises(vf.ResultsError, match=message), ResultsStore(tmp_path, SETTINGS):
        pass


def test_a_folder_of_another_program_is_told_from_ours(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "results.jsonl").write_text('{"example_id": 0, "reward": 1.0}\n')
    with pytest.raises(vf.ResultsError, match="no record of a rollout"):
        load_results(tmp_path)


def test_where_there_are_no_results_there_are_none_to_load(tmp_path: Path) -> None:
    with pytest.raises(vf.ResultsError, match=r"holds no results: there must be metadata.json and results.jsonl"):
        load_results(tmp_path)


def test_ids_of_examples_may_be_text(tmp_path: Path) -> None:
    filled(tmp_path, [planned("../../etc"), planned(3), planned("b")])
    assert set(load_results(tmp_path).index.rollouts) == {RolloutKey(i, 0) for i in (3, "../../etc", "b")}
    assert [output["example_id"] for output in load_results(tmp_path).outputs] == [3, "../../etc", "b"]
