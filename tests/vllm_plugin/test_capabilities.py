"""What is found out about a server, and that a server of another shape costs nothing but the values."""

from __future__ import annotations

from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest

from verifiers_tito.vllm_plugin.capabilities import find_capabilities
from verifiers_tito.wire.answers import TokenRouteCapabilities


class Broken:
    """A server's part of which every look at it fails."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name} today")


def find(**parts: Any) -> TokenRouteCapabilities:
    return find_capabilities(**{"vllm_version": "0.32.0", "chat": None, "engine_client": None, "args": None, **parts})


def engine(**config: Any) -> SimpleNamespace:
    return SimpleNamespace(model_config=SimpleNamespace(**config))


def test_a_server_like_vllm_0_32_is_described_in_full() -> None:
    told = find(
        chat=SimpleNamespace(
            models=SimpleNamespace(base_model_paths=[SimpleNamespace(name="tiny")]),
            online_renderer=SimpleNamespace(
                model_config=SimpleNamespace(get_vocab_size=lambda: 100),
                renderer=SimpleNamespace(tokenizer=SimpleNamespace(max_token_id=102)),
            ),
        ),
        engine_client=engine(max_model_len=8192, logprobs_mode="raw_logprobs"),
        args=SimpleNamespace(
            enable_auto_tool_choice=True,
            tool_call_parser="hermes",
            structured_outputs_config=SimpleNamespace(reasoning_parser="qwen3"),
        ),
    )

    assert told == TokenRouteCapabilities(
        plugin_version=version("verifiers-tito"),
        vllm_version="0.32.0",
        model="tiny",
        max_model_len=8192,
        tool_call_parser="hermes",
        reasoning_parser="qwen3",
        logprobs_mode="raw_logprobs",
        prompt_echo=("ids", "digest"),
        logprobs_form=("objects", "array"),
        vocabulary_size=103,
    )


@pytest.mark.parametrize(
    "part",
    [None, object(), SimpleNamespace(model_config=7, models=[], model=3), Broken()],
    ids=["missing", "of another shape", "of other types", "broken"],
)
def test_what_cannot_be_found_is_none_and_nothing_fails(part: Any) -> None:
    told = find(chat=part, engine_client=part, args=part)

    found = (told.model, told.max_model_len, told.tool_call_parser, told.reasoning_parser, told.logprobs_mode)
    assert found == (None,) * 5
    assert told.prompt_echo == ("ids", "digest")


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ({"served_model_name": ["first", "second"], "model": "path"}, "first"),
        ({"served_model_name": "only", "model": "path"}, "only"),
        ({"served_model_name": None, "model": "path"}, "path"),
        ({"served_model_name": [], "model": "path"}, "path"),
    ],
)
def test_the_model_is_the_name_that_requests_give(args: dict[str, Any], name: str) -> None:
    assert find(args=SimpleNamespace(**args)).model == name


def test_a_tool_parser_that_vllm_leaves_out_is_not_told() -> None:
    assert find(args=SimpleNamespace(tool_call_parser="hermes", enable_auto_tool_choice=False)).tool_call_parser is None


def test_an_empty_reasoning_parser_is_none() -> None:
    args = SimpleNamespace(structured_outputs_config=SimpleNamespace(reasoning_parser=""), reasoning_parser="")
    assert find(args=args).reasoning_parser is None


def test_the_chat_handlers_configuration_stands_in_for_the_engines() -> None:
    told = find(chat=engine(max_model_len=64, logprobs_mode="processed_logprobs"), engine_client=Broken())

    assert (told.max_model_len, told.logprobs_mode) == (64, "processed_logprobs")
