from __future__ import annotations

import pytest

import verifiers_tito as vf
from verifiers_tito.types import to_messages


def test_messages_read_as_attributes_and_as_dicts() -> None:
    message = vf.AssistantMessage(content="hi")
    assert message.content == message["content"] == message.get("content") == "hi"
    assert message.get("no such field", 1) == 1
    assert "content" in message
    assert "no such field" not in message
    assert dict(message)["role"] == "assistant"
    with pytest.raises(KeyError):
        message["no such field"]
    with pytest.raises(KeyError):
        message["items"]  # a method is no field
    assert message.get("copy", "none") == "none"


def test_a_message_equals_the_dict_with_the_same_fields() -> None:
    assert vf.UserMessage(content="a") == {"role": "user", "content": "a"}
    assert vf.UserMessage(content="a") != {"role": "user", "content": "b"}


def test_unknown_fields_are_kept() -> None:
    message = to_messages([{"role": "user", "content": "a", "name": "ann"}])[0]
    assert message["name"] == "ann"
    assert "name" in message


def test_openai_tool_calls_and_vllm_reasoning_get_one_spelling() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":  1}'}}
    message = to_messages([{"role": "assistant", "content": None, "reasoning": "hm", "tool_calls": [call]}])[0]
    assert message.reasoning_content == "hm"
    assert message.tool_calls == [vf.ToolCall(id="c1", name="add", arguments='{"a":  1}')]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("hello", [{"role": "user", "content": "hello"}]),
        (
            {"role": "tool", "tool_call_id": "1", "content": "x"},
            [{"role": "tool", "tool_call_id": "1", "content": "x"}],
        ),
        (None, []),
        ([], []),
    ],
)
def test_whatever_an_environment_returns_becomes_messages(value: object, expected: list[dict[str, str]]) -> None:
    assert to_messages(value) == expected


def test_message_objects_are_passed_on_without_copying() -> None:
    message = vf.UserMessage(content="a")
    assert to_messages([message])[0] is message


def test_an_unknown_role_is_named() -> None:
    with pytest.raises(ValueError, match="unknown message role 'robot'; known roles: system"):
        to_messages([{"role": "robot", "content": "x"}])


def test_content_to_text_joins_the_text_parts() -> None:
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "b"},
    ]
    assert vf.content_to_text(vf.UserMessage(content=parts).content) == "ab"
    assert vf.content_to_text(None) == ""
