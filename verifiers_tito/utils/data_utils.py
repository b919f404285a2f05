"""Example datasets by name, as rows with a `question` and an `answer`, and the system prompts that go with them.

    load_example_dataset ──► a dataset on the Hugging Face hub ──► shuffled, cut ──► get_preprocess_fn(name) per row

Hugging Face's `datasets` takes a second to import and is an extra: it loads when a dataset is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from verifiers_tito.errors import ConfigError, InfraError
from verifiers_tito.extras import load_extra
from verifiers_tito.utils.answers import extract_boxed_answer, extract_hash_answer, strip_non_numeric
from verifiers_tito.utils.example_datasets import EXAMPLE_DATASETS, ExampleDataset

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "BOXED_SYSTEM_PROMPT",
    "THINK_BOXED_SYSTEM_PROMPT",
    "extract_boxed_answer",
    "extract_hash_answer",
    "get_preprocess_fn",
    "load_example_dataset",
    "prepare_examples",
    "strip_non_numeric",
]

BOXED_SYSTEM_PROMPT = "Work the problem out one step at a time. Write the final answer, and only that, in \\boxed{}."
THINK_BOXED_SYSTEM_PROMPT = (
    "Work the problem out between <think> and </think>. Then write the final answer, and only that, in \\boxed{}."
)


def get_preprocess_fn(name: str) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    """What makes `question` and `answer` of a row of the example dataset `name`."""
    return _example(name).to_row


def load_example_dataset(name: str = "gsm8k", split: str | None = None, n: int | None = None, seed: int = 0) -> Dataset:
    """The example dataset `name` as a Hugging Face `Dataset`; with `n`, that many rows, shuffled by `seed`.

    Raises `ConfigError` for an unknown name or without `datasets`, `InfraError` where it cannot be fetched.
    """
    example = _example(name)
    return prepare_examples(_fetch(name, example, split or example.split), name, n=n, seed=seed)


def prepare_examples(dataset: Dataset, name: str, *, n: int | None = None, seed: int = 0) -> Dataset:
    """The same from a dataset at hand with the columns of the example dataset `name`: a local copy, say."""
    example = _example(name)
    if example.keep is not None:
        dataset = dataset.filter(example.keep)
    if n is not None and n > 0:
        dataset = dataset.shuffle(seed=seed).select(range(min(n, len(dataset))))
    return dataset.map(example.to_row, remove_columns=dataset.column_names)


def _example(name: str) -> ExampleDataset:
    if name not in EXAMPLE_DATASETS:
        raise ConfigError(f"no example dataset is called {name!r}; there are {', '.join(EXAMPLE_DATASETS)}")
    return EXAMPLE_DATASETS[name]


def _fetch(name: str, example: ExampleDataset, split: str) -> Dataset:
    remedy = "example datasets need Hugging Face's datasets: pip install 'verifiers-tito[datasets]'"
    datasets = load_extra("datasets", otherwise=remedy)
    try:
        parts = [datasets.load_dataset(example.path, part, split=split) for part in example.configurations]
        return datasets.concatenate_datasets(parts)
    except Exception as error:  # the hub's client raises whatever its layers do
        raise InfraError(
            f"the example dataset {name} ({example.path}, split {split}) cannot be fetched: "
            f"{type(error).__name__}: {error!s:.300}; this needs the Hugging Face hub or its cache on this machine. "
            "Offline, give the environment rows of your own: dataset=[{'question': ..., 'answer': ...}]"
        ) from error
