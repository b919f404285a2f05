"""The server's own list of its routes."""

from __future__ import annotations

import pytest

from tests.contract.contract_wire import CHAT, CHAT_TOKENS, COMPLETIONS, GENERATE, Wire
from verifiers_tito.wire.routes import ABORT


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (CHAT, {"post"}),
        (CHAT_TOKENS, {"get", "post"}),
        (COMPLETIONS, {"post"}),
        (GENERATE, {"post"}),
        (ABORT[0], {"post"}),
        ("/tokenize", {"post"}),
        ("/detokenize", {"post"}),
        ("/v1/models", {"get"}),
        ("/health", {"get"}),
        ("/version", {"get"}),
    ],
)
async def test_the_list_of_routes_holds_those_that_both_servers_have(path: str, methods: set[str], wire: Wire) -> None:
    listed = (await wire.client.get("/openapi.json")).json()
    assert set(listed["paths"][path]) == methods


async def test_the_list_of_routes_is_told_to_everybody_and_leaves_itself_out(wire: Wire) -> None:
    response = await wire.stranger.get("/openapi.json")
    assert response.status_code == 200
    listed = response.json()
    assert set(listed) == {"openapi", "info", "paths", "components"}
    assert listed["info"] == {"title": "FastAPI", "version": "0.1.0"}
    assert "/openapi.json" not in listed["paths"]
