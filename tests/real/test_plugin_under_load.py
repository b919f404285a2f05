"""The plugin on a real server: many requests at once, bad bodies among them, and none of them taken for another's."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx
import pytest

from tests.conftest import API_KEY
from verifiers_tito.local.server import LocalServer
from verifiers_tito.wire.prompt_digest import PromptDigest
from verifiers_tito.wire.routes import CHAT_TOKENS, HEALTH

pytestmark = pytest.mark.vllm

AT_ONCE = 256
VOCABULARY = 151_000
BAD_BODIES: tuple[dict[str, Any], ...] = (
    {},
    {"tokens": []},
    {"tokens": "1, 2"},
    {"tokens": [1, -1]},
    {"tokens": [1, 10**9]},
    {"tokens": [1, "2"]},
    {"tokens": [1, True]},
    {"tokens": [1, None]},
    {"tokens": [[1, 2]]},
    {"tokens": [1] * 9000},
    {"tokens": [1, 2], "prompt_echo": "loud"},
    {"tokens": [1, 2], "logprobs_form": "rows"},
    {"tokens": [1, 2], "echo": True},
    {"tokens": [1, 2], "use_beam_search": True},
    {"tokens": [1, 2], "truncate_prompt_tokens": 1},
    {"tokens": [1, 2], "kv_transfer_params": {"prompt_token_ids": [3]}},
    {"tokens": [1, 2], "temperature": -1},
    {"tokens": [1, 2], "max_tokens": -5},
    {"tokens": [1, 2], "top_p": 7},
    {"tokens": [1, 2], "stop": [""]},
)
NO_BODIES = ((b"", "application/json"), (b"{", "application/json"), (b"[1]", "application/json"), (b"{}", "text/plain"))


def good_body(number: int) -> dict[str, Any]:
    dice = random.Random(number)
    tokens = [dice.randrange(VOCABULARY) for _ in range(dice.randint(1, 300))]
    return {
        "tokens": tokens,
        "max_tokens": dice.randint(1, 4),
        "logprobs": True,
        "return_token_ids": True,
        "prompt_echo": "digest" if number % 2 else "ids",
        "logprobs_form": "array" if number % 3 else "objects",
    }


def check(sent: dict[str, Any], answer: dict[str, Any]) -> None:
    (choice,) = answer["choices"]
    if sent["prompt_echo"] == "digest":
        digest = PromptDigest().extend(sent["tokens"])
        assert answer["prompt_digest"] == {"count": digest.count, "blake2b": digest.hexdigest()}
    else:
        assert answer["prompt_token_ids"] == sent["tokens"]
    numbers = choice.get("completion_logprobs")
    if numbers is None:
        numbers = [entry["logprob"] for entry in choice["logprobs"]["content"]]
    assert 1 <= len(choice["token_ids"]) == len(numbers) <= sent["max_tokens"]
    assert all(-100 < number <= 0 for number in numbers)


async def test_hundreds_at_once_are_each_their_own_and_bad_ones_are_refused(real_vllm_qwen3: LocalServer) -> None:
    root = real_vllm_qwen3.base_url.removesuffix("/v1")
    headers = {"Authorization": f"Bearer {API_KEY}"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=root, headers=headers, timeout=300, limits=limits) as http:

        async def send_good(number: int) -> None:
            body = good_body(number)
            response = await http.post(CHAT_TOKENS, json=body)
            assert response.status_code == 200, response.text
            check(body, response.json())

        async def send_bad(body: dict[str, Any]) -> None:
            response = await http.post(CHAT_TOKENS, json=body)
            assert response.status_code == 400, (body, response.text[:200])
            assert response.json()["error"]["message"]

        async def send_no_body(content: bytes, content_type: str) -> None:
            response = await http.post(CHAT_TOKENS, content=content, headers={"Content-Type": content_type})
            assert response.status_code == 400, (content, response.text[:200])

        async with asyncio.TaskGroup() as load:
            for number in range(AT_ONCE):
                load.create_task(send_good(number))
            for body in BAD_BODIES:
                load.create_task(send_bad(body))
            for content, content_type in NO_BODIES:
                load.create_task(send_no_body(content, content_type))
        assert (await http.get(HEALTH)).status_code == 200
        await send_good(AT_ONCE)
        unkeyed = await http.post(CHAT_TOKENS, json=good_body(0), headers={"Authorization": ""})
        assert unkeyed.status_code == 401
