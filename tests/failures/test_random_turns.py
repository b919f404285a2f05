"""Conversations that nobody would have thought of: random ids for turns, anything for contents, cut anywhere.

Whatever happens, a turn is stitched onto the very ids that were sampled, or falls back with a reason; what the messages
hold becomes no control token; and nothing is raised.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.failures.talk import Message, Talk, local_tokenizer, template_bridge
from tests.tokenization.conversations import contents
from verifiers_tito.stitching import Bridge, Fallback, Junction, Stitched
from verifiers_tito.tokenization import LocalTokenizer, TemplateRefusedError
from verifiers_tito.types import ControlTextPolicy, FallbackReason

pytestmark = pytest.mark.corpus

FAMILIES = (
    "qwen2_5", "qwen3", "llama3_1", "llama2_own", "mistral_v3", "mistral_v13", "gemma3", "gemma4_v5", "glm4moe",
    "gptoss", "deepseekv3", "phi3", "cohere2", "nemotron_3_nano",
)  # fmt: skip
each_family = pytest.mark.parametrize("family", FAMILIES)
CALL_IDS = ("call00001", "call00002", "call00003")


def anything(family: str) -> st.SearchStrategy[str]:
    """A content that is more than blanks: some templates leave such a message out."""
    return contents(tuple(local_tokenizer(family).controls.ids), min_size=1).filter(str.strip)


def sampled_ids(family: str) -> st.SearchStrategy[list[int]]:
    """Any ids of the vocabulary, control ids often, and closes as the template writes them."""
    local = local_tokenizer(family)
    close = template_bridge(family).book.close_ids
    any_id = st.integers(0, len(local.transformers_tokenizer) - 1)
    pieces = st.one_of(any_id.map(lambda i: [i]), st.sampled_from(sorted(local.controls.id_set)).map(lambda i: [i]))
    rows = st.lists(st.one_of(pieces, st.just(close)), max_size=8).map(lambda rows: [i for row in rows for i in row])
    return st.one_of(rows, rows.flatmap(lambda row: st.integers(0, len(row)).map(lambda cut: row[:cut])))


@st.composite
def parsed_turns(draw: st.DrawFn, family: str) -> dict[str, Any]:
    """What a parser may have made of a turn: words, reasoning, calls with arguments of any kind."""
    words = anything(family)
    turn: dict[str, Any] = {"content": draw(st.one_of(st.none(), st.just(""), words))}
    if draw(st.booleans()):
        turn["reasoning_content"] = draw(words)
    if draw(st.booleans()):
        name = st.one_of(st.just("f"), words)
        arguments = st.one_of(st.sampled_from(['{"a": 1}', "{'a': True}", ""]), words)
        turn["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": draw(name), "arguments": draw(arguments)}}
            for call_id in CALL_IDS[: draw(st.integers(1, 3))]
        ]
    return turn


def tails(family: str) -> st.SearchStrategy[list[Message]]:
    words = anything(family)
    spoken = st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["user", "system"]), words)
    answered = st.builds(
        lambda call_id, text: {"role": "tool", "tool_call_id": call_id, "content": text},
        st.one_of(st.sampled_from(CALL_IDS), words),
        words,
    )
    return st.lists(st.one_of(spoken, answered, answered), min_size=1, max_size=4)


def harmless(messages: list[Message]) -> list[Message]:
    """The same conversation of plain words, for what the template itself writes."""
    return [_harmless(message) for message in messages]


def _harmless(message: Message) -> Message:
    changed = {**message, "content": "word"} if message["role"] in ("user", "tool") else dict(message)
    if message["role"] == "tool" and message["tool_call_id"] not in CALL_IDS:
        changed["tool_call_id"] = "call00009"
    if message.get("tool_calls"):
        changed["tool_calls"] = [
            {**call, "function": {**call["function"], "name": "f"}} for call in message["tool_calls"]
        ]
    return changed


@each_family
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_turn_of_any_ids_is_continued_exactly_or_falls_back_with_a_reason(family: str, data: st.DataObject) -> None:
    talk = Talk(family)
    for _ in range(data.draw(st.integers(1, 3))):
        talk.sample(data.draw(sampled_ids(family)), **data.draw(parsed_turns(family)))
        tail = data.draw(tails(family))
        outcome = talk.outcome(*tail, ended=data.draw(st.booleans()))
        if isinstance(outcome, Fallback):
            assert isinstance(outcome.reason, FallbackReason)
            return
        assert isinstance(outcome, Stitched)
        assert outcome.token_ids[: len(talk.ids)] == talk.ids
        assert outcome.reused_ids == len(talk.ids)
        assert outcome.bridged_ids > 0
        talk.go_on(*tail)


@each_family
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_messages_hold_becomes_no_control_token(family: str, data: st.DataObject) -> None:
    after = {"role": "assistant", **data.draw(parsed_turns(family))}
    history, tail = [{"role": "user", "content": data.draw(anything(family))}], data.draw(tails(family))
    bridge = template_bridge(family).bridge(Junction.between(history, after, tail))
    if isinstance(bridge, Fallback):
        return
    plain = template_bridge(family).bridge(Junction.between(harmless(history), *harmless([after]), harmless(tail)))
    assert isinstance(plain, Bridge), plain
    talk = Talk(family)
    assert talk.controls(bridge.ids) == talk.controls(plain.ids)


@each_family
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_guarded_content_is_the_text_that_the_template_writes(family: str, data: st.DataObject) -> None:
    local = local_tokenizer(family)
    words = anything(family)
    call = {"id": "call00001", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[Message] = [{"role": "user", "content": data.draw(words)}]
    if data.draw(st.booleans()):
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": "call00001", "content": data.draw(words)})
    naive = local.with_policy(ControlTextPolicy.PARSE)
    assert text_or_refusal(local, messages) == text_or_refusal(naive, messages)


def text_or_refusal(local: LocalTokenizer, messages: list[Message]) -> str:
    try:
        return local.render_now(messages).text
    except TemplateRefusedError as refusal:
        return str(refusal)
