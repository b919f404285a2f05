"""`tito rollout` against a fake server: what it runs, prints and saves, and how it ends."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import verifiers_tito as vf
from tests.commands.conftest import Tito
from tests.conftest import API_KEY, FakeMaker
from verifiers_tito import cli
from verifiers_tito.testing import Completion, FakeRequest, FakeVLLM, RecordedRequest, replies_by_turn

GUESSES = replies_by_turn([str(number) for number in range(1, 9)])
"""Two turns are in the few-shot messages already."""
FRAGILE = """
from pathlib import Path

import verifiers_tito as vf

class FragileEnv(vf.MultiTurnEnv):
    async def setup_state(self, state):
        if state["example_id"] in self.broken and not Path("mended").exists():
            raise RuntimeError(f"example {state['example_id']} is broken")
        return state

    async def env_response(self, messages, state, **kwargs):
        return "and?"

    @vf.teardown
    async def leave(self):
        if self.fails == "teardown":
            raise RuntimeError("stays for ever")

    def rows(self):
        if self.fails == "dataset":
            raise RuntimeError("no rows")
        return [{"question": f"q{number}"} for number in range(4)]

def load_environment(broken=(), fails=""):
    if fails == "loading":
        raise RuntimeError("no such luck\\nat all")
    env = FragileEnv(dataset=lambda: env.rows(), max_turns=2, broken=broken, fails=fails)
    return env
"""


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[str]:
    """The name of an environment in the current folder; its `broken` examples fail."""
    (tmp_path / "fragile_environment.py").write_text(FRAGILE)
    yield "fragile-environment"
    sys.modules.pop("fragile_environment", None)


def at(fake: FakeVLLM) -> list[str]:
    """Where, and with the server's tokenizer: loading one takes a second."""
    return ["--base-url", fake.base_url, "--tokenizer", "server"]


def turns_of(fake: FakeVLLM) -> list[RecordedRequest]:
    """The requests that the model answered."""
    return [request for request in fake.posts if "completions" in request.path]


def new_folders(root: Path) -> list[Path]:
    """Those that runs have made below `outputs/evals`."""
    return list(root.glob("outputs/evals/number-guess--fake/*"))


async def test_a_number_of_workers_without_ray_is_refused(tito: Tito) -> None:
    ended = await tito("rollout", "number-guess", "--workers", "2")
    assert ended.exit_code == 1
    assert "--workers is the number of Ray actors: give --ray, too" in ended.err


async def test_a_run_without_failures_is_exit_code_0_and_a_table(
    tito: Tito, qwen3_fake: FakeMaker, tmp_path: Path
) -> None:
    async with qwen3_fake(GUESSES) as fake:
        ran = await tito("rollout", "number-guess", *at(fake), "-n", 3, "-r", 2, "--save", "saved")
    assert ran.exit_code == 0
    assert ran.out.startswith("number-guess on fake\n")
    assert ran.cells("rollouts") == ["6 (examples: 3)"]
    results = vf.load_results(tmp_path / "saved")
    assert ran.cells("reward") == ran.cells("guessing_score") == [f"{results.metadata['avg_reward']:.4g}"]
    assert ran.cells("pass@k") == [", ".join(f"{k}: {rate:.3f}" for k, rate in results.metadata["pass_at_k"].items())]
    turns = sum(sum(output["served"].values()) for output in results.outputs)
    assert ran.cells("token-in") == [f"100.0% of {turns - 6} later turns"]
    assert ran.cells("turns") == [f"{turns - 6} x chat/tokens", "6 x chat (first turn)"]
    assert "tokens/s" in ran.cells("speed")[0]
    assert ran.out.endswith("saved in saved; to look at them: tito show saved\n")
    assert ran.err.count("6 of 6 rollouts; ") == 1
    assert len(results) == 6


async def test_turns_that_go_in_as_messages_are_counted_by_reason(tito: Tito, qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(GUESSES) as fake:
        ran = await tito("rollout", "number-guess", *at(fake), "-n", 1, "-r", 1, "--route", "chat", "--no-progress")
    assert (ran.exit_code, ran.err) == (0, "")
    (later,) = ran.cells("fallback")
    assert later.endswith(" x messages in by configuration")
    assert ran.cells("token-in")[0].startswith("0.0% of ")
    assert "saved in" not in ran.out


async def test_failed_rollouts_are_exit_code_3_with_their_number_and_the_first_cause(
    tito: Tito, qwen3_fake: FakeMaker, fragile: str
) -> None:
    async with qwen3_fake(replies_by_turn(["a", "b"])) as fake:
        ran = await tito("rollout", fragile, *at(fake), "-r", 1, "--no-progress", "--env-args", '{"broken": [1, 2]}')
    assert ran.exit_code == 3
    assert ran.cells("rollouts") == ["4 (examples: 4)"]
    (failed,) = ran.cells("failed")
    assert failed.startswith("2 x EnvironmentHookError: ")
    assert "example 1 is broken" in failed
    assert ran.err.startswith("tito rollout: 2 of 4 rollouts failed; the first: EnvironmentHookError: ")
    assert ran.err.count("\n") == 1


async def test_an_environment_that_cannot_be_torn_down_costs_no_results(
    tito: Tito, qwen3_fake: FakeMaker, fragile: str
) -> None:
    words = ["-n", 1, "-r", 1, "--no-progress", "--env-args", '{"fails": "teardown"}']
    async with qwen3_fake(replies_by_turn(["a", "b"])) as fake:
        ran = await tito("rollout", fragile, *at(fake), *words)
    assert (ran.exit_code, ran.cells("rollouts")) == (0, ["1 (examples: 1)"])
    assert ran.err == "fragile-environment was not torn down: RuntimeError: stays for ever\n"


async def test_what_is_asked_for_reaches_the_server(tito: Tito, qwen3_fake: FakeMaker) -> None:
    words = ["--max-tokens", 7, "--temperature", 0.5, "--sampling-args", '{"top_k": 3}', "-n", 1, "-r", 1]
    async with qwen3_fake(GUESSES) as fake:
        ran = await tito("rollout", "number-guess", *at(fake), *words)
        sent = [request.body for request in turns_of(fake)]
    assert ran.exit_code == 0
    assert {(body["max_completion_tokens"], body["temperature"], body["top_k"]) for body in sent} == {(7, 0.5, 3)}


async def test_the_spellings_of_vf_eval_mean_the_same(
    tito: Tito, qwen3_fake: FakeMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOME_KEY", API_KEY)
    async with qwen3_fake(GUESSES, api_key=API_KEY) as fake:
        ran = await tito(
            *("rollout", "number-guess", "-a", '{"highest": 4}', "-m", "fake", "-b", fake.base_url, "-k", "SOME_KEY"),
            *("-n", 2, "-r", 2, "-c", 1, "-t", 9, "-T", 1.0, "-S", '{"top_p": 0.9}', "-C", "guesses, turn", "-i", "-s"),
            *("--tokenizer", "server"),
        )
    assert ran.exit_code == 0
    (folder,) = new_folders(tmp_path)
    told = json.loads((folder / "metadata.json").read_text())
    assert (told["env_args"], told["model"], told["base_url"]) == ({"highest": 4}, "fake", fake.base_url)
    assert (told["num_examples"], told["rollouts_per_example"], told["scoring"]) == (2, 2, "independent")
    assert told["sampling_args"] == {"max_tokens": 9, "temperature": 1.0, "top_p": 0.9}
    assert told["state_columns"] == ["guesses", "turn"]
    assert API_KEY not in ran.out + ran.err + json.dumps(told)


async def test_a_seed_shuffles_the_dataset_the_same_way_each_time(
    tito: Tito, qwen3_fake: FakeMaker, tmp_path: Path
) -> None:
    async with qwen3_fake(GUESSES) as fake:
        for name in ("one", "two"):
            await tito("rollout", "number-guess", *at(fake), "-n", 3, "-r", 1, "--seed", 5, "--save", name)
    examples = [[key.example_id for key in vf.load_results(tmp_path / name).keys] for name in ("one", "two")]
    assert examples[0] == examples[1] != [0, 1, 2]


async def test_a_folder_is_continued_and_what_failed_is_run_again(
    tito: Tito, qwen3_fake: FakeMaker, fragile: str, tmp_path: Path
) -> None:
    words = ["rollout", fragile, "-r", 1, "-a", '{"broken": [1]}']
    async with qwen3_fake(replies_by_turn(["a", "b"])) as fake:
        first = await tito(*words, *at(fake), "-n", 2, "--save", "run")
        (tmp_path / "mended").touch()
        turns = len(turns_of(fake))
        again = await tito(*words, *at(fake), "-n", 3, "--resume", "run")
        new_turns = len(turns_of(fake)) - turns
    assert (first.exit_code, turns, again.exit_code, new_turns) == (3, 2, 0, 4)
    assert again.cells("rollouts") == ["3 (examples: 3)"]
    assert "1 of 3 rollouts are there already" in again.err
    assert len(vf.load_results(tmp_path / "run")) == 3


async def test_ctrl_c_keeps_what_finished_and_prints_the_command_that_does_the_rest(
    tito: Tito, qwen3_fake: FakeMaker, tmp_path: Path
) -> None:
    started: list[asyncio.subprocess.Process] = []

    def guess(request: FakeRequest) -> Completion:
        if request.number == 20:
            started[0].send_signal(signal.SIGINT)  # before any other turn is answered
        return Completion(text=str(request.turn))

    async with qwen3_fake(guess) as fake:
        words = ["rollout", "number-guess", *at(fake), "-n", "12", "-r", "1", "-c", "2", "--no-progress", "--save"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "verifiers_tito.cli", *words, cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": str(Path(cli.__file__).parents[1])},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        )  # fmt: skip
        started.append(process)
        _, errors = await process.communicate()
        told, command = errors.decode().splitlines()
        (folder,) = new_folders(tmp_path)
        kept = len(vf.load_results(folder))
        resumed = await tito(*shlex.split(command)[1:])
    assert process.returncode == 130
    assert told == f"tito rollout: interrupted; what finished is kept in {folder.relative_to(tmp_path)}; to continue:"
    assert shlex.split(command) == ["tito", *words, "--resume", str(folder.relative_to(tmp_path))]
    assert 0 < kept < 12
    assert (resumed.exit_code, resumed.cells("rollouts")) == (0, ["12 (examples: 12)"])
    assert new_folders(tmp_path) == [folder]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere-environment"], "no environment nowhere-environment: no module nowhere_environment can be imported"),
        (["number_gues"], "no environment number_gues, did you mean number-guess? no module"),
        (["number-guess", "-m", "another"], "does not serve 'another'; it serves fake"),
        (["number-guess", "-n", "0"], "-n takes a number of examples, or -1 for all, got 0"),
        (["number-guess", "-r", "0"], "-r must be at least 1"),
        (["number-guess", "--resume", "nowhere"], "--resume nowhere: there is no such folder"),
        (["number-guess", "-k", "NO_SUCH_KEY"], "--api-key-env names NO_SUCH_KEY, which is not set"),
        (["number-guess", "-a", '{"low": 1}'], "unexpected keyword argument 'low'"),
        (["number-guess", "-a", '{"num_examples": 0}'], "evaluation dataset of number-guess is empty"),
        (["number-guess", "-t", "5", "-S", '{"max_tokens": 6}'], "max_tokens is given twice: 6 in --sampling-args"),
        (["fragile-environment", "-a", '{"fails": "loading"}'], "RuntimeError: no such luck at all (-v shows where)"),
        (["fragile-environment", "-a", '{"fails": "dataset"}'], "cannot be loaded: RuntimeError: no rows"),
    ],
)  # fmt: skip
async def test_what_cannot_be_run_is_one_line_and_exit_code_1(
    words: list[str], told: str, tito: Tito, qwen3_fake: FakeMaker, fragile: str
) -> None:
    async with qwen3_fake(GUESSES) as fake:
        ran = await tito("rollout", *words, *at(fake))
    assert (ran.exit_code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert ran.err.startswith("tito rollout: ")
    assert told in ran.err


async def test_a_refused_key_is_one_line_without_the_key(
    tito: Tito, qwen3_fake: FakeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "wrong-key")
    async with qwen3_fake(GUESSES, api_key=API_KEY) as fake:
        ran = await tito("rollout", "number-guess", *at(fake), "--api-key-env", "SOME_KEY")
    assert (ran.exit_code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "refuses the key (status 401)" in ran.err
    assert "wrong-key" not in ran.err


async def test_a_server_that_is_not_there_is_one_line(tito: Tito) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ran = await tito("rollout", "number-guess", "-b", f"http://127.0.0.1:{port}")
    assert (ran.exit_code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert f"http://127.0.0.1:{port}/v1/models" in ran.err


async def test_of_several_servers_one_that_is_not_there_is_passed_over(tito: Tito, qwen3_fake: FakeMaker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with qwen3_fake(GUESSES) as fake:
        urls = [f"http://127.0.0.1:{port}/v1", fake.root_url]
        ran = await tito("rollout", "number-guess", "-n", 1, "-r", 1, "--tokenizer", "server", "--base-url", *urls)
    assert ran.exit_code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--save", "number-guess"], "'number-guess' was taken for a value of --save; name the environment first: "),
        (["-b", "http://a/v1", "number-guess"], "'number-guess' was taken for a value of --base-url; name the "),
        (["-n", "1"], "tito rollout needs an ENV, such as: tito rollout number-guess"),
    ],
)
async def test_a_name_that_an_option_swallowed_is_told_so(words: list[str], told: str, tito: Tito) -> None:
    ran = await tito("rollout", *words)
    assert (ran.exit_code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert told in ran.err


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_arguments_that_are_no_json_object_are_refused_by_name(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["rollout", "number-guess", "--env-args", text])
    assert raised.value.code == 2
    assert "--env-args" in capsys.readouterr().err
