"""What is learned of a template, and the bridge that comes of it: small templates, each with one habit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.stitching import templates
from tests.stitching.templates import ANSWER, QUESTION, Trial, calls
from tests.tokenization.conversations import result, system, user
from verifiers_tito.errors import InfraError
from verifiers_tito.stitching import (
    STANDARD_KINDS,
    Bridge,
    Context,
    Fallback,
    Junction,
    TailKind,
    TemplateBook,
    Verdict,
    Way,
    examine,
    run_plan,
)
from verifiers_tito.stitching.stand_in import CallStyle
from verifiers_tito.testing import FakeTokenizer
from verifiers_tito.types import FallbackReason

USER, TOOL = TailKind(("user",)), TailKind(("tool",), calls=True)
CALL = calls("call00001")
TrialMaker = Callable[[str], Trial]
GO_ON = "<|im_start|>assistant\n"


@pytest.fixture
def trial(qwen3_tokenizer: FakeTokenizer) -> TrialMaker:
    """`trial(template)`: that template with Qwen 3's vocabulary and an empty book."""
    return partial(Trial, qwen3_tokenizer.transformers_tokenizer)


def test_the_bridge_is_the_rest_of_the_close_the_new_message_and_the_prompt(trial: TrialMaker) -> None:
    chatml = trial(templates.CHATML)
    after = "\n<|im_start|>user\nmore<|im_end|>\n" + GO_ON
    assert chatml.text(user("more"), sampled="a<|im_end|>") == after
    assert chatml.text(user("more"), sampled="a") == "<|im_end|>" + after
    assert chatml.text(user("more"), sampled="a<|im_end|>\n") == after.removeprefix("\n")


def test_nothing_that_the_stand_in_says_gets_into_the_bridge(trial: TrialMaker) -> None:
    history = [system("be kind"), user("long ago"), ANSWER, QUESTION]
    assert trial(templates.CHATML).text(user("?"), history=history, sampled="a<|im_end|>") == (
        "\n<|im_start|>user\n?<|im_end|>\n" + GO_ON
    )


def test_every_message_said_since_is_in_the_bridge_in_order(trial: TrialMaker) -> None:
    tail = (result("1"), result("2"), system("now"), user("go"))
    assert trial(templates.CALLING).text(*tail, after=CALL, sampled="<tool_call>1</tool_call><|im_end|>") == (
        "\n<|im_start|>tool\n1<|im_end|>\n<|im_start|>tool\n2<|im_end|>\n<|im_start|>system\nnow<|im_end|>\n"
        "<|im_start|>user\ngo<|im_end|>\n" + GO_ON
    )


def test_a_template_that_closes_nothing_goes_on_with_the_next_opener(trial: TrialMaker) -> None:
    closeless = trial(templates.CLOSELESS)
    assert closeless.text(user("b")) == "<|fim_prefix|>b<|fim_middle|>"
    assert closeless.text(user("b"), sampled="a<|fim_prefix|>") == "b<|fim_middle|>"
    assert closeless.text(user("b"), sampled="a<|endoftext|>") == "<|fim_prefix|>b<|fim_middle|>"
    assert closeless.text(result("1"), after=CALL, sampled="a<|fim_suffix|>") == "1<|fim_middle|>"
    assert closeless.book.close_ids == []


def test_a_turn_that_ended_with_another_role_s_opener_falls_back(trial: TrialMaker) -> None:
    closeless = trial(templates.CLOSELESS)
    assert FallbackReason.TURN_ENDED_OTHERWISE in closeless.text(user("b"), sampled="a<|fim_suffix|>")
    assert FallbackReason.TURN_ENDED_OTHERWISE in closeless.text(result("1"), after=CALL, sampled="a<|fim_prefix|>")


def test_a_line_break_before_the_opener_is_not_put_behind_a_sampled_opener(trial: TrialMaker) -> None:
    closeless = trial(templates.CLOSELESS_WITH_LINE_BREAKS)
    assert closeless.text(user("b")) == "\n<|fim_prefix|>b\n<|fim_middle|>"
    assert closeless.text(user("b"), sampled="a\n<|fim_prefix|>") == "b\n<|fim_middle|>"
    assert closeless.text(user("b"), sampled="a<|fim_prefix|>") == "b\n<|fim_middle|>"


def test_a_line_break_before_the_opener_hides_no_other_role_s_opener(trial: TrialMaker) -> None:
    closeless = trial(templates.CLOSELESS_WITH_LINE_BREAKS)
    assert FallbackReason.TURN_ENDED_OTHERWISE in closeless.text(user("b"), sampled="a<|fim_suffix|>")


def test_a_line_break_before_the_opener_is_written_behind_a_call_that_was_cut_short(trial: TrialMaker) -> None:
    closeless = trial(templates.CLOSELESS_CALLS_WITH_LINE_BREAKS)
    bridged = "<|fim_suffix|>1\n<|fim_middle|>"
    for sampled, added in {"": "\n" + bridged, "\n": bridged, "<|fim_suffix|>": "1\n<|fim_middle|>"}.items():
        text = closeless.text(result("1"), after=CALL, sampled="<tool_call>{}</tool_call>" + sampled)
        assert text == added


def test_a_last_turn_s_own_end_stands_in_the_close_s_place(trial: TrialMaker) -> None:
    other = trial(templates.OTHER_FINAL_CLOSE)
    bridged = "<|im_start|>user\nb<|im_end|>" + GO_ON
    assert other.text(user("b"), sampled="a<|endoftext|>") == bridged
    assert other.text(user("b"), sampled="a<|im_end|>") == bridged
    assert other.text(user("b"), sampled="a") == "<|im_end|>" + bridged


@pytest.mark.parametrize("sampled", ["a<|quad_end|><|im_end|>", "a<|quad_end|>", "a<|im_end|>", "a"])
def test_of_two_closing_tokens_those_that_lack_are_added(trial: TrialMaker, sampled: str) -> None:
    added = {"a": "<|quad_end|><|im_end|>", "a<|quad_end|>": "<|im_end|>"}.get(sampled, "")
    bridged = "\n<|im_start|>user\nb<|quad_end|><|im_end|>\n" + GO_ON
    assert trial(templates.TWO_CLOSING_TOKENS).text(user("b"), sampled=sampled) == added + bridged


def test_a_blank_before_the_close_is_added_to_a_turn_cut_short_only(trial: TrialMaker) -> None:
    blank = trial(templates.BLANK_BEFORE_CLOSE)
    bridged = "\n<|im_start|>user\nb <|im_end|>\n" + GO_ON
    assert blank.text(user("b"), sampled="a") == " <|im_end|>" + bridged
    assert blank.text(user("b"), sampled="a<|im_end|>") == bridged
    assert blank.text(user("b"), sampled="a <|im_end|>") == bridged


def test_a_call_s_own_close_is_found_behind_its_syntax(trial: TrialMaker) -> None:
    other = trial(templates.CALLS_END_OTHERWISE)
    bridged = "<|im_start|>tool\n1<|im_end|>" + GO_ON
    assert other.text(result("1"), after=CALL, sampled="<tool_call>1</tool_call><|fim_pad|>") == bridged
    assert other.text(result("1"), after=CALL, sampled="<tool_call>1") == "<|fim_pad|>" + bridged
    for end in ("<|im_end|>", "<|fim_pad|>"):
        assert other.text(user("b"), sampled="a" + end) == "<|im_start|>user\nb<|im_end|>" + GO_ON


def test_a_turn_without_the_calls_that_the_template_writes_is_closed_as_a_plain_one(trial: TrialMaker) -> None:
    other = trial(templates.CALLS_END_OTHERWISE)
    assert other.text(user("b"), sampled="a") == "<|im_end|><|im_start|>user\nb<|im_end|>" + GO_ON


def test_a_template_that_writes_no_calls_is_bridged_behind_the_content(trial: TrialMaker) -> None:
    chatml = trial(templates.CHATML)
    assert chatml.text(result("1"), after=CALL, sampled="call!<|im_end|>") == (
        "\n<|im_start|>tool\n1<|im_end|>\n" + GO_ON
    )
    assert chatml.book.closes is not None
    assert chatml.book.closes.style.calls is CallStyle.NOT_SHOWN


def test_the_content_of_a_calling_turn_is_not_written_again_behind_the_results(trial: TrialMaker) -> None:
    behind = trial(templates.CONTENT_AFTER_RESULTS)
    after = calls("call00001", content="I shall look it up")
    assert behind.text(result("1"), after=after, sampled="<tool_call>1</tool_call><|im_end|>") == (
        "<tool_response>1</tool_response>" + GO_ON
    )
    assert behind.book.closes is not None
    assert not behind.book.closes.style.content_with_calls


def test_a_refused_role_falls_back_with_the_template_s_own_words(trial: TrialMaker) -> None:
    refusing = trial(templates.REFUSES_TOOLS)
    outcome = refusing.bridge.bridge(Junction.between([QUESTION], CALL, [result("1")]))
    assert isinstance(outcome, Fallback)
    assert outcome.reason is FallbackReason.TEMPLATE_REFUSED
    assert "no tools here" in outcome.detail
    assert refusing.book.tails[TOOL, Context()].verdict is Verdict.REFUSED
    assert refusing.book.tails[USER, Context()].verdict is Verdict.BRIDGED


def test_a_template_that_takes_no_two_turns_falls_back_with_its_own_words(trial: TrialMaker) -> None:
    refusing = trial(templates.REFUSES_ASSISTANTS)
    assert refusing.text(user("b")) == (
        f"{FallbackReason.TEMPLATE_REFUSED} (the chat template refused: only questions)"
    )


def test_a_system_message_that_would_change_the_beginning_falls_back(trial: TrialMaker) -> None:
    moving = trial(templates.SYSTEM_TO_THE_FRONT)
    outcome = moving.bridge.bridge(Junction.between([QUESTION], ANSWER, [system("new rules"), user("b")]))
    assert outcome == Fallback(FallbackReason.TAIL_MOVED, "it writes system before the turn")
    assert moving.book.tails[TailKind(("system", "user")), Context()].verdict is Verdict.MOVED
    assert moving.text(user("b")).startswith("<|im_end|>\n<|im_start|>user\nb")


def test_for_a_template_that_counts_turns_the_whole_history_is_rendered(trial: TrialMaker) -> None:
    counting = trial(templates.COUNTS_TURNS)
    history = [QUESTION, ANSWER] * 3
    for turns in (1, 3, 5):
        before = counting.rendered
        bridged = counting.text(user("b"), history=history[:turns], sampled="a<|im_end|>")
        assert bridged == f"\n<|im_start|>user {turns + 2}\nb<|im_end|>\n" + GO_ON
    assert counting.rendered - before == 2
    assert counting.book.tails[USER, Context()].verdict is Verdict.HISTORY_DEPENDENT


@pytest.mark.parametrize(
    "template", [templates.SYSTEM_TO_THE_FRONT_AND_ONE_ROUND_OF_TOOLS, templates.LONG_ONES_HAVE_THEIR_SYSTEM_IN_FRONT]
)
def test_a_message_that_a_longer_conversation_has_in_front_is_not_lost(trial: TrialMaker, template: str) -> None:
    history = [QUESTION, CALL, result("1"), ANSWER, QUESTION]
    outcome = trial(template).text(system("a new rule"), user("b"), history=history, sampled="a<|im_end|>")
    assert outcome == f"{FallbackReason.TAIL_MOVED} (it writes system before the turn)"


def test_another_role_s_marker_is_no_close_where_the_whole_history_is_rendered_either(trial: TrialMaker) -> None:
    numbered = trial(templates.CLOSELESS_AND_NUMBERED)
    assert numbered.text(user("b"), sampled="a<|fim_prefix|>") == "3b<|fim_middle|>"
    assert FallbackReason.TURN_ENDED_OTHERWISE in numbered.text(user("b"), sampled="a<|fim_suffix|>")


def test_ids_of_calls_that_come_twice_are_not_taken_for_different_calls(trial: TrialMaker) -> None:
    """Some environments number the calls of each turn anew."""
    pairing = trial(templates.RESULTS_STAND_WITH_THEIR_CALLS)
    outcome = pairing.text(result("new"), after=CALL, history=[QUESTION, CALL, result("old")], sampled="a<|im_end|>")
    assert outcome == f"{FallbackReason.TAIL_MOVED} (it writes tool before the turn)"


def test_a_cut_turn_is_tried_behind_a_question(trial: TrialMaker) -> None:
    assert run_plan(examine(), trial(templates.COUNTS_AND_BEGINS_WITH_A_USER).bridge.render).closes_cut_turns


def test_a_conversation_unlike_any_stand_in_is_rendered_as_a_whole_and_watched(trial: TrialMaker) -> None:
    """An answer to a call of an earlier turn: this template writes it where the call is, as Solar's does."""
    pairing = trial(templates.RESULTS_STAND_WITH_THEIR_CALLS)
    history = [QUESTION, calls("call00007"), QUESTION]
    late = pairing.text(result("late", "call00007"), result("1"), after=CALL, history=history, sampled="a<|im_end|>")
    assert late == f"{FallbackReason.TAIL_MOVED} (it writes tool before the turn)"
    own = pairing.text(result("1"), after=CALL, history=history, sampled="a<|im_end|>")
    assert own == "<tool_response>1</tool_response>" + GO_ON


def test_a_history_that_alternates_may_hold_a_call_that_nobody_answered(trial: TrialMaker) -> None:
    alternating = trial(templates.ALTERNATES)
    history = [QUESTION, calls("call00007", content="hm"), QUESTION]
    bridged = alternating.text(user("b"), history=history, sampled="a<|im_end|>")
    assert bridged == "\n<|im_start|>user\nb<|im_end|>\n" + GO_ON
    refused = alternating.text(user("b"), history=[QUESTION, QUESTION, ANSWER, QUESTION, CALL, QUESTION])
    assert refused == f"{FallbackReason.TEMPLATE_REFUSED} (the chat template refused: take turns)"


def test_a_template_that_looks_for_the_first_result_is_bridged_by_what_the_history_holds(trial: TrialMaker) -> None:
    first = trial(templates.KNOWS_THE_FIRST_RESULT)
    written = "<|im_start|>tool\n1<|im_end|>\n" + GO_ON
    assert first.text(result("1"), after=CALL, sampled="a<|im_end|>") == "\n<tool_response>" + written
    history = [QUESTION, CALL, result("0"), ANSWER, user("again")]
    assert first.text(result("1"), after=CALL, history=history, sampled="a<|im_end|>") == "\n" + written


def test_a_role_that_the_template_leaves_out_is_named(trial: TrialMaker) -> None:
    dropping = trial(templates.DROPS_TOOLS)
    assert dropping.text(result("secret"), after=CALL, sampled="a<|im_end|>") == "\n" + GO_ON
    proof = dropping.book.tails[TOOL, Context()]
    assert (proof.verdict, proof.dropped) == (Verdict.BRIDGED, ("tool",))


def test_a_repeated_system_prompt_is_the_real_one(trial: TrialMaker) -> None:
    repeating = trial(templates.REPEATS_THE_SYSTEM_PROMPT)
    bridged = repeating.text(user("b"), history=[system("be kind"), QUESTION], sampled="a<|im_end|>")
    assert bridged == "\n<|im_start|>user\n[be kind] b<|im_end|>\n" + GO_ON
    assert repeating.text(user("b"), sampled="a<|im_end|>") == "\n<|im_start|>user\nb<|im_end|>\n" + GO_ON


def test_system_messages_of_mid_conversation_are_repeated_too(trial: TrialMaker) -> None:
    repeating = trial(templates.REPEATS_ALL_SYSTEM_PROMPTS)
    history = [system("be kind"), QUESTION, system("be brief"), ANSWER, system("be quick"), QUESTION]
    assert repeating.text(user("b"), history=history, sampled="a<|im_end|>") == (
        "\n<|im_start|>user\n[be kind] [be brief] [be quick] b<|im_end|>\n" + GO_ON
    )


def test_a_close_of_plain_text_is_not_provable(trial: TrialMaker) -> None:
    plain = trial(templates.PLAIN_TEXT)
    outcome = plain.bridge.bridge(Junction.between([QUESTION], ANSWER, [user("b")]))
    assert isinstance(outcome, Fallback)
    assert outcome.reason is FallbackReason.TEMPLATE_UNPROVABLE
    assert "which is no control token" in outcome.detail
    report = run_plan(examine(), plain.bridge.render)
    assert not report.can_bridge
    assert "which is no control token" in report.problem


def test_the_report_tells_which_tails_strip_the_reasoning(trial: TrialMaker) -> None:
    assert USER in run_plan(examine(), trial(templates.STRIPS_REASONING).bridge.render).strips_reasoning
    assert run_plan(examine(), trial(templates.CHATML).bridge.render).strips_reasoning == ()


def test_the_report_tries_the_usual_tails_and_finds_the_close(trial: TrialMaker) -> None:
    report = run_plan(examine(), trial(templates.REFUSES_TOOLS).bridge.render)
    assert report.can_bridge
    assert list(report.tails) == list(STANDARD_KINDS)
    refused = {kind for kind, proof in report.tails.items() if proof.verdict is Verdict.REFUSED}
    assert refused == {kind for kind in STANDARD_KINDS if "tool" in kind.roles}


def test_what_is_learned_once_costs_one_rendering_a_turn(trial: TrialMaker) -> None:
    chatml = trial(templates.CHATML)
    chatml.text(user("b"))
    learned = chatml.rendered
    for turn in range(1, 6):
        chatml.text(user(f"b {turn}"), history=[QUESTION] * turn)
        assert chatml.rendered == learned + turn


def test_a_new_kind_of_tail_is_tried_out_once(trial: TrialMaker) -> None:
    chatml = trial(templates.CHATML)
    chatml.text(user("b"))
    counts = []
    for _ in range(3):
        before = chatml.rendered
        chatml.text(user("b"), user("c"), user("d"))
        counts.append(chatml.rendered - before)
    assert counts[0] > counts[1] == counts[2] == 1


def test_the_same_tail_behind_another_kind_of_history_is_tried_out_anew(trial: TrialMaker) -> None:
    chatml = trial(templates.CHATML)
    chatml.text(user("b"))
    for history in ([system("s"), QUESTION], [QUESTION, CALL, result("1"), ANSWER, QUESTION]):
        before = chatml.rendered
        chatml.text(user("b"), history=history)
        assert chatml.rendered - before > 1
        chatml.text(user("b"), history=history)
    contexts = {context for kind, context in chatml.book.tails if kind == USER}
    assert contexts == {Context(), Context(system=True), Context(tools=True)}


def test_a_template_that_cannot_be_bridged_is_asked_no_more(trial: TrialMaker) -> None:
    plain = trial(templates.PLAIN_TEXT)
    first = plain.text(user("b"))
    rendered = plain.rendered
    assert plain.text(user("b"), history=[system("s"), QUESTION]) == first
    assert plain.rendered == rendered


def test_what_else_goes_wrong_while_learning_leaves_the_book_as_it_was(trial: TrialMaker) -> None:
    chatml, book = trial(templates.CHATML), TemplateBook()
    junction = chatml.junction([QUESTION], ANSWER, user("b"))
    plan = book.learn(USER, Context())
    next(plan)
    with pytest.raises(InfraError, match="no network"):
        plan.throw(InfraError("no network"))
    assert book.closes is None
    assert not book.tails
    run_plan(book.learn(USER, Context()), chatml.bridge.render)
    assert isinstance(book.way(junction), Way)


@pytest.mark.parametrize(
    ("tail", "after", "kind"),
    [
        ([user("a")], ANSWER, TailKind(("user",))),
        ([user("a")], CALL, TailKind(("user",), calls=True)),
        ([result("1")], CALL, TailKind(("tool",), calls=True)),
        ([result("1")] * 5, CALL, TailKind(("tool", "tool"), calls=True)),
        ([*[result("1")] * 4, user("a"), result("2")], CALL, TailKind(("tool", "tool", "user", "tool"), calls=True)),
        ([user("a")] * 3, ANSWER, TailKind(("user",) * 2)),
    ],
)
def test_the_kind_of_a_tail_is_its_roles_and_many_results_are_as_two(
    tail: list[dict[str, object]], after: dict[str, object], kind: TailKind
) -> None:
    assert TailKind.of(tail, after=after) == kind


def test_the_neutralized_control_strings_of_a_tail_are_counted(trial: TrialMaker) -> None:
    bridge = trial(templates.CHATML).bridge.bridge(Junction.between([QUESTION], ANSWER, [user("<|im_end|> <think>")]))
    assert isinstance(bridge, Bridge)
    assert bridge.neutralized == 2
