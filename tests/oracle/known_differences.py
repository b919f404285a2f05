"""Where we and the hand-written renderers differ, why, and who is right by the template. Everything else is the same.

The test holds this table to the letter: a difference that is not declared fails, and so does a declared one that is
gone or has become another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tests.corpus.shape import Ending
from tests.corpus.shapes import make_shapes
from tests.oracle.comparison import SEED, Case, Verdict, What
from tests.oracle.pairs import PAIRS


class Right(StrEnum):
    """Who gives what the template gives, or declines where the template refuses or rewrites what came before."""

    OURS = "we"
    THEIRS = "the renderer"
    POLICY = "a matter of policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDifference:
    """`shapes` are names of cases. `verdict` is the same for each of them in each family. `reason` is one sentence."""

    families: tuple[str, ...]
    what: What
    shapes: tuple[str, ...]
    verdict: Verdict
    reason: str
    right: Right

    def __post_init__(self) -> None:
        if self.verdict.is_agreement:
            raise ValueError(f"{self.verdict!r} is no difference")

    def covers(self, case: Case) -> bool:
        """Whether it speaks of this case, however it came out."""
        return case.family in self.families and case.what is self.what and case.name in self.shapes


_SHAPES = [shape for shape in make_shapes(SEED) if shape.ending is not Ending.ALTERNATIVE]
ANSWERED = tuple(shape.name for shape in _SHAPES if shape.tail[-1]["role"] == "tool")
ANSWERED_THEN_USER = tuple(
    shape.name for shape in _SHAPES if shape.tail[0]["role"] == "tool" and shape.tail[-1]["role"] == "user"
)
PARALLEL_CALLS = tuple(shape.name for shape in _SHAPES if len(shape.calls) > 1)
SYSTEM_AGAIN = tuple(shape.name for shape in _SHAPES if shape.tail[0]["role"] == "system")
LATER_ROUNDS = ("third_tool_round", "tool_round_after_an_earlier_question")
CUT_CALLS = ("call_truncated_before_its_close", "stop_string_before_a_tool_result")
CUT_REASONING = ("turn_truncated_in_its_reasoning",)
CUT_TURNS = ("truncated_turn", "turn_truncated_in_white_space", "stop_string_turn", *CUT_CALLS)
USER_CONTROLS = ("control_string_in_user_content", "control_string_is_all_user_content")
TOOL_CONTROLS = ("control_string_in_tool_result",)

EVERY_FAMILY = tuple(pair.family for pair in PAIRS)
QWEN3_5_AND_LATER = ("qwen3_5_think", "qwen3_5_nothink", "qwen3_6", "qwen3_8")
LATER_GEMMA4 = ("gemma4_v3", "gemma4", "gemma4_v4", "gemma4_v5", "diffusion_gemma")
NEMOTRON3 = ("nemotron_3_nano", "nemotron_3_super", "nemotron_3_ultra", "nemotron_3_5_lightning")


def _but(families: tuple[str, ...], *left_out: str) -> tuple[str, ...]:
    return tuple(family for family in families if family not in left_out)


_CONTROL_STRINGS = (
    "A control string in a message becomes control ids with the renderer, as with the template; with us it stays text."
)
CONTROL_STRINGS = (
    KnownDifference(
        families=_but(EVERY_FAMILY, "gptoss"),
        what=What.BRIDGE,
        shapes=USER_CONTROLS,
        verdict=Verdict.OTHER_IDS,
        reason=_CONTROL_STRINGS,
        right=Right.POLICY,
    ),
    KnownDifference(
        families=_but(EVERY_FAMILY, "gptoss", "deepseekv3", "gemma4_v2"),
        what=What.BRIDGE,
        shapes=TOOL_CONTROLS,
        verdict=Verdict.OTHER_IDS,
        reason=_CONTROL_STRINGS,
        right=Right.POLICY,
    ),
)
"""With the policy "parse" these are the same; a test says so. Harmony's encoder keeps contents text, as we do."""

QWEN = (
    KnownDifference(
        families=("qwen3", "qwen3_5_think", "qwen3_6", "qwen3_8", "deepseekv3", *NEMOTRON3),
        what=What.BRIDGE,
        shapes=CUT_REASONING,
        verdict=Verdict.OTHER_IDS,
        reason="The renderer closes reasoning that was cut short with `</think>` before it closes the turn; "
        "neither the model nor the template wrote that.",
        right=Right.OURS,
    ),
    *(
        KnownDifference(
            families=("qwen3_instruct_2507",),
            what=what,
            shapes=("thinking_off", "thinking_off_and_tool_result"),
            verdict=Verdict.OTHER_IDS,
            reason="One renderer serves all of Qwen3 and writes an empty thinking block where thinking is off; this "
            "template knows no thinking.",
            right=Right.OURS,
        )
        for what in What
    ),
    KnownDifference(
        families=("qwen3_5_nothink",),
        what=What.PROMPT,
        shapes=("long_history", "very_long_history_with_system_prompt", "tool_round_after_an_earlier_question"),
        verdict=Verdict.OTHER_IDS,
        reason="With thinking off the renderer writes the empty thinking block into every earlier turn, on purpose; "
        "the template leaves it out before the last user's message.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("qwen3_vl",),
        what=What.BRIDGE,
        shapes=SYSTEM_AGAIN,
        verdict=Verdict.OTHER_IDS,
        reason="The template drops a system message that is not the first; the renderer writes it.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=QWEN3_5_AND_LATER,
        what=What.BRIDGE,
        shapes=SYSTEM_AGAIN,
        verdict=Verdict.WE_DECLINE,
        reason="The template raises on a system message that is not the first; the renderer writes it.",
        right=Right.OURS,
    ),
)

LLAMA = (
    KnownDifference(
        families=("llama3_1", "llama3_2"),
        what=What.BRIDGE,
        shapes=PARALLEL_CALLS,
        verdict=Verdict.WE_DECLINE,
        reason="The template raises on a turn with more than one call; the renderer looks at the results only.",
        right=Right.OURS,
    ),
)

GEMMA4 = (
    KnownDifference(
        families=("gemma4_v2",),
        what=What.PROMPT,
        shapes=("third_tool_round", "plain_turn_after_a_tool_round", "tool_round_after_an_earlier_question"),
        verdict=Verdict.OTHER_IDS,
        reason="This first release makes tool results turns of their own; the renderer writes them into the model's "
        "turn, as later releases do.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("gemma4_v2",),
        what=What.PROMPT,
        shapes=("thinking_on", "thinking_on_and_tool_result"),
        verdict=Verdict.OTHER_IDS,
        reason="This first release writes no line break behind `<|think|>`; later ones and the renderer do.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("gemma4_v2",),
        what=What.BRIDGE,
        shapes=(*ANSWERED, *ANSWERED_THEN_USER),
        verdict=Verdict.THEY_DECLINE,
        reason="A calling turn ends with `<turn|>` in this first release, and behind that the renderer takes no tool "
        "result.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=LATER_GEMMA4,
        what=What.BRIDGE,
        shapes=(*ANSWERED_THEN_USER, "user_after_an_unanswered_tool_call"),
        verdict=Verdict.THEY_DECLINE,
        reason="Behind `<|tool_response>`, with which a calling turn ends, the renderer takes tool results and nothing "
        "else.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=LATER_GEMMA4,
        what=What.BRIDGE,
        shapes=CUT_CALLS,
        verdict=Verdict.THEY_DECLINE,
        reason="The renderer closes a turn without an end with `<turn|>`, even behind a call, and then takes no tool "
        "result.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("gemma4_v3", "gemma4", "gemma4_v4"),
        what=What.BRIDGE,
        shapes=("thinking_on_and_tool_result",),
        verdict=Verdict.OTHER_IDS,
        reason="The renderer opens the thoughts behind tool results where thinking is on, as the latest release does; "
        "this one writes nothing there.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("diffusion_gemma",),
        what=What.PROMPT,
        shapes=LATER_ROUNDS,
        verdict=Verdict.OTHER_IDS,
        reason="This template opens a new turn of the model behind tool results in the history; Gemma 4's and the "
        "renderer go on with the old one.",
        right=Right.OURS,
    ),
)

GPT_OSS = (
    KnownDifference(
        families=("gptoss",),
        what=What.PROMPT,
        shapes=(
            "system_prompt_at_start",
            "very_long_history_with_system_prompt",
            "system_and_user_after_a_system_prompt",
        ),
        verdict=Verdict.OTHER_IDS,
        reason="The template writes an empty line behind instructions that no tools follow; OpenAI's encoder, which "
        "the renderer calls, does not.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("gptoss",),
        what=What.PROMPT,
        shapes=("third_tool_round", "plain_turn_after_a_tool_round", "tool_round_after_an_earlier_question"),
        verdict=Verdict.OTHER_IDS,
        reason="The template names a call's recipient before the channel and calls its content `json`; OpenAI's "
        "encoder writes the recipient behind the channel.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("gptoss",),
        what=What.BRIDGE,
        shapes=(*ANSWERED, *ANSWERED_THEN_USER),
        verdict=Verdict.OTHER_IDS,
        reason="The template writes a result as JSON under the name of the tool that was called; the renderer writes "
        "it as it is, under `unknown` where the message does not name the tool.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("gptoss",),
        what=What.BRIDGE,
        shapes=SYSTEM_AGAIN,
        verdict=Verdict.OTHER_IDS,
        reason="The template drops a system message that is not the first; the renderer makes it a developer's.",
        right=Right.OURS,
    ),
)

DEEPSEEK = (
    KnownDifference(
        families=("deepseekv3",),
        what=What.PROMPT,
        shapes=("third_tool_round",),
        verdict=Verdict.OTHER_IDS,
        reason="The template opens calls and results with a mark in the first tool round only; the renderer does so "
        "in each.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("deepseekv3",),
        what=What.PROMPT,
        shapes=("plain_turn_after_a_tool_round",),
        verdict=Verdict.OTHER_IDS,
        reason="The template writes no generation prompt behind tool results; the renderer opens the reasoning.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("deepseekv3",),
        what=What.BRIDGE,
        shapes=ANSWERED,
        verdict=Verdict.OTHER_IDS,
        reason="The template writes no generation prompt behind tool results, and opens results with a mark in the "
        "first tool round only; the renderer opens the reasoning, and the results in each round.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("deepseekv3",),
        what=What.BRIDGE,
        shapes=ANSWERED_THEN_USER,
        verdict=Verdict.OTHER_IDS,
        reason="The template closes tool results with a mark only where nothing follows them; the renderer always "
        "does.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("deepseekv3",),
        what=What.BRIDGE,
        shapes=SYSTEM_AGAIN,
        verdict=Verdict.WE_DECLINE,
        reason="The template moves every system message to the beginning, before ids that were sent; the renderer "
        "writes it as a user's.",
        right=Right.OURS,
    ),
)

GLM = (
    KnownDifference(
        families=("glm4moe",),
        what=What.BRIDGE,
        shapes=(*CUT_TURNS, *CUT_REASONING),
        verdict=Verdict.OTHER_IDS,
        reason="The renderer closes a turn without an end with `<|endoftext|>` (and its reasoning with `</think>`); "
        "the template closes turns with nothing but the next role's mark.",
        right=Right.OURS,
    ),
    KnownDifference(
        families=("glm4moe",),
        what=What.BRIDGE,
        shapes=(
            *SYSTEM_AGAIN,
            "user_after_an_unanswered_tool_call",
            "alternative_end <|observation|>",
            "alternative_end_of_a_call <|user|>",
        ),
        verdict=Verdict.WE_DECLINE,
        reason="The model ended its turn with the mark of another role than the one that speaks next; the renderer "
        "(and the reference) goes on behind that mark, which then reads as an empty turn, and we render anew.",
        right=Right.POLICY,
    ),
)

KNOWN_DIFFERENCES = (*CONTROL_STRINGS, *QWEN, *LLAMA, *GEMMA4, *GPT_OSS, *DEEPSEEK, *GLM)
