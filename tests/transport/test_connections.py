"""A connection says only what its configuration says, at whatever address."""

from __future__ import annotations

import pytest
from openai import AsyncOpenAI

import verifiers_tito as vf
from verifiers_tito.transport import connect, with_base_url

CONFIG = vf.ClientConfig(base_url="http://127.0.0.1:1/v1", api_key="key", extra_headers={"X-Session": "7"})


@pytest.fixture(autouse=True)
def _an_account_at_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")


def secrets_in(headers: object) -> list[str]:
    return [word for word in ("org-secret", "project-secret") if word in str(headers)]


async def test_an_account_in_the_environment_is_not_told_to_a_server_at_any_address() -> None:
    async with connect(CONFIG) as client:
        moved = with_base_url(client, "http://127.0.0.1:1")
        assert secrets_in(client.default_headers) == secrets_in(moved.default_headers) == []


async def test_the_same_client_at_another_address_keeps_the_rest() -> None:
    async with connect(CONFIG) as client:
        moved = with_base_url(client, "http://127.0.0.1:2/elsewhere")
        assert str(moved.base_url) == "http://127.0.0.1:2/elsewhere/"
        assert (moved.api_key, moved.timeout, moved.max_retries) == (client.api_key, client.timeout, client.max_retries)
        assert moved.default_headers["X-Session"] == "7"
        assert moved._client is client._client


async def test_a_users_own_account_is_kept() -> None:
    async with AsyncOpenAI(base_url="http://127.0.0.1:1/v1", api_key="key", organization="mine") as client:
        assert with_base_url(client, "http://127.0.0.1:1").organization == "mine"
