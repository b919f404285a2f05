"""Answers out of texts: `\\boxed{...}`, `#### ...`, digits."""

from __future__ import annotations

import re

_BOX = re.compile(r"\\boxed\s*\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
"""A brace, or a pair of characters that begins with a backslash: `\\{` is no brace of LaTeX's own."""


def extract_boxed_answer(text: str, strict: bool = False) -> str:
    """What stands in the last `\\boxed{...}`, whatever braces it holds.

    Without a box, or where the last one is never closed: "" if `strict` (for rewards, where the format matters), else
    the text as it is (for answers that may or may not be boxed).
    """
    boxes = list(_BOX.finditer(text))
    depth = 1
    for brace in _BRACE.finditer(text, boxes[-1].end()) if boxes else ():
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return text[boxes[-1].end() : brace.start()]
    return "" if strict else text


def extract_hash_answer(text: str) -> str:
    """What stands behind the last `####`, as GSM8K marks its answers; the text itself without one."""
    return text.rpartition("####")[2].strip() if "####" in text else text


def strip_non_numeric(text: str) -> str:
    """The digits and points of `text`."""
    return "".join(character for character in text if character.isdigit() or character == ".")
