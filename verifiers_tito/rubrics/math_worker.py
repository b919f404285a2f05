"""A program of its own that compares mathematical answers: `python -P math_worker.py`.

It writes `ready`, then reads one JSON object per line, `{"reference": ..., "response": ...}`, and answers each with one
word on a line. It may hang or die over a line: whoever started it sets the time and starts another. It imports nothing
of this package, so that it starts fast and from anywhere.
"""

from __future__ import annotations

import json
import logging
import sys

from math_verify import parse, verify


def compare(reference: str, response: str) -> str:
    """`equal`, `different`, or `unreadable` where the reference is no answer at all."""
    if _as_words(reference) and _as_words(response):
        return "equal" if _as_words(reference) == _as_words(response) else "different"
    expected, given = (parse(f"\\boxed{{{text}}}", parsing_timeout=None) for text in (reference, response))
    if not expected:
        return "unreadable"
    return "equal" if verify(expected, given, timeout_seconds=None) else "different"


def _as_words(text: str) -> str:
    """A text of plain words, without regard to case and spaces; "" for anything else. As an expression, `blue` would be
    the product of its letters, and equal to `lube`."""
    words = text.removeprefix("\\text{").removesuffix("}").split()
    return " ".join(words).casefold() if words and all(word.isalpha() and len(word) > 1 for word in words) else ""


def main() -> None:
    logging.disable(logging.WARNING)  # that no time limit is set here
    answers, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(compare(**json.loads(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
