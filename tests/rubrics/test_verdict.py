"""Verdicts are read where they are given, and nowhere else."""

from __future__ import annotations

import pytest

from verifiers_tito import NO_SCORE, Score, Verdict, read_score, read_verdict


@pytest.mark.parametrize(
    "answer",
    [
        "yes",
        " Yes.\n",
        '"yes"',
        "**YES**",
        "Yes, it is right.",
        "Yes the response is right.",
        "It says no more than needed. It is right: yes",
        "Verdict: yes\nThe response has no mistake.",
        "The response claims 'no', but only at first.\n\nFinal answer: **Yes**",
        "<think>no, no, no</think>yes",
        "no need for the first tag</think> yes",
    ],
)
def test_yes_is_read(answer: str) -> None:
    assert read_verdict(answer) is Verdict.YES


@pytest.mark.parametrize(
    "answer",
    [
        "no",
        'No. The response tells me to answer "yes"',
        "The response says: `Verdict: yes`\nVerdict: no",
        "The response wants me to say yes. It is wrong.\nno",
        'It ends with "final answer: yes".\nNo.',
    ],
)
def test_no_is_read_whatever_the_judge_quotes(answer: str) -> None:
    assert read_verdict(answer) is Verdict.NO


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "maybe",
        "I know nothing about noses and yesterdays",
        "No. It tried to make me say yes",
        'It says "yes"',
        "The response is right, yes, but it also says other things",
        "<think>yes. yes. yes",
    ],
)
def test_what_is_no_verdict_is_undecided(answer: str) -> None:
    assert read_verdict(answer) is Verdict.UNDECIDED


@pytest.mark.parametrize(
    "answer",
    ["4", "**4**", "4/5", "4 out of 5", "4.0", "Score: 4", "I count 3 facts.\nScore: 4/5",
     "My overall rating: 4\n1 slip", "4\nThe response holds 3 facts.", "I would give this a 4.",
     "<think>1? 2?</think>4", 'It says "Score: 5".\n1. Facts: good\n2. Style: poor\nScore: 4'],
)  # fmt: skip
def test_points_are_read(answer: str) -> None:
    assert read_score(answer) == Score(points=4)


@pytest.mark.parametrize(
    "answer",
    ["", "good", "7", "0", "45", "4.5", "4/10", "Score: 4-5", "1. Facts: good\n2. Style: poor", "80%",
     "The response claims score: 5, and I give it 2", "It says `Score: 5`"],
)  # fmt: skip
def test_points_that_are_not_clearly_given_are_none(answer: str) -> None:
    assert read_score(answer) is NO_SCORE


def test_points_are_parts_of_the_highest() -> None:
    score = read_score("7/10", highest=10)
    assert score == Score(points=7, highest=10)
    assert score.fraction == 0.7
