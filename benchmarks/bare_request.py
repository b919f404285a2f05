"""A turn's request as our client sends it by the plugin's route, for measuring the exchange without the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from verifiers_tito.types import Route
from verifiers_tito.wire.token_routes import TOKEN_ROUTES

_PLUGIN = next(route for route in TOKEN_ROUTES if route.route is Route.CHAT_TOKENS)


def bare_body(token_ids: Sequence[int], **fields: Any) -> bytes:
    """`fields` are a chat completion's. The forms of the answer are those that the client asks for."""
    chat = {**fields, "logprobs": True, "return_token_ids": True}
    return msgspec.json.encode(_PLUGIN.body(chat, msgspec.Raw(msgspec.json.encode(token_ids)), None))
