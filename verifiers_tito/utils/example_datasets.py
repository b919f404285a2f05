"""Where the example datasets are, and how their rows become a question and an answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from types import MappingProxyType
from typing import Any, TypeAlias

from verifiers_tito.utils.answers import extract_boxed_answer, extract_hash_answer, strip_non_numeric

Row: TypeAlias = Mapping[str, Any]
ToRow: TypeAlias = Callable[[Row], dict[str, str]]

_PYTHON_PROBLEM = "Solve the following coding problem using the programming language python:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleDataset:
    """A dataset on the hub. Several `configurations` are put together; rows for which `keep` is false are left out."""

    path: str
    split: str
    to_row: ToRow
    configurations: tuple[str | None, ...] = (None,)
    keep: Callable[[Row], bool] | None = None


def columns(question: str, answer: str, clean: Callable[[str], str] = str) -> ToRow:
    """Rows whose question and answer are columns; `clean` is applied to the answer."""

    def to_row(row: Row) -> dict[str, str]:
        return {"question": row[question], "answer": clean(row[answer])}

    return to_row


def _choices(question: str, choices: Sequence[str], letters: Sequence[str] = ascii_uppercase) -> str:
    listed = "\n".join(f"{letter}: {choice}" for letter, choice in zip(letters, choices, strict=False))
    return f"Question: {question}\n\n{listed}"


def _gpqa(row: Row) -> dict[str, str]:
    """The right answer gets a letter that depends on the question only, so that a row is the same in every run."""
    right = row["Correct Answer"]
    choices = [right, *(row[f"Incorrect Answer {number}"] for number in (1, 2, 3))]
    order = random.Random(row["Question"]).sample(range(4), 4)
    return {
        "question": _choices(row["Question"], [choices[index] for index in order]),
        "answer": ascii_uppercase[order.index(0)],
    }


def _mmlu(row: Row) -> dict[str, str]:
    return {"question": _choices(row["question"], row["choices"]), "answer": ascii_uppercase[row["answer"]]}


def _mmlu_pro(row: Row) -> dict[str, str]:
    return {"question": _choices(row["question"], row["options"]), "answer": row["answer"]}


def _openbookqa(row: Row) -> dict[str, str]:
    choices = row["choices"]
    return {
        "question": _choices(row["question_stem"], choices["text"], choices["label"]),
        "answer": row["answerKey"],
    }


def _open_rs(level: str | None = None) -> ExampleDataset:
    return ExampleDataset(
        path="knoveleng/open-rs",
        split="train",
        to_row=columns("problem", "answer"),
        keep=None if level is None else lambda row: bool(row["level"] == level),
    )


def _gpqa_part(part: str) -> ExampleDataset:
    return ExampleDataset(path="Idavidrein/gpqa", configurations=(part,), split="train", to_row=_gpqa)


EXAMPLE_DATASETS: Mapping[str, ExampleDataset] = MappingProxyType(
    {
        "aime2024": ExampleDataset(
            path="HuggingFaceH4/aime_2024",
            split="train",
            to_row=columns("problem", "answer", lambda answer: str(int(answer))),  # three digits there: 025
        ),
        "aime2025": ExampleDataset(
            path="opencompass/AIME2025",
            configurations=("AIME2025-I", "AIME2025-II"),
            split="test",
            to_row=columns("question", "answer", strip_non_numeric),
        ),
        "amc2023": ExampleDataset(path="knoveleng/AMC-23", split="train", to_row=columns("problem", "answer")),
        "gpqa_diamond": _gpqa_part("gpqa_diamond"),
        "gpqa_main": _gpqa_part("gpqa_main"),
        "gsm8k": ExampleDataset(
            path="openai/gsm8k",
            configurations=("main",),
            split="test",
            to_row=columns("question", "answer", extract_hash_answer),
        ),
        "math": ExampleDataset(
            path="chiayewken/competition_math",
            split="train",
            to_row=columns("problem", "solution", extract_boxed_answer),
        ),
        "math500": ExampleDataset(path="HuggingFaceH4/MATH-500", split="test", to_row=columns("problem", "answer")),
        "mmlu": ExampleDataset(path="cais/mmlu", configurations=("all",), split="dev", to_row=_mmlu),
        "mmlu_pro": ExampleDataset(path="TIGER-Lab/MMLU-Pro", split="validation", to_row=_mmlu_pro),
        "openbookqa": ExampleDataset(
            path="allenai/openbookqa", configurations=("main",), split="train", to_row=_openbookqa
        ),
        "openrs": _open_rs(),
        "openrs_easy": _open_rs("Easy"),
        "openrs_hard": _open_rs("Hard"),
        "prime_code": ExampleDataset(
            path="PrimeIntellect/verifiable-coding-problems",
            split="train",
            to_row=columns("prompt", "verification_info"),
            keep=lambda row: bool(row["prompt"].startswith(_PYTHON_PROBLEM)),
        ),
    }
)
