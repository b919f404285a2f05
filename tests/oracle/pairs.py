"""Which hand-written renderer stands for which family of the corpus, and how both are set up to be comparable.

`renderers` writes prompts and bridges in Python, one class per model family, where we derive both from the template.
It reads no template, so the two share nothing but the tokenizer. Set otherwise than by default: `thinking_retention`,
without which most classes decline every bridge to a user's message (a policy, not a matter of ids), and the date.

Not paired: `deepseek_r1_distill`, whose vocabulary has no tool marks, and Kimi, GLM 5 and others that no template of
the corpus stands for.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.corpus.bases import O200K_RANKS
from tests.corpus.families import BY_NAME
from tests.corpus.family import Family, load
from tests.corpus.tokens import special

TODAY = "2026-01-02"
TODAY_IN_WORDS = "02 Jan 2026"
DATES = {"%Y-%m-%d": TODAY, "%d %b %Y": TODAY_IN_WORDS}
MISSING_MARKS = special("<|image>", "<image|>")
"""Marks of Gemma 4 that its templates never write, so that the corpus does without; the renderer looks them up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A family and the renderer for it.

    `renderer` is its name in `renderers`, `settings` are fields of its configuration. `thinks`: the model's answers
    begin with reasoning in `<think>`. `harmony`: they are written in gpt-oss' channels. `ends` are the tokens that the
    model samples where the family declares the one that the history shows. `prefill` is what the renderer writes
    behind the template's generation prompt, always; it is taken off before anything is compared. `note` is for the
    reader of the report.
    """

    family: str
    renderer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    thinks: bool = False
    harmony: bool = False
    ends: Mapping[str, str] = field(default_factory=dict)
    prefill: str = ""
    note: str = ""

    @property
    def corpus_family(self) -> Family:
        """The corpus' family, with the marks that the renderer wants to see in its vocabulary."""
        family = BY_NAME[self.family]
        if self.renderer != "gemma4":
            return family
        tokens = (*family.tokenizer.added_texts(), *MISSING_MARKS)
        return replace(family, tokenizer=replace(family.tokenizer, tokens=tokens))


PAIRS = (
    Pair(family="qwen3", renderer="qwen3", thinks=True),
    Pair(family="qwen3_instruct_2507", renderer="qwen3"),
    Pair(family="qwen3_vl", renderer="qwen3-vl"),
    Pair(family="qwen3_5_think", renderer="qwen3.5", settings={"enable_thinking": True}, thinks=True),
    Pair(family="qwen3_5_nothink", renderer="qwen3.5", settings={"enable_thinking": False}, thinks=True),
    Pair(family="qwen3_6", renderer="qwen3.6", thinks=True),
    Pair(family="qwen3_8", renderer="qwen3.8", thinks=True),
    Pair(family="llama3_1", renderer="llama-3"),
    Pair(family="llama3_2", renderer="llama-3", settings={"date_string": TODAY_IN_WORDS}),
    *(
        Pair(family=family, renderer="gemma4")
        for family in ("gemma4_v2", "gemma4_v3", "gemma4", "gemma4_v4", "gemma4_v5", "diffusion_gemma")
    ),
    Pair(
        family="gptoss",
        renderer="gpt-oss",
        settings={"conversation_start_date": TODAY},
        harmony=True,
        ends={"<|end|>": "<|return|>"},
        prefill="<|channel|>analysis<|message|>",
        note="The renderer calls OpenAI's own encoder, with which the template disagrees about tools and instructions. "
        "vLLM renders\nchats for gpt-oss with that encoder too, and with the template only what `/tokenize` is asked.",
    ),
    Pair(
        family="deepseekv3",
        renderer="deepseek-r1",
        thinks=True,
        note="The template that goes by this name opens the reasoning, as DeepSeek R1's does.",
    ),
    Pair(family="glm4moe", renderer="glm-4.5", thinks=True),
    Pair(family="nemotron_3_nano", renderer="nemotron-3", thinks=True),
    Pair(family="nemotron_3_super", renderer="nemotron-3", thinks=True),
    Pair(family="nemotron_3_ultra", renderer="nemotron-3-ultra", thinks=True),
    Pair(family="nemotron_3_5_lightning", renderer="nemotron-3.5", thinks=True),
)


def with_fixed_date(template_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Template arguments with a clock that stands still."""
    return {**template_kwargs, "strftime_now": DATES.__getitem__}


@cache
def tokenizer_for(family: str) -> Any:
    """The `transformers` tokenizer that both sides use."""
    return load(next(pair for pair in PAIRS if pair.family == family).corpus_family)


def renderer_for(pair: Pair, template_kwargs: Mapping[str, Any]) -> Any:
    """The renderer, told what of `template_kwargs` it knows."""
    from renderers import config_from_name, create_renderer  # noqa: PLC0415  not installed everywhere

    configuration = type(config_from_name(pair.renderer))
    known = {key: value for key, value in template_kwargs.items() if key in configuration.template_field_names()}
    settings = {"thinking_retention": "all", **pair.settings, **known}
    with _harmony_ranks() if pair.harmony else _nothing():
        return create_renderer(tokenizer_for(pair.family), configuration(**settings))


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _harmony_ranks() -> Iterator[None]:
    """Lets gpt-oss' own encoder read the ranks that a package carries; it would download them otherwise."""
    name = "TIKTOKEN_ENCODINGS_BASE"
    before = os.environ.get(name)
    with TemporaryDirectory() as folder:
        (Path(folder) / "o200k_base.tiktoken").write_bytes(gzip.decompress(O200K_RANKS.path().read_bytes()))
        os.environ[name] = folder
        try:
            yield
        finally:
            os.environ.pop(name)
            if before is not None:
                os.environ[name] = before
