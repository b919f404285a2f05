"""The digests of a growing conversation: only what is new is hashed, and what was edited is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import verifiers_tito as vf
from verifiers_tito.stitching.message_chain import MessageChains
from verifiers_tito.types import TextContentPart


class CountedMessage(vf.UserMessage):
    """A message that knows how often messages of its kind were hashed: a digest asks for all of a message's items."""

    hashed: ClassVar[int] = 0

    def items(self) -> Iterator[tuple[str, Any]]:
        type(self).hashed += 1
        return super().items()


@pytest.fixture(autouse=True)
def _count_anew() -> None:
    CountedMessage.hashed = 0


def counted(*texts: str) -> list[CountedMessage]:
    return [CountedMessage(content=text) for text in texts]


def digests(chains: MessageChains, messages: list[Any]) -> list[bytes]:
    return [link.digest for link in chains.chain(messages)]


def fresh(messages: list[Any]) -> list[bytes]:
    return digests(MessageChains(), messages)


def calling(**changes: Any) -> vf.AssistantMessage:
    call = {"id": "1", "name": "f", "arguments": '{"a": 1}', **changes}
    return vf.AssistantMessage(content=None, reasoning_content="hm", tool_calls=[call])


def test_only_new_messages_are_hashed() -> None:
    chains, messages = MessageChains(), counted("a", "b", "c")
    chains.chain(messages)
    assert CountedMessage.hashed == 3
    for turn in range(1, 20):
        messages += counted(f"question {turn}", f"answer {turn}")
        chains.chain(messages)
        chains.chain(messages)
        assert CountedMessage.hashed == 3 + 2 * turn


def test_a_beginning_of_a_known_conversation_is_not_hashed_again() -> None:
    chains, messages = MessageChains(), counted("a", "b", "c")
    whole = digests(chains, messages)
    assert digests(chains, messages[:2]) == whole[:2]
    assert CountedMessage.hashed == 3


def test_agents_that_take_turns_are_each_remembered() -> None:
    chains = MessageChains()
    agents = [counted(f"agent {name}") for name in "abcd"]
    for turn in range(5):
        for messages in agents:
            chains.chain(messages)
            messages += counted(f"turn {turn}")
    assert CountedMessage.hashed == 4 * 5
    assert [digests(chains, messages) for messages in agents] == [fresh(messages) for messages in agents]


def test_of_two_histories_the_one_that_reaches_further_is_continued() -> None:
    chains, shared = MessageChains(), counted("shared 1", "shared 2")
    longer = [*shared, *counted("a", "b")]
    chains.chain(longer)
    chains.chain(shared)
    CountedMessage.hashed = 0
    chains.chain([*longer, *counted("c")])
    assert CountedMessage.hashed == 1


def test_a_branch_leaves_the_branch_it_came_from_untouched() -> None:
    chains, trunk = MessageChains(), counted("a", "b")
    one, other = [*trunk, *counted("one")], [*trunk, *counted("other")]
    for messages in (trunk, one, other, one, trunk):
        assert digests(chains, messages) == fresh(messages)


def test_equal_messages_that_are_other_objects_have_equal_digests() -> None:
    chains = MessageChains()
    assert digests(chains, [vf.UserMessage(content="a")]) == digests(chains, [vf.UserMessage(content="a")])
    assert digests(chains, [{"role": "user", "content": "a"}]) == digests(chains, [vf.UserMessage(content="a")])


def test_no_messages_have_an_empty_chain() -> None:
    assert MessageChains().chain([]) == []


class Named(vf.UserMessage):
    """What an author may make of a message: a field of its own."""

    name: str


def edit(path: str, value: Any) -> Callable[[Any], None]:
    """Sets what `path` names, as `tool_calls.0.arguments`, in a message."""
    *way, last = path.split(".")

    def change(message: Any) -> None:
        for step in way:
            message = message[int(step)] if step.isdigit() else message[step]
        message[last] = value

    return change


def add_part(message: Any) -> None:
    message.content.append(TextContentPart(text="more"))


def add_call(message: Any) -> None:
    message.tool_calls.append(vf.ToolCall(id="2", name="g", arguments="{}"))


def parts(*texts: str) -> vf.UserMessage:
    return vf.UserMessage(content=[{"type": "text", "text": text} for text in texts])


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (vf.UserMessage(content="a"), edit("content", "b")),
        (vf.UserMessage(content="a"), edit("role", "system")),
        (vf.UserMessage(content="a"), edit("name", "ann")),
        (Named(content="a", name="ann"), edit("name", "bob")),
        (vf.UserMessage(content="a", name="ann"), edit("name", "bob")),
        (parts("a", "b"), edit("content.1.text", "c")),
        (parts("a", "b"), add_part),
        ({"role": "user", "content": "a"}, edit("content", "b")),
        (vf.ToolMessage(content="a", tool_call_id="1"), edit("tool_call_id", "2")),
        (calling(), edit("content", "now with words")),
        (calling(), edit("reasoning_content", "hm, hm")),
        (calling(), edit("tool_calls", None)),
        (calling(), edit("tool_calls.0.id", "2")),
        (calling(), edit("tool_calls.0.name", "g")),
        (calling(), edit("tool_calls.0.arguments", '{"a": 2}')),
        (calling(), add_call),
    ],
    ids=[
        "content", "role", "a field added", "a declared field", "an extra field", "a part", "a part added",
        "a dict", "tool_call_id", "content of a call", "reasoning", "calls removed", "id", "name", "arguments",
        "a call added",
    ],
)  # fmt: skip
def test_an_edit_in_place_is_noticed(message: Any, change: Callable[[Any], None]) -> None:
    chains = MessageChains()
    messages = [vf.UserMessage(content="before"), message, vf.UserMessage(content="behind")]
    before = digests(chains, messages)
    change(message)
    after = digests(chains, messages)
    assert after == fresh(messages)
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert after[2] != before[2]


def test_calls_that_an_environment_sets_as_dicts_are_calls() -> None:
    message = vf.AssistantMessage(content="a")
    chains = MessageChains()
    chains.chain([message])
    message["tool_calls"] = [{"id": "1", "name": "f", "arguments": "{}"}]
    called = vf.AssistantMessage(content="a", tool_calls=[{"id": "1", "name": "f", "arguments": "{}"}])
    assert digests(chains, [message]) == fresh([called])


def test_a_link_tells_what_the_conversation_up_to_it_holds() -> None:
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
    conversation = [
        vf.UserMessage(content="</think> is a word like any other here"),
        vf.AssistantMessage(content="<think>\nhm\n</think>\n\nyes"),
        vf.ToolMessage(content="1", tool_call_id="1"),
        picture,
        vf.UserMessage(content="b"),
    ]
    links = MessageChains().chain(conversation)
    assert [link.has_reasoning for link in links] == [False, True, True, True, True]
    assert [link.past.tools for link in links] == [False, False, True, True, True]
    assert [link.has_media for link in links] == [False, False, False, True, True]


texts = st.text(alphabet="ab", max_size=2)
messages = st.one_of(
    st.builds(lambda text: vf.UserMessage(content=text), texts),
    st.builds(lambda text: {"role": "user", "content": text}, texts),
    st.builds(lambda text, more: parts(text, more), texts, texts),
    st.builds(lambda text: calling(arguments=text), texts),
    st.builds(lambda text, call: vf.ToolMessage(content=text, tool_call_id=call), texts, texts),
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_chains_are_the_same_as_those_of_somebody_who_remembers_nothing(data: st.DataObject) -> None:
    chains = MessageChains()
    conversations: list[list[Any]] = [[]]
    for _ in range(data.draw(st.integers(1, 12))):
        conversation = data.draw(st.sampled_from(conversations))
        action = data.draw(st.sampled_from(["say", "edit", "branch", "cut", "replace"]))
        if action == "say" or not conversation:
            conversation.append(data.draw(messages))
        elif action == "edit":
            data.draw(st.sampled_from(conversation))["content"] = data.draw(texts)
        elif action == "branch":
            conversations.append(list(conversation))
        elif action == "cut":
            del conversation[data.draw(st.integers(0, len(conversation))) :]
        else:
            conversation[data.draw(st.integers(0, len(conversation) - 1))] = data.draw(messages)
        for each in conversations:
            assert digests(chains, each) == fresh(each)
