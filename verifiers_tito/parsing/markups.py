"""The formats that vLLM reads with its parser engine, each as a table: in this place, this mark leads there.

Qwen 3.5 and Qwen3-Coder (Nemotron 3 too), GLM-4.5, Kimi K2, MiniMax M2, Gemma 4, Mistral from its tokenizer v11 on.
"""

from __future__ import annotations

from verifiers_tito.parsing.bodies import (
    glm_arguments,
    json_arguments,
    kimi_header,
    leading_json_arguments,
    minimax_arguments,
    plain_header,
    qwen_arguments,
    stripped_header,
)
from verifiers_tito.parsing.gemma_arguments import QUOTE, gemma_arguments
from verifiers_tito.parsing.machine import THINK, THINK_END, Markup, Move, Place
from verifiers_tito.parsing.marked_calls import MarkedCalls

CONTENT, REASONING, PREAMBLE = Place.CONTENT, Place.REASONING, Place.PREAMBLE
NAME, ARGUMENTS, BETWEEN = Place.NAME, Place.ARGUMENTS, Place.BETWEEN


def reasoning_between(opening: str, closing: str) -> dict[tuple[Place, str], Move]:
    """The moves of the marks of reasoning, but for its opening in the content, which not all formats know."""
    return {
        (REASONING, opening): Move(to=REASONING),
        (REASONING, closing): Move(to=CONTENT, ends_reasoning=True),
        (CONTENT, closing): Move(to=CONTENT),
    }


THINKING = reasoning_between(THINK, THINK_END)
CALL, CALL_END = "<tool_call>", "</tool_call>"

FUNCTION, FUNCTION_END = "<function=", "</function>"
PARAMETER, PARAMETER_END = "<parameter=", "</parameter>"
QWEN_XML = Markup(
    moves={
        **THINKING,
        (REASONING, CALL): Move(to=PREAMBLE, opens=True, ends_reasoning=True),
        (CONTENT, CALL): Move(to=PREAMBLE, opens=True, ends_reasoning=True),
        (CONTENT, FUNCTION): Move(to=NAME, opens=True),
        (PREAMBLE, CALL_END): Move(to=CONTENT, closes=True),
        (PREAMBLE, FUNCTION): Move(to=NAME),
        (NAME, ">"): Move(to=ARGUMENTS),
        (NAME, FUNCTION_END): Move(to=BETWEEN, closes=True),
        (ARGUMENTS, FUNCTION_END): Move(to=BETWEEN, closes=True),
        (ARGUMENTS, PARAMETER): Move(to=ARGUMENTS, is_argument=True),
        (ARGUMENTS, PARAMETER_END): Move(to=ARGUMENTS, is_argument=True),
        (BETWEEN, CALL_END): Move(to=CONTENT),
        (BETWEEN, CALL): Move(to=PREAMBLE, opens=True),
        (BETWEEN, FUNCTION): Move(to=NAME, opens=True),
    }
)

KEY, KEY_END, VALUE, VALUE_END = "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"
GLM = Markup(
    moves={
        **THINKING,
        (CONTENT, THINK): Move(to=REASONING),
        (REASONING, CALL): Move(to=NAME, opens=True, ends_reasoning=True),
        (CONTENT, CALL): Move(to=NAME, opens=True),
        (NAME, KEY): Move(to=ARGUMENTS, is_argument=True),
        (NAME, CALL_END): Move(to=CONTENT, closes=True),
        (ARGUMENTS, CALL_END): Move(to=CONTENT, closes=True),
        **{(ARGUMENTS, mark): Move(to=ARGUMENTS, is_argument=True) for mark in (KEY, KEY_END, VALUE, VALUE_END)},
    }
)

SECTION, SECTION_END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
KIMI_CALL, KIMI_CALL_END = "<|tool_call_begin|>", "<|tool_call_end|>"
KIMI_ARGUMENT = "<|tool_call_argument_begin|>"
KIMI = Markup(
    moves={
        **THINKING,
        (REASONING, SECTION): Move(to=PREAMBLE, ends_reasoning=True),
        (CONTENT, SECTION): Move(to=PREAMBLE),
        (PREAMBLE, KIMI_CALL): Move(to=NAME, opens=True),
        (NAME, KIMI_ARGUMENT): Move(to=ARGUMENTS),
        (ARGUMENTS, KIMI_CALL_END): Move(to=BETWEEN, closes=True),
        (ARGUMENTS, SECTION_END): Move(to=PREAMBLE, closes=True),
        (BETWEEN, KIMI_CALL): Move(to=NAME, opens=True),
        (PREAMBLE, SECTION_END): Move(to=PREAMBLE),
        (BETWEEN, SECTION_END): Move(to=PREAMBLE),
    }
)
"""Behind its section nothing is content: what the model says there is dropped."""

MINIMAX_CALL, MINIMAX_CALL_END = "<minimax:tool_call>", "</minimax:tool_call>"
INVOKES, INVOKE_END = ('<invoke name="', "<invoke name='", "<invoke name="), "</invoke>"
NAMED_PARAMETER = "<parameter name="
MINIMAX = Markup(
    moves={
        **THINKING,
        (REASONING, MINIMAX_CALL): Move(to=PREAMBLE, ends_reasoning=True),
        (CONTENT, MINIMAX_CALL): Move(to=PREAMBLE),
        **{(place, invoke): Move(to=NAME, opens=True) for place in (CONTENT, PREAMBLE, BETWEEN) for invoke in INVOKES},
        **{(NAME, mark): Move(to=ARGUMENTS) for mark in ('">', "'>", ">")},
        (ARGUMENTS, NAMED_PARAMETER): Move(to=ARGUMENTS, is_argument=True),
        (ARGUMENTS, PARAMETER_END): Move(to=ARGUMENTS, is_argument=True),
        (ARGUMENTS, INVOKE_END): Move(to=BETWEEN, closes=True),
        **{(place, MINIMAX_CALL_END): Move(to=CONTENT) for place in (CONTENT, PREAMBLE, BETWEEN)},
    }
)

CHANNEL, CHANNEL_END = "<|channel>", "<channel|>"
THOUGHT = "thought\n"
GEMMA_CALL, GEMMA_CALL_END = "<|tool_call>", "<tool_call|>"
GEMMA = Markup(
    moves={
        **reasoning_between(CHANNEL, CHANNEL_END),
        (CONTENT, CHANNEL): Move(to=REASONING),
        **{(place, GEMMA_CALL): Move(to=PREAMBLE, opens=True, ends_reasoning=True) for place in (CONTENT, REASONING)},
        **{(PREAMBLE, mark): Move(to=NAME) for mark in ("call:", ":")},
        **{(NAME, mark): Move(to=ARGUMENTS) for mark in ("{", "(")},
        **{(place, GEMMA_CALL_END): Move(to=CONTENT, closes=True) for place in (PREAMBLE, NAME, ARGUMENTS)},
        (CONTENT, GEMMA_CALL_END): Move(to=CONTENT),
    },
    idle_marks=frozenset({QUOTE}),
    reasoning_marks=frozenset({CHANNEL, CHANNEL_END}),
)


def in_channel(text: str) -> str:
    """An answer in a channel that its prompt has opened, with the mark that opens it."""
    if CHANNEL not in text and (CHANNEL_END in text or f"{text}\n" == THOUGHT or text.startswith(THOUGHT)):
        return CHANNEL + text
    return text


MISTRAL_THINK, MISTRAL_THINK_END = "[THINK]", "[/THINK]"
MISTRAL_CALLS, MISTRAL_ARGUMENTS = "[TOOL_CALLS]", "[ARGS]"
MISTRAL = Markup(
    moves={
        **reasoning_between(MISTRAL_THINK, MISTRAL_THINK_END),
        (CONTENT, MISTRAL_THINK): Move(to=REASONING),
        **{(place, MISTRAL_CALLS): Move(to=NAME, opens=True, ends_reasoning=True) for place in (CONTENT, REASONING)},
        (NAME, MISTRAL_ARGUMENTS): Move(to=ARGUMENTS),
        (NAME, "{"): Move(to=ARGUMENTS, is_argument=True),
        (ARGUMENTS, MISTRAL_CALLS): Move(to=NAME, opens=True),
    },
    reasoning_marks=frozenset({MISTRAL_THINK, MISTRAL_THINK_END}),
)
"""A call ends where the next one begins, or with the answer."""

QWEN_XML_CALLS = MarkedCalls(markup=QWEN_XML, read_header=plain_header, read_arguments=qwen_arguments)
GLM_CALLS = MarkedCalls(
    markup=GLM,
    read_header=stripped_header,
    read_arguments=glm_arguments,
    knows_names=True,
    thinks_on_request=True,
)
KIMI_CALLS = MarkedCalls(
    markup=KIMI,
    read_header=kimi_header,
    read_arguments=json_arguments,
    strips_content=False,
    thinks_on_request=True,
    keeps_special_without_tools=False,
)
MINIMAX_CALLS = MarkedCalls(
    markup=MINIMAX, read_header=plain_header, read_arguments=minimax_arguments, knows_names=True
)
GEMMA_CALLS = MarkedCalls(markup=GEMMA, read_header=plain_header, read_arguments=gemma_arguments, completed=in_channel)
NAMED_MISTRAL_CALLS = MarkedCalls(
    markup=MISTRAL, read_header=plain_header, read_arguments=leading_json_arguments, stays_open=True
)
