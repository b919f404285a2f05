"""Arithmetic: one question such as "What is 17 + 4 * 23?", one answer.

A single turn, no tools. The reward is 1.0 where the last number of the answer is the right one. `calculator.py` asks
the same kind of question and gives the model a tool for it.
"""

from __future__ import annotations

import operator
import random
import re

import verifiers_tito as vf

SYSTEM_PROMPT = "Answer with the number and nothing else."
OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_NUMBER = re.compile(r"-?\d[\d,]{0,30}(?:\.\d{1,30})?")


def right_number(completion: vf.Messages, answer: str) -> float:
    """Whether the last number of the last message is the answer."""
    numbers = _NUMBER.findall(vf.content_to_text(completion[-1].content)) if completion else []
    return float(bool(numbers) and float(numbers[-1].replace(",", "")) == float(answer))


def make_rows(num_examples: int, highest: int, seed: int) -> list[dict[str, str]]:
    """Questions with three numbers from 2 to `highest`, drawn from `seed`."""
    draw = random.Random(seed)
    rows = []
    for _ in range(num_examples):
        a, b, c = (draw.randint(2, highest) for _ in range(3))
        sign = draw.choice(list(OPERATORS))
        rows.append({"question": f"What is {a} {sign} {b} * {c}?", "answer": str(OPERATORS[sign](a, b * c))})
    return rows


def load_environment(num_examples: int = 100, highest: int = 99, seed: int = 0) -> vf.Environment:
    """`num_examples` questions with numbers up to `highest`, drawn from `seed`."""
    return vf.SingleTurnEnv(
        dataset=vf.Environment.make_dataset(make_rows(num_examples, highest, seed)),
        system_prompt=SYSTEM_PROMPT,
        rubric=vf.Rubric(right_number),
    )
