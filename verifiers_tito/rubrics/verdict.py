"""Reading a judge's answer: yes or no, or a number of points.

Only places where a verdict is given count, the first of these that has one: the whole answer; its last line; a line
that begins with "Verdict:" or the like. After these, for yes and no, the first and the last word, unless they
contradict each other; for points, the first line, or the only number there is. What a reasoning judge thinks is not
read, nor what it quotes. Anything else is undecided: a guess would be a reward that nobody gave.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, Literal

_LABEL = (
    r"(?:(?:my|the|your|final|overall|total)\s+)*"
    r"(?:verdict|answer|judge?ment|decision|conclusion|correct|score|rating|grade)"
)
_YES_OR_NO = r"(?P<verdict>yes|no)"
_POINTS = r"(?P<verdict>\d+(?:\.\d+)?)(?:\s*(?:/|out of)\s*(?P<of>\d+))?"
_QUOTED = re.compile(r"```.*?```|`[^`\n]*`|\"[^\"\n]*\"|“[^”\n]*”|(?<!\w)'[^'\n]*'(?!\w)", re.DOTALL)
_MARKUP = r"[\s*_#>.!\[\](){}-]*"


class Verdict(StrEnum):
    """What a judge that was asked for yes or no has said."""

    YES = "yes"
    NO = "no"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a judge that was asked for 1 to `highest` points has given."""

    points: int
    highest: int = 5

    @property
    def fraction(self) -> float:
        return self.points / self.highest


class NoScore(Enum):
    """The judge's answer holds no number of points, or several."""

    UNDECIDED = "undecided"


NO_SCORE: Final = NoScore.UNDECIDED


def read_verdict(answer: str) -> Verdict:
    """Yes or no, as `answer` gives it."""
    text = _without_thinking(answer)
    decided = _given(text, _YES_OR_NO) or _said_outside(text)
    return Verdict(decided["verdict"].lower()) if decided else Verdict.UNDECIDED


def read_score(answer: str, *, highest: int = 5) -> Score | Literal[NoScore.UNDECIDED]:
    """The points from 1 to `highest` that `answer` gives, as "4", "4/5" or "Score: 4"."""
    text = _without_thinking(answer)
    decided = _given(text, _POINTS) or _first_line(text) or _only_number(text)
    if not decided or decided["of"] not in (None, str(highest)):
        return NO_SCORE
    points = float(decided["verdict"])
    return Score(points=int(points), highest=highest) if points in range(1, highest + 1) else NO_SCORE


def _given(text: str, verdict: str) -> re.Match[str] | None:
    """The verdict that is the whole text, else its last line, else the last line that is labelled as one."""
    if whole := re.fullmatch(rf"[\"'`“]?{_MARKUP}{verdict}{_MARKUP}[\"'`”]?", text, re.IGNORECASE):
        return whole
    lines = [line for line in _unquoted(text).splitlines() if line.strip()]
    alone = re.compile(rf"{_MARKUP}(?:{_LABEL}{_MARKUP}(?:[:=]|is){_MARKUP})?{verdict}{_MARKUP}", re.IGNORECASE)
    if lines and (last := alone.fullmatch(lines[-1])):
        return last
    labelled = re.compile(rf"{_MARKUP}{_LABEL}{_MARKUP}[:=]{_MARKUP}{verdict}(?![\w/-]|\.\d)", re.IGNORECASE)
    found = [match for line in lines if (match := labelled.match(line))]
    return found[-1] if found else None


def _said_outside(text: str) -> re.Match[str] | None:
    """The first or the last word, unless they contradict each other."""
    first = re.match(rf"{_MARKUP}{_YES_OR_NO}\b", text, re.IGNORECASE)
    last = re.search(rf"\b{_YES_OR_NO}{_MARKUP}$", _unquoted(text), re.IGNORECASE)
    if first and last and first["verdict"].lower() != last["verdict"].lower():
        return None
    return first or last


def _first_line(text: str) -> re.Match[str] | None:
    """Points that the first line holds and nothing else: an explanation follows."""
    return re.match(rf"{_MARKUP}{_POINTS}[\s*_.]*\n", text, re.IGNORECASE)


def _only_number(text: str) -> re.Match[str] | None:
    found = list(re.finditer(rf"(?<![\w.,-]){_POINTS}(?![\w%-])", _unquoted(text), re.IGNORECASE))
    return found[0] if len(found) == 1 else None


def _without_thinking(answer: str) -> str:
    """What follows the thinking; nothing where it was cut off within."""
    said = answer.rpartition("</think>")[2].strip()
    return "" if said.startswith("<think>") else said


def _unquoted(text: str) -> str:
    return _QUOTED.sub(" ", text)
