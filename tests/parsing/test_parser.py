"""From ids to a message: how a turn ends, what is not whole, and that it stays fast. No vLLM here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.parsing.cases import NAMED, TOOLS
from verifiers_tito.errors import ConfigError
from verifiers_tito.parsing import (
    CallProblem,
    CompletionParser,
    EndOfTurn,
    ParsedText,
    ParseRequest,
    ParseTermination,
    format_by_names,
    parse_request,
)
from verifiers_tito.parsing.names import CALLS_BY_NAME, REASONING_BY_NAME

STOP, EOS = 300, 301


@dataclass(frozen=True, slots=True)
class Bytes:
    """A vocabulary of bytes with two control tokens."""

    special_ids: frozenset[int] = field(default=frozenset({STOP, EOS}))
    special_texts: frozenset[str] = frozenset()

    def decode(self, token_ids):  # type: ignore[no-untyped-def]
        return bytes(token_ids).decode(errors="replace")


def ids_of(text: str) -> list[int]:
    return list(text.encode())


def parser(reasoning: str | None = None, calls: str | None = None, **end: object) -> CompletionParser:
    return CompletionParser(
        format=format_by_names(reasoning_parser=reasoning, tool_call_parser=calls),
        decoder=Bytes(),
        end=EndOfTurn(stop_ids=frozenset({STOP}), eos_ids=frozenset({EOS}), **end),  # type: ignore[arg-type]
        call_id=lambda: "call-1",
    )


def read(text: str, reasoning: str | None, calls: str | None) -> ParsedText:
    response_format = format_by_names(reasoning_parser=reasoning, tool_call_parser=calls)
    return response_format.parse(text, parse_request(TOOLS), call_id=lambda: "call-1")


@pytest.mark.parametrize(
    ("tail", "termination"),
    [
        ([STOP], ParseTermination.STOP_SEQUENCE),
        ([EOS], ParseTermination.EOS),
        ([], ParseTermination.MALFORMED),
        ([STOP, STOP], ParseTermination.MALFORMED),
        ([STOP, *b"more"], ParseTermination.MALFORMED),
    ],
)
def test_a_turn_says_how_it_ended(tail: list[int], termination: ParseTermination) -> None:
    sampled = [*ids_of("Hi."), *tail]
    parsed = parser().parse(sampled)
    assert (parsed.content, parsed.termination) == ("Hi.", termination)
    assert bool(parsed.termination) is parsed.termination.is_clean is (termination != "malformed")
    assert sampled == [*ids_of("Hi."), *tail]


def test_a_stop_string_ends_the_turn_and_is_no_part_of_it() -> None:
    parsed = parser(stop_strings=("\nUser:",)).parse(ids_of("Hi.\nUser: and on"))
    assert (parsed.content, parsed.termination.is_stop_sequence) == ("Hi.", True)


def test_half_a_character_at_the_end_is_left_out() -> None:
    assert parser().parse(ids_of("Grüße ✓")[:-1]).content == "Grüße "


def test_a_turn_cut_off_while_thinking_is_all_reasoning() -> None:
    parsed = parser("qwen3", "hermes").parse(ids_of("I wonder whe"))
    assert (parsed.reasoning, parsed.content, parsed.termination.is_clean) == ("I wonder whe", None, False)


def test_the_message_is_the_one_that_a_server_sends() -> None:
    text = 'Hm.</think>\n\n<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    message = parser("qwen3", "hermes").parse([*ids_of(text), STOP], parse_request(TOOLS)).message()
    assert message == {
        "role": "assistant",
        "reasoning_content": "Hm.",
        "tool_calls": [{"id": "call-1", "name": "f", "arguments": "{}"}],
    }


def test_without_tools_the_markup_of_a_call_is_content() -> None:
    text = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    assert parser(None, "hermes").parse(ids_of(text)).content == text


def test_an_argument_may_contain_the_closing_tag() -> None:
    arguments = json.dumps({"x": "a</tool_call>b"})
    parsed = read(f'<tool_call>{{"name": "f", "arguments": {arguments}}}</tool_call>', None, "hermes")
    assert [call.arguments for call in parsed.tool_calls] == [arguments]


@pytest.mark.parametrize(
    ("calls", "text", "problem", "is_served"),
    [
        ("hermes", '<tool_call>{"name": "f", "arguments": {"x": True}}</tool_call>', CallProblem.NO_JSON, False),
        ("hermes", '<tool_call>{"name": "f"}</tool_call>', CallProblem.NO_NAME_OR_ARGUMENTS, False),
        ("llama3_json", '{"name": "f", "parameters": {"x": ', CallProblem.NO_JSON, False),
        ("pythonic", "[f(a=b)]", CallProblem.NO_LITERALS, False),
        ("qwen3_coder", "<tool_call>\n<function=f>\n<parameter=x>\nhalf", CallProblem.NOT_CLOSED, True),
        ("glm45", "<tool_call>other\n</tool_call>", CallProblem.UNKNOWN_NAME, False),
        ("gemma4", "<|tool_call>call:f{x:1", CallProblem.NOT_CLOSED, True),
        ("gemma4", '<|tool_call>call:f{x:<|"|>half}<tool_call|>', CallProblem.NO_LITERALS, True),
        ("gemma4", "<|tool_call>call:f{x:[1}<tool_call|>", CallProblem.NO_LITERALS, True),
        ("mistral", '[TOOL_CALLS]f[ARGS]{"x": ', CallProblem.NO_JSON, True),
        ("mistral", '[TOOL_CALLS]f[ARGS]{"x": 1} behind', CallProblem.STRAY_TEXT, True),
        ("mistral", "[TOOL_CALLS]f", CallProblem.NOT_CLOSED, True),
        ("mistral", '[TOOL_CALLS][{"name": "f", "arguments": {', CallProblem.NO_JSON, False),
        ("mistral", '[TOOL_CALLS][{"arguments": {}}]', CallProblem.NO_NAME_OR_ARGUMENTS, False),
        ("lfm2", "<|tool_call_start|>[f(x=1)", CallProblem.NOT_CLOSED, False),
        ("lfm2", "<|tool_call_start|>[f(x=y)]<|tool_call_end|>", CallProblem.NO_LITERALS, False),
        ("lfm2", "<|tool_call_start|>[f(x='a' b)]<|tool_call_end|>", CallProblem.NO_CALL, False),
        ("muse_glimmer", ' to=f<|message|><atem:invoke name="f">', CallProblem.NOT_CLOSED, False),
        ("muse_glimmer", " to=f<|message|><atem:invoke></atem:invoke>", CallProblem.NO_NAME_OR_ARGUMENTS, False),
        ("openai", '<|channel|>commentary to=functions.f json<|message|>{"x": 1', CallProblem.NOT_CLOSED, True),
    ],
)
def test_a_call_that_is_not_whole_is_kept_with_the_reason(
    calls: str, text: str, problem: CallProblem, is_served: bool
) -> None:
    parsed = read(text, None, calls)
    assert [(call.problem, call.is_served) for call in parsed.unparsed_tool_calls] == [(problem, is_served)]
    assert parsed.unparsed_tool_calls[0].text in text
    assert len(parsed.tool_calls) == is_served


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ('[TOOL_CALLS][{"name": "f", "arguments": {}, "id": "abcdefghi"}]', ["abcdefghi"]),
        ('[TOOL_CALLS][{"name": "f", "arguments": {}}]', ["0123abcde"]),
        ("[TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]f[ARGS]{}", ["0123abcde", "0123abcde"]),
    ],
)
def test_ids_of_mistral_s_calls_are_the_written_ones_or_have_the_nine_characters_that_its_templates_want(
    text: str, ids: list[str]
) -> None:
    parsed = format_by_names(tool_call_parser="mistral").parse(
        text, parse_request(TOOLS), call_id=lambda: "chatcmpl-tool-ffff0123abcde"
    )
    assert [call.id for call in parsed.tool_calls] == ids


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("from='it\\'s'", {"from": "it's"}),
        ("note='it's late'", {"note": "it's late"}),
        ("month=07, zero=00, share=0.5", {"month": 7, "zero": 0, "share": 0.5}),
        ("note='two\nlines'", {"note": "two\nlines"}),
        ("note='in=07, x'", {"note": "in=07, x"}),
    ],
)
def test_calls_that_are_almost_python_are_repaired(written: str, arguments: dict[str, object]) -> None:
    parsed = read(f"Hi.<|tool_call_start|>[f({written})]<|tool_call_end|>", None, "lfm2")
    assert [json.loads(call.arguments) for call in parsed.tool_calls] == [arguments]
    assert parsed.content == "Hi."


def test_a_string_that_could_end_at_several_places_is_not_guessed_at() -> None:
    parsed = read("<|tool_call_start|>[f(a='b', 'c', d='e' f', g='h')]<|tool_call_end|>", None, "lfm2")
    assert [call.problem for call in parsed.unparsed_tool_calls] == [CallProblem.NO_CALL]


def test_values_get_the_types_of_the_tool_s_schema() -> None:
    parameters = {"city": "3", "days": "3", "exact": "True", "limits": '["1", 2.5]'}
    written = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in parameters.items())
    parsed = read(f"<tool_call>\n<function=get_weather>\n{written}</function>\n</tool_call>", None, "qwen3_coder")
    expected = {
        "city": "3",
        "days": 3,
        "exact": True,
        "limits": ["1", 2.5],
    }  # as vLLM: items of a list that was text stay
    assert json.loads(parsed.tool_calls[0].arguments) == expected


@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text() | st.integers() | st.booleans()), max_size=3)
)
def test_what_is_written_is_read_back(calls: list[dict[str, object]]) -> None:
    bodies = [json.dumps({"name": "f", "arguments": one}, ensure_ascii=False) for one in calls]
    text = "Hm.</think>Hi." + "".join(f"<tool_call>{body}</tool_call>" for body in bodies)
    parsed = read(text.replace("</think></think>", "</think>"), "deepseek_r1", "hermes")
    assert (parsed.reasoning, parsed.content) == ("Hm.", "Hi.")
    assert [json.loads(call.arguments) for call in parsed.tool_calls] == calls


@given(st.text(), st.sampled_from(sorted(CALLS_BY_NAME)), st.sampled_from(sorted(REASONING_BY_NAME)))
def test_no_text_makes_a_parser_raise(text: str, calls: str, reasoning: str) -> None:
    parsed = read(text, reasoning, calls)
    assert isinstance(parsed, ParsedText)


@pytest.mark.parametrize(
    ("calls", "text"),
    [
        ("gemma4", f"<|tool_call>call:f{{x:{'{a:[' * 20_000}<tool_call|>"),
        ("mistral", f"[TOOL_CALLS]f[ARGS]{'[' * 20_000}"),
        ("mistral", f"[TOOL_CALLS]{'[{' * 20_000}"),
        ("lfm2", f"<|tool_call_start|>[f(x={'[' * 20_000})]<|tool_call_end|>"),
        ("lfm2", f"<|tool_call_start|>[f(x=0{'9' * 20_000})]<|tool_call_end|>"),
        ("lfm2", f"<|tool_call_start|>[f(x='a'b{chr(39) + ',)' * 20_000})]<|tool_call_end|>"),
        ("muse_glimmer", f' to=f<|message|><atem:invoke name="f">{"<atem:parameter" * 2_000}'),
    ],
)
def test_brackets_in_brackets_and_marks_without_end_are_read_too(calls: str, text: str) -> None:
    assert not [call for call in read(text, None, calls).tool_calls if call.name != "f"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"tool_call_parser='nonsense' is not known .*hermes"):
        format_by_names(tool_call_parser="nonsense")


def test_a_tool_choice_that_means_nothing_is_refused() -> None:
    assert parse_request(TOOLS, NAMED).must_call
    assert not ParseRequest().allows_calls
    with pytest.raises(ConfigError, match="tool_choice must be one of none, auto, required"):
        parse_request(TOOLS, "sometimes")
