from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import verifiers_tito as vf
from tests.results.rollouts import finished, planned, step_of
from verifiers_tito.results import JsonValues
from verifiers_tito.results.journal import encode_line
from verifiers_tito.results.steps import decode_steps, encode_steps


def there_and_back(trajectory: list[Any]) -> tuple[list[Any], bytes]:
    encoded = encode_line({"steps": encode_steps(trajectory, JsonValues())})
    return decode_steps(msgspec.json.decode(encoded)["steps"], trajectory_id=trajectory[0]["trajectory_id"]), encoded


def test_a_trajectory_comes_back_as_it_was() -> None:
    trajectory = finished(planned(), turns=4)["trajectory"]
    trajectory[1]["extras"] = {"hint": 1}
    trajectory[2]["advantage"] = 0.25
    read, _ = there_and_back(trajectory)
    assert read == trajectory
    assert [step["response"].served for step in read] == [step["response"].served for step in trajectory]
    assert [step["response"].message.tokens for step in read] == [s["response"].message.tokens for s in trajectory]


def test_it_gives_the_same_datums() -> None:
    trajectory = finished(planned(), turns=4)["trajectory"]
    read, _ = there_and_back(trajectory)
    assert vf.build_datums(read, advantage=0.5).datums == vf.build_datums(trajectory, advantage=0.5).datums


def test_it_grows_with_the_conversation_and_not_with_its_square() -> None:
    sizes = [len(there_and_back(finished(planned(), turns=turns)["trajectory"])[1]) for turns in (10, 110, 210)]
    assert sizes[2] - sizes[1] < 1.1 * (sizes[1] - sizes[0])


def test_messages_beyond_plain_text_come_back() -> None:
    call = vf.ToolCall(id="c1", name="add", arguments='{"a":  1}')
    prompt: vf.Messages = [
        vf.SystemMessage(content="s"),
        vf.AssistantMessage(content=None, reasoning_content="hm", tool_calls=[call]),
        vf.ToolMessage(tool_call_id="c1", content=[{"type": "text", "text": "2"}]),
    ]
    (step,), _ = there_and_back([step_of(prompt, [1], 0, "t")])
    assert step["prompt"] == prompt
    assert [type(message) for message in step["prompt"]] == [type(message) for message in prompt]


def test_a_completion_of_an_environment_s_own_making_is_kept() -> None:
    step = step_of([vf.UserMessage(content="q")], [1], 0, "t")
    step["completion"] = [vf.AssistantMessage(content="edited"), vf.UserMessage(content="and more")]
    (read,), _ = there_and_back([step])
    assert read["completion"] == step["completion"]
    assert read["response"].message.content == "answer 0"


def test_masks_of_an_environment_s_own_making_and_routed_experts_are_kept() -> None:
    step = step_of([vf.UserMessage(content="q")], [1, 2], 0, "t")
    step["tokens"]["completion_mask"] = [0, 1]
    step["tokens"]["routed_experts"] = [[[3]], [[4]]]
    (read,), _ = there_and_back([step])
    assert read["tokens"] == step["tokens"]


def test_ids_that_an_environment_made_arrays_are_ids_again() -> None:
    step = step_of([vf.UserMessage(content="q")], [1, 2], 0, "t")
    step["tokens"]["prompt_ids"] = np.array([1, 2])
    step["tokens"]["completion_logprobs"] = np.array([-0.5, -0.25])
    (read,), _ = there_and_back([step])
    assert (read["tokens"]["prompt_ids"], read["tokens"]["completion_logprobs"]) == ([1, 2], [-0.5, -0.25])


def test_steps_without_ids_or_response_are_steps() -> None:
    step = step_of([vf.UserMessage(content="q")], [1], 0, "t")
    bare = {**step, "tokens": None, "response": None}
    read, _ = there_and_back([bare, step])
    assert (read[0]["tokens"], read[0]["response"], read[0]["completion"]) == (None, None, step["completion"])
    assert read[1] == step


TURN = st.tuples(st.lists(st.integers(0, 9), max_size=6), st.lists(st.integers(0, 9), min_size=1, max_size=4))


@settings(deadline=None)
@given(st.lists(TURN, min_size=1, max_size=6))
def test_any_ids_come_back_whether_or_not_they_extend_those_before(turns: list[tuple[list[int], list[int]]]) -> None:
    steps = []
    for number, (prompt_ids, completion_ids) in enumerate(turns):
        step = step_of([vf.UserMessage(content=str(number % 2))], prompt_ids, number, "t")
        logprobs = [-0.1 * token for token in completion_ids]
        step["tokens"].update(
            completion_ids=completion_ids, completion_logprobs=logprobs, completion_mask=[1] * len(completion_ids)
        )
        steps.append(step)
    read, _ = there_and_back(steps)
    assert [step["tokens"] for step in read] == [step["tokens"] for step in steps]
    assert [step["prompt"] for step in read] == [step["prompt"] for step in steps]


@pytest.mark.parametrize("cached", [None, 0, 5])
def test_nothing_and_zero_are_two_things(cached: int | None) -> None:
    step = step_of([vf.UserMessage(content="q")], [1], 0, "t")
    step["response"].served = vf.Served(route=vf.Route.CHAT_KV, cached_ids=cached)
    (read,), _ = there_and_back([step])
    assert read["response"].served == vf.Served(route=vf.Route.CHAT_KV, cached_ids=cached)
