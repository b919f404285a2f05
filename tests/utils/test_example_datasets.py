"""Example datasets: rows as the hub has them, and what becomes of them. Nothing is fetched here."""

from __future__ import annotations

from typing import Any

import datasets
import pytest

import verifiers_tito as vf
from verifiers_tito.utils import get_preprocess_fn
from verifiers_tito.utils.data_utils import prepare_examples
from verifiers_tito.utils.example_datasets import EXAMPLE_DATASETS

ROWS: dict[str, tuple[dict[str, Any], str, str]] = {
    "aime2024": ({"problem": "p", "answer": "025"}, "p", "25"),
    "aime2025": ({"question": "p", "answer": "$336^\\circ$"}, "p", "336"),
    "gsm8k": ({"question": "p", "answer": "2+2\n#### 4"}, "p", "4"),
    "math": ({"problem": "p", "solution": "so \\boxed{\\frac{1}{2}}."}, "p", "\\frac{1}{2}"),
    "mmlu": ({"question": "p", "choices": ["x", "y"], "answer": 1}, "Question: p\n\nA: x\nB: y", "B"),
    "mmlu_pro": ({"question": "p", "options": ["x", "y"], "answer": "A"}, "Question: p\n\nA: x\nB: y", "A"),
    "openbookqa": (
        {"question_stem": "p", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"},
        "Question: p\n\n1: x\n2: y",
        "2",
    ),
    "prime_code": ({"prompt": "p", "verification_info": "{}"}, "p", "{}"),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_become_a_question_and_an_answer(name: str) -> None:
    row, question, answer = ROWS[name]
    assert get_preprocess_fn(name)(row) == {"question": question, "answer": answer}


def test_the_right_choice_is_where_its_letter_says_and_not_always_the_same() -> None:
    letters = set()
    for number in range(8):
        row = {"Question": f"q{number}", "Correct Answer": "right"}
        row |= {f"Incorrect Answer {wrong}": f"wrong {wrong}" for wrong in (1, 2, 3)}
        made = get_preprocess_fn("gpqa_main")(row)
        assert f"{made['answer']}: right" in made["question"].splitlines()
        assert made == get_preprocess_fn("gpqa_main")(row)
        letters.add(made["answer"])
    assert len(letters) > 1


def test_an_environment_takes_a_real_hugging_face_dataset() -> None:
    rows = [{"question": f"q{number}", "answer": f"#### {number}"} for number in range(20)]
    dataset = prepare_examples(datasets.Dataset.from_list(rows), "gsm8k", n=5, seed=1)
    env = vf.SingleTurnEnv(dataset=dataset, eval_dataset=lambda: datasets.Dataset.from_list(rows))
    chosen = env.get_dataset()
    assert [row["example_id"] for row in chosen] == [0, 1, 2, 3, 4]
    assert all(row["question"] == f"q{row['answer']}" for row in chosen)
    assert [row["answer"] for row in chosen] != ["0", "1", "2", "3", "4"]
    assert prepare_examples(datasets.Dataset.from_list(rows), "gsm8k", n=5, seed=1)[:] == dataset[:]
    assert len(env.get_eval_dataset()) == 20


def test_more_rows_than_there_are_are_all_there_are_and_unwanted_rows_are_left_out() -> None:
    rows = [{"problem": "a", "answer": "1", "level": "Easy"}, {"problem": "b", "answer": "2", "level": "Hard"}]
    dataset = datasets.Dataset.from_list(rows)
    assert len(prepare_examples(dataset, "openrs", n=9)) == 2
    assert prepare_examples(dataset, "openrs_hard", n=9)[:] == {"question": ["b"], "answer": ["2"]}


def test_an_unknown_dataset_lists_the_known_ones() -> None:
    with pytest.raises(vf.ConfigError, match=r"called 'gsm9k'; there are .*gsm8k"):
        vf.load_example_dataset("gsm9k")
    assert {"gsm8k", "math", "math500", "aime2024", "mmlu", "openbookqa"} <= EXAMPLE_DATASETS.keys()


def test_offline_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(vf.InfraError, match=r"gsm8k \(openai/gsm8k, split test\).*rows of your own"):
        vf.load_example_dataset("gsm8k")
