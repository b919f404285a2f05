"""Summaries marked by a judge: one sentence about a short text, from 1 to 5 points.

Whether a summary is good cannot be computed, so another model says so. The judge sees the summary as material, between
marks that the summary cannot imitate; asking it for five points does not help. What can be computed is: a summary
that is too long earns half. The judge's client is given by whoever runs this: an `AsyncOpenAI`, or a `vf.ClientConfig`.
"""

from __future__ import annotations

from typing import Any

import verifiers_tito as vf

TEXTS = (
    "The ferry to the island runs four times a day in summer and once in winter. Since the bridge was closed in March, "
    "it also carries the post, and the school has moved its first lesson to nine, when the early boat has landed.",
    "A baker measured the temperature of her oven for a month. It was eleven degrees colder than its dial said. She "
    "did not have it repaired: she drew a new dial, and her bread has been the same every day since.",
    "Bees that find much food dance to tell the others where it is. The angle of the dance gives the direction, its "
    "length the distance. On cloudy days the dances are shorter, and fewer bees set out.",
    "The library lends tools as well as books. Drills are the most wanted, ladders the least. Nobody has ever kept a "
    "hammer for longer than agreed, but every spring the one hedge trimmer has a list of nine people waiting.",
)
SYSTEM_PROMPT = "You summarize texts. Answer with one plain sentence and nothing else."
JUDGE_PROMPT = """\
Somebody was asked to summarize a text in one sentence:
{question}

The summary:
{response}

How good is it? 5: all that matters, nothing wrong, one sentence. 3: right, but something that matters is missing. \
1: wrong, or no summary. End with a line such as "Score: 3"."""


def short_enough(parser: vf.Parser, completion: vf.Messages, most_words: int) -> float:
    """1.0 for a summary of at most `most_words` words."""
    return float(0 < len(parser.parse_answer(completion).split()) <= most_words)


def load_environment(
    judge_client: Any, judge_model: str, most_words: int = 30, judge_sampling_args: dict[str, Any] | None = None
) -> vf.Environment:
    """One row for each text; half of the reward is the judge's, half is for being short."""
    rubric = vf.JudgeRubric(
        parser=vf.MaybeThinkParser(),
        judge_client=judge_client,
        judge_model=judge_model,
        judge_prompt=JUDGE_PROMPT,
        judge_sampling_args=judge_sampling_args or {"temperature": 0.0},
    )
    rubric.add_reward_func(rubric.points, weight=0.5)
    rubric.add_reward_func(short_enough, weight=0.5)
    rubric.add_class_object("most_words", most_words)
    rows = [{"question": f"Summarize in at most {most_words} words:\n\n{text}"} for text in TEXTS]
    return vf.SingleTurnEnv(dataset=rows, system_prompt=SYSTEM_PROMPT, rubric=rubric)
