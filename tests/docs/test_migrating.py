"""The migration guide: its code runs as it is printed, and what it says is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import verifiers_tito as vf
from tests.conftest import FAKE_MODEL, FakeMaker, locally
from verifiers_tito.testing import replies_by_turn

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "migrating.md").read_text()


def test_the_guide_s_table_names_what_is_there_and_what_is_not() -> None:
    same = [row for row in GUIDE.splitlines() if row.startswith("| `vf.") and row.rstrip(" |").count("| the same")]
    names = {name for row in same for name in re.findall(r"[`.]([a-zA-Z_]+)`", row.split("|")[1])}
    assert {"SingleTurnEnv", "JudgeRubric", "XMLParser", "teardown", "quiet_verifiers"} <= names <= set(vf.__all__)
    for absent in ("PythonEnv", "SandboxEnv", "CliAgentEnv", "MCPEnv", "Taskset", "Harness"):
        assert absent in GUIDE
        assert not hasattr(vf, absent)


async def test_the_guide_s_environment_runs_as_it_is_printed(qwen3_fake: FakeMaker) -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    assert len(blocks) == 2
    program: dict[str, Any] = {}
    exec("\n".join(blocks), program)
    async with qwen3_fake(replies_by_turn(["<answer>Bergen</answer>", "<answer>Oslo</answer>"])) as fake:
        state = await program["run"](vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake)), FAKE_MODEL)
    assert state["error"] is None
    assert (state["stop_condition"], state["tries"]) == ("has_final_env_response", 2)
    assert state["reward"] == pytest.approx(1.2)
    assert [m["content"] for m in state["completion"]][1::2] == ["No. Try again.", "Right."]


def test_completions_without_messages_are_refused() -> None:
    with pytest.raises(vf.ConfigError, match="message_type"):
        vf.SingleTurnEnv(dataset=[{"question": "?"}], message_type="completion")


def test_datasets_are_lists_and_an_environment_for_evaluation_has_no_other() -> None:
    env = vf.SingleTurnEnv(eval_dataset=[{"question": "?"}])
    assert isinstance(env.get_eval_dataset(), list)
    with pytest.raises(vf.ConfigError, match="has no dataset"):
        env.get_dataset()
