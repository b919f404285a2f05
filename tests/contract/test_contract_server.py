"""Routes besides completions: health, version, models, keys, unknown paths."""

from __future__ import annotations

import pytest

from tests.contract.contract_wire import CHAT, CHAT_TOKENS, HI, Refused, Wire, refused
from verifiers_tito.wire.routes import ABORT


async def test_health_is_an_empty_200_for_everybody(wire: Wire) -> None:
    response = await wire.stranger.get("/health")
    assert (response.status_code, response.content) == (200, b"")


async def test_version_is_told_to_everybody(wire: Wire) -> None:
    response = await wire.stranger.get("/version")
    assert response.json() == {"version": "0.32.0"}


async def test_models_lists_the_served_one_with_its_context_length(wire: Wire) -> None:
    listed = (await wire.client.get("/v1/models")).json()
    assert listed["object"] == "list"
    (card,) = listed["data"]
    assert card["id"] == wire.model
    assert card["max_model_len"] == 8192
    assert set(card) == {*("id", "object", "created", "owned_by", "root", "parent", "max_model_len", "permission")}
    (permission,) = card["permission"]
    assert permission["object"] == "model_permission"
    assert permission["organization"] == "*"


@pytest.mark.parametrize("path", ["/v1/models", CHAT, CHAT_TOKENS, "/v1/nonsense"])
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic test-key", "test-key"])
async def test_without_the_key_everything_under_v1_is_401(path: str, authorization: str | None, wire: Wire) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = await wire.stranger.get(path, headers=headers)
    assert response.status_code == 401
    assert response.json() == {"error": "Unauthorized"}


@pytest.mark.parametrize("path", ["/nonsense", "/v1/nonsense", "/v1/chat/completions/nonsense"])
async def test_an_unknown_path_is_404_with_a_detail(path: str, wire: Wire) -> None:
    response = await wire.post(path, {"messages": [HI]})
    assert response.status_code == 404
    assert response.json() == {"detail": "Not Found"}


@pytest.mark.parametrize("path", [CHAT, "/tokenize", "/detokenize"])
async def test_getting_what_wants_a_post_is_405_with_a_detail(path: str, wire: Wire) -> None:
    response = await wire.client.get(path)
    assert response.status_code == 405
    assert response.json() == {"detail": "Method Not Allowed"}


async def test_aborting_is_an_empty_200_whether_there_is_such_a_request_or_not(wire: Wire) -> None:
    response = await wire.post(ABORT[0], {"request_ids": ["nobody-s"]})
    assert (response.status_code, response.content) == (200, b"")
    assert (await wire.stranger.post(ABORT[0], json={"request_ids": []})).status_code == 401
    unnamed = await wire.post(ABORT[0], {})
    assert refused(unnamed) == Refused(400, "Bad Request", None, "Missing 'request_ids' in request body")


async def test_a_request_id_of_the_client_names_the_completion(wire: Wire) -> None:
    response = await wire.client.post(
        CHAT,
        json={"model": wire.model, "messages": [HI], "max_tokens": 1},
        headers={"X-Request-Id": "mine-1"},
    )
    assert response.json()["id"] == "chatcmpl-mine-1"
