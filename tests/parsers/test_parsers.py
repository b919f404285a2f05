"""Parsers: answers out of messages, dicts and strings; thinking inside the text or apart from it."""

from __future__ import annotations

from typing import Any

import pytest

import verifiers_tito as vf


def says(content: Any, **fields: Any) -> vf.AssistantMessage:
    return vf.AssistantMessage(content=content, **fields)


def test_the_answer_is_the_last_assistant_message() -> None:
    completion = [says("first"), vf.UserMessage(content="go on"), says("last"), vf.UserMessage(content="bye")]
    parser = vf.Parser()
    assert parser.parse_answer(completion) == "last"
    assert parser.parse_answer([message.model_dump() for message in completion]) == "last"
    assert parser.parse_answer("as it is") == "as it is"
    assert parser.parse_answer([vf.UserMessage(content="nobody answered")]) is None


def test_extract_fn_has_the_last_word() -> None:
    assert vf.Parser(extract_fn=str.upper).parse_answer([says("a")]) == "A"
    assert vf.ThinkParser(extract_fn=vf.extract_boxed_answer).parse("<think>\\boxed{1}</think> \\boxed{2}") == "2"


def test_contents_may_be_parts_or_missing() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    assert vf.Parser().parse_answer([{"role": "assistant", "content": parts}]) == "a"
    assert vf.Parser().parse_answer([says(None)]) == ""


def test_messages_are_chosen_by_role() -> None:
    conversation = [
        vf.SystemMessage(content="s"),
        {"role": "user", "content": "u"},
        says("a"),
        vf.ToolMessage(tool_call_id="1", content="t"),
    ]
    parser = vf.Parser()
    assert parser.get_system_messages(conversation) == [conversation[0]]
    assert parser.get_user_messages(conversation) == [conversation[1]]
    assert parser.get_assistant_messages(conversation) == [conversation[2]]
    assert parser.get_tool_messages(conversation) == [conversation[3]]


@pytest.mark.parametrize(
    "message",
    [
        says("<think>hm</think> 4 "),
        says("hm</think>\n4"),  # the template wrote the first tag
        says("4", reasoning_content="hm"),
        {"role": "assistant", "content": "\n4", "reasoning_content": "hm"},
        {"role": "assistant", "content": "4", "reasoning": "hm"},  # as vLLM names it
    ],
)
def test_think_parser_finds_the_answer_wherever_the_thinking_is(message: Any) -> None:
    assert vf.ThinkParser().parse_answer([message]) == "4"
    assert vf.MaybeThinkParser().parse_answer([message]) == "4"
    assert vf.ThinkParser().get_format_reward_func()(completion=[message]) == 1.0


@pytest.mark.parametrize(
    "message",
    [
        says("4"),
        says("<think>hm"),
        says("<think>hm</think>"),
        says("<think>a</think><think>b</think>4"),
        says("4</think>", reasoning_content="hm"),
        says("", reasoning_content="hm"),
        says("first <think>hm</think> 4"),
    ],
)
def test_think_parser_s_format_is_thinking_once_and_then_an_answer(message: Any) -> None:
    assert vf.ThinkParser().get_format_reward_func()([message]) == 0.0


def test_a_tool_call_after_thinking_is_in_format() -> None:
    call = vf.ToolCall(id="1", name="look", arguments="{}")
    assert vf.ThinkParser().get_format_reward_func()([says("<think>hm</think>", tool_calls=[call])]) == 1.0


def test_without_thinking_think_parser_finds_nothing_and_maybe_think_parser_everything() -> None:
    assert vf.ThinkParser().parse_answer([says("4")]) == ""
    assert vf.MaybeThinkParser().parse_answer([says(" 4")]) == "4"


def test_thinking_that_was_cut_off_is_no_answer() -> None:
    cut = [says("<think>perhaps \\boxed{5}")]
    assert vf.MaybeThinkParser(extract_fn=vf.extract_boxed_answer).parse_answer(cut) == ""
    assert vf.ThinkParser(extract_fn=vf.extract_boxed_answer).parse_answer(cut) == ""


def test_format_is_the_mean_over_the_assistant_s_messages() -> None:
    score = vf.ThinkParser().get_format_reward_func()
    assert score([says("<think>a</think>b"), vf.UserMessage(content="u"), says("b")]) == 0.5
    assert score([]) == 0.0
    assert score("<think>a</think>b") == 1.0
    assert vf.Parser().get_format_reward_func()([says("any")]) == 1.0


async def test_a_format_reward_is_a_reward_function() -> None:
    parser = vf.ThinkParser()
    state = vf.State(input={"prompt": []}, trajectory=[], completion=[says("<think>a</think>b")], error=None)
    await vf.Rubric(parser.get_format_reward_func(), parser=parser).score_rollout(state)
    assert state["metrics"] == {"format_reward_func": 1.0}
