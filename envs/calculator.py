"""Calculator: questions with long numbers, and a tool that calculates.

The model calls `calculate` as often as it wants and then answers in words. The tool reads the expression as a syntax
tree and knows numbers, parentheses, + - * / // % ** and nothing else: what a model writes is never run as a program,
and numbers that would take long to calculate are refused. What is wrong with an expression is told to the model. The
reward is 1.0 where the last number of the answer is the right one; tool calls are counted as metrics.
"""

from __future__ import annotations

import ast
import operator
import random
import re
from collections.abc import Callable
from typing import Any

import verifiers_tito as vf

SYSTEM_PROMPT = "Use the calculator, then answer with the number."
MOST_DIGITS = 100
LONGEST_EXPRESSION = 200

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_CHARACTERS = re.compile(r"[0-9eE.+\-*/%() ]*")
_NUMBER = re.compile(r"-?\d[\d,]{0,200}(?:\.\d{1,30})?")


def calculate(expression: str) -> str:
    """Calculates an arithmetic expression.

    Args:
        expression: numbers, parentheses and + - * / // % **, such as "2 * (3 + 4)"
    """
    if len(expression) > LONGEST_EXPRESSION:
        raise ValueError(f"an expression has {LONGEST_EXPRESSION} characters at most, this one has {len(expression)}")
    if not _CHARACTERS.fullmatch(expression):
        raise ValueError("an expression is made of numbers, parentheses and + - * / // % **")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"{expression} is no arithmetic expression") from error
    return str(_value(tree.body))


def _value(node: ast.expr) -> int | float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return _small(node.value)
    if isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
        return _small(UNARY[type(node.op)](_value(node.operand)))
    if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and abs(right) > MOST_DIGITS:
            raise ValueError(f"an exponent is {MOST_DIGITS} at most")
        return _small(BINARY[type(node.op)](left, right))
    raise ValueError(f"{ast.unparse(node)} is no number and no sum, difference, product, quotient or power")


def _small(number: int | float | complex) -> int | float:
    if isinstance(number, complex):
        raise ValueError("the result is no real number")
    if isinstance(number, int) and abs(number) >= 10**MOST_DIGITS:
        raise ValueError(f"a number has {MOST_DIGITS} digits at most")
    return number


def right_number(completion: vf.Messages, answer: str) -> float:
    """Whether the last number of the last message is the answer, digit by digit."""
    last = completion[-1] if completion else None
    numbers = _NUMBER.findall(vf.content_to_text(last.content)) if last and last.role == "assistant" else []
    return float(bool(numbers) and numbers[-1].replace(",", "") == answer)


def load_environment(num_examples: int = 100, digits: int = 8, max_turns: int = 4, seed: int = 0) -> vf.Environment:
    """`num_examples` products and sums of numbers with `digits` digits, drawn from `seed`."""
    draw = random.Random(seed)
    rows = []
    for _ in range(num_examples):
        a, b, c = (draw.randint(10 ** (digits - 1), 10**digits - 1) for _ in range(3))
        rows.append({"question": f"What is {a} * {b} + {c}?", "answer": str(a * b + c)})
    return vf.ToolEnv(
        tools=[calculate],
        max_turns=max_turns,
        dataset=vf.Environment.make_dataset(rows),
        system_prompt=SYSTEM_PROMPT,
        rubric=vf.Rubric(right_number),
    )
