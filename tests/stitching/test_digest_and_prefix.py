"""Which earlier turn a prompt continues (failure 22: rewritten histories and sub-agents)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import verifiers_tito as vf
from verifiers_tito.stitching import Context, Junction, Past, PrefixIndex, PrefixMatch, PrefixMiss, message_digest
from verifiers_tito.types import Response, ResponseMessage


def user(text: str) -> vf.Message:
    return vf.UserMessage(content=text)


def assistant(text: str) -> vf.Message:
    return vf.AssistantMessage(content=text)


def step(prompt: list[vf.Message], completion: vf.Message, *, ids: bool = True) -> dict[str, Any]:
    return {"prompt": prompt, "completion": [completion], "tokens": {"prompt_ids": [1]} if ids else None}


def matched(index: PrefixIndex, prompt: list[Any]) -> PrefixMatch:
    match = index.match(prompt)
    assert isinstance(match, PrefixMatch), match
    return match


def index_of(*steps: Any) -> PrefixIndex:
    index = PrefixIndex()
    index.sync(steps)
    return index


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
        (call('"a\\" b"'), call('"a\\"b"')),
        ({"role": "tool", "tool_call_id": "1", "content": "x"}, {"role": "tool", "tool_call_id": "2", "content": "x"}),
        ({"role": "assistant", "content": "x"}, {"role": "assistant", "content": "x", "reasoning": "r"}),
        ({"role": "user", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "x"}]}),
    ],
)
def test_messages_that_say_something_else_are_not_equal(one: Any, other: Any) -> None:
    assert message_digest(one) != message_digest(other)


def test_the_longest_prefix_wins_and_of_equals_the_latest() -> None:
    short = step([user("a")], assistant("b"))
    long = step([user("a"), assistant("b"), user("c")], assistant("d"))
    again = step([user("a"), assistant("b"), user("c")], assistant("d"))
    index = index_of(short, long, again)
    match = matched(index, [*again["prompt"], *again["completion"], user("e")])
    assert match.step is again
    assert match.message_count == 4
    assert matched(index, [user("a"), assistant("b"), user("other")]).step is short


def test_interleaved_agents_each_continue_their_own_turn() -> None:
    steps = [step([user(f"agent {name}")], assistant("same words")) for name in "ab"]
    index = index_of(*steps)
    for own in steps:
        assert matched(index, [*own["prompt"], *own["completion"], user("next")]).step is own


def test_a_rewritten_history_matches_nothing() -> None:
    index = index_of(step([user("a")], assistant("b")))
    assert index.match([user("a"), assistant("b, rewritten"), user("c")]) == PrefixMiss()
    assert index.match([user("a, rewritten"), assistant("b"), user("c")]) == PrefixMiss()
    assert index.match([user("a")]) == PrefixMiss()
    assert index.match([]) == PrefixMiss()


def test_a_history_that_is_rewritten_in_place_matches_nothing_any_more() -> None:
    question = user("a")
    index = index_of(step([question], assistant("b")))
    matched(index, [question, assistant("b"), user("c")])
    question.content = "a, rewritten"
    assert index.match([question, assistant("b"), user("c")]) == PrefixMiss()


def test_a_message_that_an_environment_edited_no_longer_stands_for_the_sampled_ids() -> None:
    answered = step([user("a")], assistant("edited since"))
    message = ResponseMessage(content="as sampled")
    answered["response"] = Response(id="r", created=0, model="m", message=message)
    index = index_of(answered)
    assert index.match([user("a"), assistant("edited since"), user("c")]) == PrefixMiss()
    assert matched(index, [user("a"), assistant("as sampled"), user("c")]).step is answered


def test_a_step_without_ids_cannot_be_continued() -> None:
    index = index_of(step([user("a")], assistant("b"), ids=False))
    assert index.match([user("a"), assistant("b"), user("c")]) == PrefixMiss()


def test_a_trajectory_that_was_cut_is_indexed_anew() -> None:
    first, second = step([user("a")], assistant("b")), step([user("a"), assistant("b"), user("c")], assistant("d"))
    index = index_of(first, second)
    index.sync([first])
    assert matched(index, [*second["prompt"], *second["completion"], user("e")]).step is first


def test_a_trajectory_whose_steps_were_replaced_is_indexed_anew() -> None:
    old, new = step([user("a")], assistant("b")), step([user("c")], assistant("d"))
    index = index_of(old)
    index.sync([new])
    assert index.match([user("a"), assistant("b"), user("e")]) == PrefixMiss()
    assert matched(index, [user("c"), assistant("d"), user("e")]).step is new


@pytest.mark.parametrize("place", ["step", "prompt", "step without ids"])
def test_pictures_anywhere_make_a_miss_that_says_so(place: str) -> None:
    picture = vf.UserMessage(content=[{"type": "image_url", "image_url": {"url": "data:,"}}])
    first = user("a") if place == "prompt" else picture
    answered = step([first], assistant("b"), ids=place != "step without ids")
    tail = picture if place == "prompt" else user("c")
    assert index_of(answered).match([first, assistant("b"), tail]) == PrefixMiss(has_media=True)


def test_pictures_of_another_agent_make_a_miss_too() -> None:
    picture = vf.UserMessage(content=[{"type": "image_url", "image_url": {"url": "data:,"}}])
    index = index_of(step([picture], assistant("b")), step([user("a")], assistant("b")))
    assert index.match([user("a"), assistant("b"), user("c")]) == PrefixMiss(has_media=True)


def test_pictures_are_forgotten_with_the_trajectory_that_held_them() -> None:
    picture = vf.UserMessage(content=[{"type": "image_url", "image_url": {"url": "data:,"}}])
    plain = step([user("a")], assistant("b"))
    index = index_of(step([picture], assistant("b")))
    index.sync([plain])
    assert matched(index, [user("a"), assistant("b"), user("c")]).step is plain


@pytest.mark.parametrize(
    ("history", "context"),
    [
        ([user("a")], Context()),
        ([vf.SystemMessage(content="s"), user("a")], Context(system=True)),
        ([{"role": "developer", "content": "s"}, user("a")], Context(system=True)),
        ([user("a"), vf.SystemMessage(content="s")], Context(later_system=True)),
        ([vf.SystemMessage(content="s"), user("a"), vf.SystemMessage(content="t")], Context(True, True)),
        ([user("a"), vf.ToolMessage(content="1", tool_call_id="1"), user("b")], Context(tools=True)),
    ],
)
def test_the_context_is_what_the_history_before_the_turn_holds(history: list[Any], context: Context) -> None:
    match = matched(index_of(step(history, assistant("b"))), [*history, assistant("b"), user("c")])
    assert match.past.context == context


def test_what_follows_the_turn_is_no_part_of_its_context() -> None:
    index = index_of(step([user("a")], assistant("b")))
    match = matched(index, [user("a"), assistant("b"), vf.ToolMessage(content="1", tool_call_id="1")])
    assert match.past == Past.of([user("a")])


def test_reasoning_in_any_matched_turn_is_told() -> None:
    thinking = vf.AssistantMessage(content="b", reasoning_content="hm")
    first, second = step([user("a")], thinking), step([user("a"), thinking, user("c")], assistant("d"))
    index = index_of(first, second)
    assert matched(index, [user("a"), thinking, user("other")]).has_reasoning
    assert matched(index, [user("a"), thinking, user("c"), assistant("d"), user("e")]).has_reasoning
    plain = index_of(step([user("a")], assistant("b")))
    assert not matched(plain, [user("a"), assistant("b"), thinking]).has_reasoning


roles = st.sampled_from(["system", "user", "tool", "assistant"])
histories = st.lists(st.tuples(roles, st.text(alphabet="ab", max_size=2)), min_size=1, max_size=7)


def native(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text, **({"tool_call_id": "1"} if role == "tool" else {})}


@settings(max_examples=100, deadline=None)
@given(histories, st.data())
def test_a_match_is_a_true_prefix_with_the_context_of_its_history(
    history: list[tuple[str, str]], data: st.DataObject
) -> None:
    messages = [native(*message) for message in history]
    cut = data.draw(st.integers(0, len(messages)))
    answered = step(messages[:cut], assistant("answer"))
    prompt = [*messages[:cut], assistant("answer"), user("next")]
    match = matched(index_of(answered), prompt)
    junction = Junction.between(messages[:cut], native("assistant", "answer"), [])
    assert match.message_count == cut + 1
    assert match.past == junction.past


@settings(max_examples=100, deadline=None)
@given(histories, st.data())
def test_one_changed_message_before_the_turn_is_a_miss(history: list[tuple[str, str]], data: st.DataObject) -> None:
    messages = [native(*message) for message in history]
    place = data.draw(st.integers(0, len(messages) - 1))
    changed = [*messages[:place], {**messages[place], "content": "changed"}, *messages[place + 1 :]]
    index = index_of(step(messages, assistant("answer")))
    assert index.match([*changed, assistant("answer"), user("next")]) == PrefixMiss()


def test_arguments_that_were_cut_short_cost_no_more_than_others() -> None:
    """A model's code in a string without an end: looked at once from each quote, it took minutes."""
    code = 'print(\\"x\\")\\n' * 40_000
    cut, whole = call('{"code": "' + code), call('{ "code":"' + code)
    assert message_digest(cut) == message_digest(whole)
    assert message_digest(cut) != message_digest(call('{"code": "' + code + " "))
