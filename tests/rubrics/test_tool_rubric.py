from __future__ import annotations

import pytest

import verifiers_tito as vf


def add(a: int, b: int) -> int:
    return a + b


def called(*names: str) -> vf.State:
    calls = [vf.ToolCall(id="c", name=name, arguments="{}") for name in names]
    completion = [
        vf.AssistantMessage(tool_calls=calls),
        vf.ToolMessage(tool_call_id="c", content="3"),
        {"role": "assistant", "tool_calls": [{"name": "add"}]},
        vf.AssistantMessage(content="done"),
    ]
    return vf.State(input={}, trajectory=[], completion=completion, error=None)


@pytest.mark.parametrize("options", [{"tools": [add, "find"]}, {"tool_names": ["add", "find"]}])
async def test_calls_are_counted_in_all_and_by_tool(options: dict[str, list[object]]) -> None:
    state = called("add", "other")
    await vf.ToolRubric(**options).score_rollout(state)
    assert state["metrics"] == {"total_tool_calls": 3.0, "add_calls": 2.0, "find_calls": 0.0}
    assert state["reward"] == 0.0


def test_metrics_come_and_go() -> None:
    rubric = vf.ToolRubric([add])
    rubric.add_tool_metric("find")
    rubric.add_tool_metric("find")
    rubric.remove_tool_metric(add)
    assert [function.__name__ for function in rubric.funcs] == ["total_tool_calls", "find_calls"]


def test_an_environment_does_not_count_twice_what_its_rubric_counts() -> None:
    rubric = vf.ToolRubric([add])
    vf.ToolEnv(tools=[add], rubric=rubric, dataset=[])
    vf.ToolEnv(tools=[add], rubric=rubric, dataset=[])
    assert [function.__name__ for function in rubric.funcs] == ["total_tool_calls", "add_calls"]
