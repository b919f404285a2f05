"""`tito show`: which rollouts it shows, what it says of them, and that nothing in them is obeyed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

import verifiers_tito as vf
from tests.commands.conftest import Ran, Tito
from tests.conftest import FakeMaker
from tests.envs.tool_calls import sampled
from verifiers_tito.testing import Completion, FakeRequest

HOSTILE = """
import verifiers_tito as vf

def say(text: str) -> str:
    "Says it back."
    return f"[red]{text}[/red] \\x1b[2J"

class HostileEnv(vf.ToolEnv):
    async def setup_state(self, state):
        if state["example_id"] == 2:
            raise RuntimeError("broken \\x1b[31m")
        return await super().setup_state(state)

def later_is_better(state):
    return float(state["example_id"])

def load_environment():
    rows = [{"question": f"q{number}", "answer": "a"} for number in range(3)]
    rubric = vf.Rubric(later_is_better)
    return HostileEnv(tools=[say], dataset=rows, rubric=rubric, system_prompt="Be [bold]kind[/bold].")
"""

Show = Callable[..., Awaitable[Ran]]


@pytest.fixture
def _hostile_environment(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "hostile_environment.py").write_text(HOSTILE)
    yield
    sys.modules.pop("hostile_environment", None)


def script(request: FakeRequest) -> Completion:
    """Reasons, calls the tool, then answers."""
    texts = [
        f"<think>\nhm\n</think>\n\n{sampled(('say', {'text': 'hello'}))}",
        "<think>\n</think>\n\nDone \x1b]0;title\x07.",
    ]
    return Completion(text=texts[request.turn])


@pytest.fixture
async def show(tito: Tito, qwen3_fake: FakeMaker, _hostile_environment: None) -> Show:
    """`await show("--best")` on a run with two rollouts each of three examples, the last of which fails."""
    async with qwen3_fake(script, tool_call_parser="hermes", reasoning_parser="qwen3") as fake:
        words = ["--tokenizer", "server", "-b", fake.base_url, "-n", 3, "-r", 2, "--save", "saved"]
        assert (await tito("rollout", "hostile-environment", *words)).exit_code == 3
    return lambda *words: tito("show", "saved", *words)


async def test_there_is_a_headline_and_a_line_for_each_rollout(show: Show) -> None:
    ran = await show()
    assert (ran.exit_code, ran.err) == (0, "")
    headline, *lines = ran.out.splitlines()
    assert headline.startswith("hostile-environment on fake, ")
    assert headline.endswith(": 6 rollouts, 2 failed")
    assert [line.split()[0] for line in lines] == ["0:0", "0:1", "1:0", "1:1", "2:0", "2:1"]
    assert lines[2].split()[1:5] == ["reward", "1", "2", "turns"]
    assert lines[2].endswith("1 x chat (first turn), 1 x chat/tokens")
    assert "EnvironmentHookError" in lines[4]
    assert "broken ␛[31m" in lines[4]


async def test_a_conversation_is_shown_with_where_the_ids_of_each_turn_came_from(show: Show, tmp_path: Path) -> None:
    ran = await show("--rollout", "1:1")
    lines = ran.out.splitlines()
    assert lines[2] == "1:1  reward 1"
    for expected in (
        "system",
        "  Be [bold]kind[/bold].",
        "  q1",
        "  (thinks) hm",
        "  [red]hello[/red] ␛[2J",
        "  Done ␛]0;title␇.",
        "  advantage 0",
        "  answer    a",
    ):
        assert expected in lines
    assert any(line.startswith('  calls say {"text": "hello"}') for line in lines)
    state = next(state for state in vf.load_results(tmp_path / "saved").states() if state["reward"] == 1.0)
    first, second = (step["response"].served for step in state["trajectory"])
    new = len(state["trajectory"][0]["tokens"]["prompt_ids"])
    turns = [line for line in lines if line.startswith("turn ")]
    assert turns[0].startswith(f"turn 1  {first.label}: {new} ids, all new; ")
    assert turns[1].startswith(
        f"turn 2  chat/tokens: {second.reused_ids} ids reused, {second.bridged_ids} bridged (server tokenizer); "
    )
    assert ", tool_calls; " in turns[0]
    assert ", stop; " in turns[1]


async def test_nothing_that_a_terminal_would_obey_comes_out(show: Show) -> None:
    ran = await show("--tokens")
    assert ran.out.replace("\n", "").isprintable()
    assert ran.out.count("␛[2J") == 4


async def test_an_example_is_all_of_its_rollouts_and_ids_are_shown_once(show: Show, tmp_path: Path) -> None:
    ran = await show("--rollout", "0", "--tokens")
    assert [line for line in ran.out.splitlines() if "  reward" in line] == ["0:0  reward 0", "0:1  reward 0"]
    state = next(iter(vf.load_results(tmp_path / "saved").states()))
    one, two = (step["tokens"] for step in state["trajectory"])
    before = one["prompt_ids"] + one["completion_ids"]
    assert f"  prompt ids 0 to {len(one['prompt_ids'])}: {' '.join(map(str, one['prompt_ids']))}\n" in ran.out
    assert f"  sampled ids: {' '.join(map(str, one['completion_ids']))}\n" in ran.out
    new = " ".join(map(str, two["prompt_ids"][len(before) :]))
    assert f"  prompt ids {len(before)} to {len(two['prompt_ids'])}: {new}\n" in ran.out


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--best"], ["1:0"]),
        (["--worst"], ["0:0"]),
        (["--best", "-n", "3"], ["1:0", "1:1", "0:0"]),
        (["--errors"], ["2:0", "2:1"]),
        (["--errors", "--tokens", "-n", "1"], ["2:0"]),
        (["-n", "2"], ["0:0", "0:1"]),
        (["--rollout", "1:0", "--rollout", "0:1"], ["0:1", "1:0"]),
    ],
)
async def test_rollouts_are_chosen(show: Show, words: list[str], shown: list[str]) -> None:
    ran = await show(*words)
    assert [line.split()[0] for line in ran.out.splitlines() if "  reward " in line] == shown


async def test_what_cannot_be_shown_is_one_line(show: Show, tito: Tito) -> None:
    for words, told in ((["--rollout", "9"], "no rollout 9; it has 6: 0:0, 0:1"), (["-n", "0"], "at least 1, got 0")):
        ran = await show(*words)
        assert (ran.exit_code, ran.out, ran.err.count("\n")) == (1, "", 1)
        assert told in ran.err
    assert "holds no results" in (await tito("show", "nowhere")).err


@pytest.mark.usefixtures("show")
async def test_a_reader_that_leaves_is_no_traceback(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "verifiers_tito.cli", "show", str(tmp_path / "saved"), "--tokens"]
    root = str(Path(vf.__file__).parents[1])
    ran = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=root, text=True, check=False)  # noqa: ASYNC221
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (141, "")
