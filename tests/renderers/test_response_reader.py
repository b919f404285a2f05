"""From sampled ids to a message: what a model of each format writes, whole, cut short and malformed."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.renderers.made import CALL, TOOLS, bare_tokenizer, renderer_of
from verifiers_tito.parsing import CallProblem
from verifiers_tito.renderers import ParseTermination, TemplateRenderer, get_renderer

ASKED = {"role": "user", "content": "One?"}
FORMATS = (
    *("qwen3", "qwen3_5_think", "deepseekv3", "gptoss", "glm4moe", "llama3_1", "nemotron_3_nano"),
    *("gemma4_v5", "lfm2_v2", "mistral_nemo", "mistral_v13", "muse_glimmer"),
)
WITHOUT_REASONING = {"llama3_1", "lfm2_v2", "mistral_nemo", "mistral_v13"}
THINKING_FORMATS = tuple(family for family in FORMATS if family not in WITHOUT_REASONING)
few = settings(max_examples=20, deadline=None)
word = st.text(st.sampled_from("abc.,!? äß日{}\"'\n"), min_size=1, max_size=20).map(str.strip).filter(bool)


@cache
def offering(family: str) -> TemplateRenderer:
    return renderer_of(family, tools=TOOLS)


def sampled(renderer: TemplateRenderer, message: dict[str, object]) -> list[int]:
    """What the model would have sampled for `message`."""
    model_input, weights = renderer.build_supervised_example([ASKED, message])
    return [token_id for token_id, weight in zip(model_input.to_ints(), weights, strict=True) if weight]


def read(family: str, text: str, **settings: object) -> tuple[dict[str, object], ParseTermination]:
    renderer = renderer_of(family, **settings)
    message, termination = renderer.parse_response(renderer.tokenizer.encode(text))
    return dict(message), termination


@pytest.mark.parametrize("family", FORMATS)
@few
@given(content=word)
def test_what_was_rendered_is_read_back(family: str, content: str) -> None:
    if family == "llama3_1" and "{" in content:
        return  # bare JSON is looked for in any text
    renderer = renderer_of(family)
    message = {"role": "assistant", "content": content}
    assert renderer.parse_response(sampled(renderer, message)) == (message, ParseTermination.STOP_SEQUENCE)


@pytest.mark.parametrize("family", THINKING_FORMATS)
@few
@given(content=word, reasoning=word)
def test_reasoning_that_was_rendered_is_read_back(family: str, content: str, reasoning: str) -> None:
    renderer = renderer_of(family)
    message = {"role": "assistant", "content": content, "reasoning_content": reasoning}
    assert renderer.parse_response(sampled(renderer, message))[0] == message


@pytest.mark.parametrize("family", FORMATS)
@few
@given(query=word, limit=st.integers(0, 99))
def test_calls_that_were_rendered_are_read_back(family: str, query: str, limit: int) -> None:
    renderer = offering(family)
    arguments = {"query": query, "limit": limit}
    function = {"name": "look_up", "arguments": json.dumps(arguments)}
    message = {"role": "assistant", "content": "", "tool_calls": [{**CALL, "function": function}]}
    parsed, termination = renderer.parse_response(sampled(renderer, message))
    assert termination is ParseTermination.STOP_SEQUENCE
    assert parsed["content"] == ""
    (call,) = parsed["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("look_up", arguments)


@pytest.mark.parametrize("family", ["gemma4_v5", "lfm2_v2", "muse_glimmer", "mistral_v13", "mistral_nemo"])
def test_several_calls_with_values_of_every_kind_are_read_back(family: str) -> None:
    properties = {"text": "string", "number": "number", "flag": "boolean", "nothing": "null", "many": "array"}
    schema = {
        "type": "object",
        "properties": {name: {"type": kind, "items": {"type": "integer"}} for name, kind in properties.items()},
    }
    tools = [{"name": name, "description": "Calls.", "parameters": schema} for name in ("first", "second")]
    arguments = {"text": "a, b: {c} it's", "number": 2.5, "flag": True, "nothing": None, "many": [1, 2]}
    functions = [{"name": tool["name"], "arguments": json.dumps(arguments)} for tool in tools]
    calls = [
        {"id": f"call0000{place}", "type": "function", "function": function} for place, function in enumerate(functions)
    ]
    renderer = renderer_of(family, tools=tools)
    parsed, _ = renderer.parse_response(sampled(renderer, {"role": "assistant", "content": "", "tool_calls": calls}))
    assert [call["function"]["name"] for call in parsed["tool_calls"]] == ["first", "second"]
    assert [json.loads(call["function"]["arguments"]) for call in parsed["tool_calls"]] == [arguments] * 2
    assert "unparsed_tool_calls" not in parsed


def test_calls_count_although_nobody_said_which_tools_there_are() -> None:
    message, _ = read("qwen3", '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call><|im_end|>')
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}  # type: ignore[index]


@pytest.mark.parametrize(
    ("family", "text", "content", "reasoning"),
    [
        ("qwen3", "Yes.<|im_end|>", "Yes.", None),
        ("qwen3", "<think>\nHm.\n</think>\n\nYes.<|im_end|>", "Yes.", "Hm."),
        ("qwen3", "<think>\n\n</think>\n\nYes.<|im_end|>", "Yes.", None),
        ("qwen3_5_think", "Hm.\n</think>\n\nYes.<|im_end|>", "Yes.", "Hm."),
        ("qwen3_5_think", "Yes.<|im_end|>", "Yes.", None),
        ("qwen3_5_think", "Hm. And", "", "Hm. And"),
        ("qwen3", "<think>\nHm. And", "", "Hm. And"),
        ("qwen3", "Yes. And", "Yes. And", None),
    ],
)
def test_reasoning_is_told_from_the_answer(family: str, text: str, content: str, reasoning: str | None) -> None:
    message, termination = read(family, text)
    assert (message["content"], message.get("reasoning_content")) == (content, reasoning)
    assert termination.is_clean is text.endswith("<|im_end|>")


def test_a_prompt_that_closed_the_reasoning_is_followed_by_an_answer() -> None:
    message, _ = read("qwen3", "Yes.<|im_end|>", template_arguments={"enable_thinking": False})
    assert message == {"role": "assistant", "content": "Yes."}


@pytest.mark.parametrize(
    ("end", "termination"),
    [
        ("<|im_end|>", ParseTermination.STOP_SEQUENCE),
        ("", ParseTermination.MALFORMED),
        ("<|im_end|><|im_end|>", ParseTermination.MALFORMED),
    ],
)
def test_stop_tokens_once_none_and_twice(end: str, termination: ParseTermination) -> None:
    message, found = read("qwen3", f"Yes.{end}")
    assert (message["content"], found, bool(found)) == ("Yes.", termination, termination.is_clean)


def test_an_end_of_text_that_is_no_stop_token_is_clean_but_no_stop_sequence() -> None:
    renderer = get_renderer("role_colon", bare_tokenizer("</s>", end="</s>"))
    message, termination = renderer.parse_response(renderer.tokenizer.encode(" Yes.</s>"))
    assert (message["content"], termination) == ("Yes.", ParseTermination.EOS)
    assert termination.is_clean
    assert not termination.is_stop_sequence


def test_half_a_character_at_the_end_is_left_out() -> None:
    renderer = renderer_of("qwen3")
    ids = renderer.tokenizer.encode("größ")[:-1]
    assert renderer.parse_response(ids)[0]["content"] == "grö"


def test_a_malformed_call_is_kept_with_the_reason() -> None:
    message, _ = read("qwen3", "<think>\n\n</think>\n\n<tool_call>\n{not json}\n</tool_call><|im_end|>", tools=TOOLS)
    (unparsed,) = message["unparsed_tool_calls"]  # type: ignore[misc]
    assert (unparsed.problem, "{not json}" in unparsed.text) == (CallProblem.NO_JSON, True)
    assert "tool_calls" not in message


def test_true_is_read_where_json_wants_it_in_small_letters() -> None:
    schema = {"type": "object", "properties": {"exact": {"type": "boolean"}}}
    tools = [{"name": "f", "description": "Calls.", "parameters": schema}]
    call = "<tool_call>\n<function=f>\n<parameter=exact>\nTrue\n</parameter>\n</function>\n</tool_call><|im_end|>"
    message, _ = read("qwen3_5_think", f"\n</think>\n\n{call}", tools=tools)
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"exact": True}  # type: ignore[index]


@few
@given(ids=st.lists(st.integers(0, 255 + 26), max_size=40))
def test_reading_never_raises_and_never_changes_the_ids(ids: list[int]) -> None:
    renderer, before = offering("qwen3"), list(ids)
    message, _ = renderer.parse_response(ids)
    assert message["role"] == "assistant"
    assert ids == before
