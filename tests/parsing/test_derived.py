"""The format that a template writes is found by rendering one turn."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.corpus.families import load_family
from verifiers_tito.parsing import Misfit, derive_format
from verifiers_tito.tokenization import LocalTokenizer


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("family", "reasoning", "calls"),
    [
        ("qwen2_5", None, "hermes"),
        ("qwen3", "qwen3", "hermes"),
        ("qwen3_instruct_2507", None, "hermes"),
        ("qwen3_5_think", "qwen3", "qwen3_coder"),
        ("nemotron_3_nano", "qwen3", "qwen3_coder"),
        ("glm4moe", "glm45", "glm45"),
        ("llama3_1", None, "llama3_json"),
        ("gptoss", "openai_gptoss", "openai"),
        ("deepseekv3", None, "deepseek_v3"),
        ("gemma4", None, "gemma4"),
        ("gemma4_v5", "gemma4", "gemma4"),
        ("lfm2_2_5", "qwen3", "lfm2"),
        ("mistral_nemo", None, "mistral"),
        ("mistral_v13", None, "mistral"),
        ("muse_glimmer", "muse_glimmer", "muse_glimmer"),
    ],
)
def test_a_template_s_format_is_found(family: str, reasoning: str | None, calls: str | None) -> None:
    derived = derive_format(LocalTokenizer(load_family(family)))
    assert (derived.reasoning_parser, derived.tool_call_parser) == (reasoning, calls)


def test_a_template_that_writes_no_calls_says_so() -> None:
    def render_now(messages, **_):  # type: ignore[no-untyped-def]
        return SimpleNamespace(text="".join(f"[{message['role']}]{message['content']}" for message in messages))

    assert derive_format(SimpleNamespace(render_now=render_now)).misfit is Misfit.NO_CALLS
