"""Habits of real templates that once led to a wrong bridge, each in a small template of our own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.stitching import templates
from tests.stitching.templates import ANSWER, CALLS, GO_ON, QUESTION, TURN, Trial, calls, each
from tests.tokenization.conversations import result, system, user
from verifiers_tito.stitching import TailKind, TemplateReport, examine, run_plan
from verifiers_tito.testing import FakeTokenizer
from verifiers_tito.types import FallbackReason

TrialMaker = Callable[[str], Trial]
CALL = calls("call00001")
SWITCH = (
    "{% set ns = namespace(think=true) %}{% for m in messages if m.role in ('system', 'user') %}"
    "{% if '/no_think' in m.content %}{% set ns.think = false %}{% elif '/think' in m.content %}"
    "{% set ns.think = true %}{% endif %}{% endfor %}"
)
SWITCHES_THINKING = each(TURN, before=SWITCH, after=GO_ON + "{% if not ns.think %}<think></think>{% endif %}")
ENDS_WITH_END_OF_TEXT_ONCE = (
    "<|fim_pad|>rules{% for m in messages %}{{ {'user': '<|fim_prefix|>', 'assistant': '<|fim_middle|>'}[m.role] }}"
    "{{ m.content }}{% endfor %}{{ '<|fim_middle|>' if add_generation_prompt else '<|endoftext|>' }}"
)
NUMBERS_ITS_CALLS = (
    "{% set ns = namespace(n=0) %}{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% for call in m.tool_calls or [] %}<tool_call>{{ ns.n }}{{ call.function.arguments | tojson }}</tool_call>"
    "{% set ns.n = ns.n + 1 %}{% endfor %}"
    "{% if m.role == 'tool' %}{% set at = namespace(n=0, found='') %}{% for o in messages %}"
    "{% for call in o.tool_calls or [] %}{% if call.id == m.tool_call_id and at.found == '' %}"
    "{% set at.found = at.n %}{% endif %}{% set at.n = at.n + 1 %}{% endfor %}{% endfor %}[{{ at.found }}]{% endif %}"
    "{{ m.content or '' }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
LOOKS_AT_THE_MESSAGE_BEFORE_THE_TURN = each(
    "{% if m.role == 'tool' and messages[loop.index0 - 2].role == 'tool' %}again: {% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content or '' }}" + CALLS + "<|im_end|>\n"
)
RESULTS_STAND_IN_THE_TURN = (
    "{% for m in messages %}{% if m.role == 'tool' %}[{{ m.content }}]{% elif m.role == 'assistant' %}<|im_start|>"
    "{{ m.content or '' }}{% for call in m.tool_calls or [] %}<tool_call>{{ call.function.arguments | tojson }}"
    "</tool_call>{% endfor %}{% else %}<|fim_prefix|>{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>{% endif %}"
)
CALLS_IN_PLAIN_TEXT = each(
    "{% if m.role == 'tool' %}=> {{ m.content }} {% else %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}"
    "{% for call in m.tool_calls or [] %}{{ call.function.arguments | tojson }}{% endfor %}"
    "{{ '<|im_end|>\n' if not m.tool_calls }}{% endif %}"
)
ENDS_WITHOUT_CLOSE = each(
    "<|im_start|>{{ m.role }}\n{{ m.content or '' }}"
    "{% for call in m.tool_calls or [] %}<tool_call>{{ call.function.arguments | tojson }}"
    "{{ ' ' ~ call.id if not loop.last or not messages[-1].tool_calls }}</tool_call>{% endfor %}"
    "{{ '\n<|im_end|>\n' if not (loop.last and m.role == 'assistant') }}"
)
EMPTY_IS_A_CONTENT = each(
    "<|im_start|>{{ m.role }}\n{% if m.content is none %}" + CALLS + "{% else %}{{ m.content }}{% endif %}<|im_end|>\n"
)


@pytest.fixture
def trial(qwen3_tokenizer: FakeTokenizer) -> TrialMaker:
    return partial(Trial, qwen3_tokenizer.transformers_tokenizer)


def rendered_anew(one: Trial, history: list[Any], after: Any, *tail: Any, sampled: str) -> str:
    """What the template writes behind `sampled` in the whole conversation."""
    text = one.local.render_now([*history, after, *tail]).text
    return text[text.rfind(sampled) + len(sampled) :]


@pytest.mark.parametrize(
    "history",
    [
        [system("be quick /no_think"), QUESTION],
        [user("hm /no_think"), ANSWER, QUESTION],
        [user("hm /no_think"), ANSWER, user("/think again"), ANSWER, QUESTION],
        [system("/no_think"), user("/no_think /think")],
        [system("/no_think"), user("/think"), ANSWER, QUESTION],
        [QUESTION],
    ],
)
def test_a_switch_for_thinking_that_was_said_before_is_heeded(trial: TrialMaker, history: list[Any]) -> None:
    """SmolLM3 looks for it in the system message, Nemotron Nano 2 in the user's messages too."""
    one = trial(SWITCHES_THINKING)
    expected = rendered_anew(one, history, ANSWER, user("more"), sampled="\na")
    assert one.text(user("more"), history=history) == expected


def test_an_opener_is_no_close_although_a_conversation_ends_with_another_token(trial: TrialMaker) -> None:
    """Metharme writes an end-of-text behind the last turn only."""
    one = trial(ENDS_WITH_END_OF_TEXT_ONCE)
    assert one.text(user("b"), sampled="a<|endoftext|>") == "<|fim_prefix|>b<|fim_middle|>"
    assert one.text(user("b"), sampled="a") == "<|fim_prefix|>b<|fim_middle|>"


def test_calls_are_found_where_a_generation_prompt_is_written_unasked_and_numbers_are_right(trial: TrialMaker) -> None:
    """Command A and R7B number calls over the whole conversation."""
    one = trial(NUMBERS_ITS_CALLS)
    first = one.text(result("r"), after=CALL, sampled="<tool_call>0{}</tool_call><|im_end|>")
    assert first == "\n<|im_start|>tool\n[0]r<|im_end|>\n<|im_start|>assistant"
    earlier = [QUESTION, calls("call00000"), result("x", "call00000"), ANSWER, QUESTION]
    unanswered = [QUESTION, calls("call00000"), QUESTION]
    for history in (earlier, unanswered):
        again = one.text(result("r"), after=CALL, history=history, sampled="<tool_call>1{}</tool_call><|im_end|>")
        assert again == "\n<|im_start|>tool\n[1]r<|im_end|>\n<|im_start|>assistant"


def test_a_call_that_ends_a_conversation_may_be_written_otherwise(trial: TrialMaker) -> None:
    """Apriel 1.6 writes a call's id, and closes a turn, only where something follows."""
    one = trial(ENDS_WITHOUT_CLOSE)
    bridge = "\n<|im_start|>tool\nr\n<|im_end|>\n<|im_start|>assistant\n"
    assert one.text(result("r"), after=CALL, sampled="<tool_call>1</tool_call>\n<|im_end|>") == bridge
    assert one.text(result("r"), after=CALL, sampled="<tool_call>1</tool_call>") == "<|im_end|>" + bridge


def test_what_stands_right_before_the_turn_is_kept(trial: TrialMaker) -> None:
    """Bielik is off by one: it looks two messages back."""
    one = trial(LOOKS_AT_THE_MESSAGE_BEFORE_THE_TURN)
    history = [QUESTION, calls("call00000"), result("x", "call00000")]
    bridge = one.text(result("r"), after=CALL, history=history, sampled="<tool_call>1</tool_call><|im_end|>")
    assert bridge.startswith("\nagain: <|im_start|>tool\nr")
    answered = [*history, ANSWER, QUESTION]
    bridge = one.text(result("r"), after=CALL, history=answered, sampled="<tool_call>1</tool_call><|im_end|>")
    assert bridge.startswith("\n<|im_start|>tool\nr")


def test_a_call_may_end_with_a_token_of_its_own_and_go_on_with_text(trial: TrialMaker) -> None:
    """Apertus writes a tool's answer as text right behind the call, in the same turn."""
    one = trial(RESULTS_STAND_IN_THE_TURN)
    assert one.text(result("r"), after=CALL, sampled='<tool_call>{"n": 1}</tool_call>') == "[r]<|im_start|>"


def test_calls_that_are_written_and_end_in_plain_text_are_refused(trial: TrialMaker) -> None:
    """What a stand-in says of a call must not get into a prompt."""
    one = trial(CALLS_IN_PLAIN_TEXT)
    assert FallbackReason.TEMPLATE_UNPROVABLE in one.text(result("r"), after=CALL, sampled='{"n": 1}')
    assert one.text(user("b"), sampled="a<|im_end|>") == "\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("content", [None, "", "hm"])
def test_an_empty_content_may_hide_the_calls(trial: TrialMaker, content: str | None) -> None:
    """DeepSeek-R1-Distill writes calls beside no content only."""
    one = trial(EMPTY_IS_A_CONTENT)
    after = calls("call00001", content=content)
    assert one.text(result("r"), after=after, sampled="a<|im_end|>").startswith("\n<|im_start|>tool\nr<|im_end|>\n")


def report(one: Trial) -> TemplateReport:
    return run_plan(examine(), one.bridge.render)


@pytest.mark.parametrize("kind", [TailKind(("user",)), TailKind(("system", "user"))])
def test_reasoning_is_stripped_from_contents_too(trial: TrialMaker, kind: TailKind) -> None:
    """DeepSeek's templates cut `</think>` out of contents and know no field for reasoning."""
    said = "{{ m.content if loop.last else m.content.split('</think>')[-1] }}"
    cuts = each("<|im_start|>{{ m.role }}\n" + said + "<|im_end|>\n")
    assert kind in report(trial(cuts)).strips_reasoning
    assert report(trial(templates.CHATML)).strips_reasoning == ()


def test_what_an_earlier_user_said_is_not_guessed(trial: TrialMaker) -> None:
    """A template that repeats the first question behind each turn."""
    first = "{% if loop.last %} ({{ messages[0].content }}){% endif %}"
    repeats = each("<|im_start|>{{ m.role }}\n{{ m.content }}" + first + "<|im_end|>\n")
    bridged = trial(repeats).text(user("b"), history=[user("task"), ANSWER, QUESTION], sampled="a<|im_end|>")
    assert bridged == "\n<|im_start|>user\nb (task)<|im_end|>\n<|im_start|>assistant\n"
