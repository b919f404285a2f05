"""Which earlier turn a prompt continues (failure 22: rewritten histories and sub-agents)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import verifiers_tito as vf
from verifiers_tito.stitching import PrefixIndex, message_digest
from verifiers_tito.types import Response, ResponseMessage


def user(text: str) -> vf.Message:
    return vf.UserMessage(content=text)


def assistant(text: str) -> vf.Message:
    return vf.AssistantMessage(content=text)


def step(prompt: list[vf.Message], completion: vf.Message, *, ids: bool = True) -> dict[str, Any]:
    return {"prompt": prompt, "completion": [completion], "tokens": {"prompt_ids": [1]} if ids else None}


def call(arguments: str) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": [{"id": "1", "name": "f", "arguments": arguments}]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"role": "assistant", "content": None, "reasoning": "r"},
            {"role": "assistant", "content": "", "reasoning": "r"},
        ),
        ({"role": "assistant", "reasoning": "r"}, {"role": "assistant", "reasoning_content": "r"}),
        (call('{"a": 1, "b": [true]}'), call('{"a":1,"b":[ true ]}')),
        ({"role": "user", "content": "x"}, vf.UserMessage(content="x")),
    ],
    ids=["empty-or-none", "reasoning", "json-white-space", "dict-or-model"],
)
def test_messages_that_differ_only_in_spelling_are_equal(one: Any, other: Any) -> None:
    assert message_digest(one) == message_digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"role": "user", "content": "x"}, {"role": "user", "content": "x "}),
        ({"role": "user", "content": "x"}, {"role": "system", "content": "x"}),
        ({"role": "user", "content": "x"}, {"role": "user", "content": "x", "name": "ann"}),
        (call('{"a": 1, "b": 2}'), call('{"b": 2, "a": 1}')),
        (call('{"a": 1}'), call('{"a": 1.0}')),
        (call('{"a": "x y"}'), call('{"a": "xy"}')),
        (call('{"a": 1}'), call('{"a": "1"}')),
        (call('{"a": 1}'), call('["object", ["a", 1]]')),
        (call('"\\u0041"'), call('"A"')),
        (call("1 2"), call("12")),
        (call("[" * 5000), call("[" * 4999)),
        (call("[]"), call('["object"]')),
    ],
)
def test_messages_that_say_something_else_are_not_equal(one: Any, other: Any) -> None:
    assert message_digest(one) != message_digest(other)


def test_the_longest_prefix_wins_and_of_equals_the_latest() -> None:
    short = step([user("a")], assistant("b"))
    long = step([user("a"), assistant("b"), user("c")], assistant("d"))
    again = step([user("a"), assistant("b"), user("c")], assistant("d"))
    index = PrefixIndex()
    index.sync([long, short, again])
    match = index.match([*again["prompt"], *again["completion"], user("e")])
    assert match is not None
    assert match.step is again
    assert match.message_count == 4
    assert index.match([user("a"), assistant("b"), user("other")]).step is short


def test_interleaved_agents_each_continue_their_own_turn() -> None:
    steps = [step([user(f"agent {name}")], assistant("same words")) for name in "ab"]
    index = PrefixIndex()
    index.sync(steps)
    for own in steps:
        assert index.match([*own["prompt"], *own["completion"], user("next")]).step is own


def test_a_rewritten_history_matches_nothing() -> None:
    index = PrefixIndex()
    index.sync([step([user("a")], assistant("b"))])
    assert index.match([user("a"), assistant("b, rewritten"), user("c")]) is None


def test_a_message_that_an_environment_edited_no_longer_stands_for_the_sampled_ids() -> None:
    answered = step([user("a")], assistant("edited since"))
    message = ResponseMessage(content="as sampled")
    answered["response"] = Response(id="r", created=0, model="m", message=message)
    index = PrefixIndex()
    index.sync([answered])
    assert index.match([user("a"), assistant("edited since"), user("c")]) is None
    assert index.match([user("a"), assistant("as sampled"), user("c")]) is not None


def test_a_step_without_ids_cannot_be_continued() -> None:
    index = PrefixIndex()
    index.sync([step([user("a")], assistant("b"), ids=False)])
    assert index.match([user("a"), assistant("b"), user("c")]) is None


def test_a_trajectory_that_was_cut_is_indexed_anew() -> None:
    first, second = step([user("a")], assistant("b")), step([user("a"), assistant("b"), user("c")], assistant("d"))
    index = PrefixIndex()
    index.sync([first, second])
    index.sync([first])
    match = index.match([*second["prompt"], *second["completion"], user("e")])
    assert match.step is first


@given(st.lists(st.text(), min_size=1, max_size=6), st.data())
def test_a_match_is_always_a_true_prefix(texts: list[str], data: st.DataObject) -> None:
    messages = [user(text) if i % 2 == 0 else assistant(text) for i, text in enumerate(texts)]
    cut = data.draw(st.integers(1, len(messages)))
    other = step(messages[: cut - 1], messages[cut - 1])
    index = PrefixIndex()
    index.sync([other])
    match = index.match(messages)
    assert match is not None
    assert match.message_count == cut
