"""The ways to send a prompt in ids, each a path and a layout of the body.

    chat/tokens   our plugin's route: the answer proves the prompt by a digest, and does not grow with the history
    chat/kv       stock vLLM's chat route, where `kv_transfer_params` may hold the prompt; the answer repeats all ids

Both answer as a chat completion does, parsers and log-probabilities included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from verifiers_tito.types import Route
from verifiers_tito.wire import routes
from verifiers_tito.wire.prompt_digest import PromptEcho
from verifiers_tito.wire.requests import tokens_body

Layout = Callable[[Mapping[str, Any], msgspec.Raw], dict[str, Any]]
"""From a chat body without messages, and the JSON of a list of ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRoute:
    """`path` is relative to `/v1`; `absence` says what it means that a server does not have it. `is_ours`: the
    plugin's, which never looks at the messages."""

    route: Route
    path: str
    absence: str
    body: Layout
    is_ours: bool = False


def _tokens(chat: Mapping[str, Any], token_ids: msgspec.Raw) -> dict[str, Any]:
    return tokens_body(chat, token_ids, prompt_echo=PromptEcho.DIGEST)


def _kv(chat: Mapping[str, Any], token_ids: msgspec.Raw) -> dict[str, Any]:
    transfer = {**(chat.get("kv_transfer_params") or {}), "prompt_token_ids": token_ids}
    return {**chat, "messages": [], "kv_transfer_params": transfer}


TOKEN_ROUTES = (
    TokenRoute(
        route=Route.CHAT_TOKENS,
        path=routes.CHAT_TOKENS.removeprefix(routes.API_ROOT),
        absence="the server runs without the plugin (VLLM_PLUGINS=verifiers_tito)",
        body=_tokens,
        is_ours=True,
    ),
    TokenRoute(
        route=Route.CHAT_KV,
        path=routes.CHAT.removeprefix(routes.API_ROOT),
        absence="the server takes no ids in kv_transfer_params (vLLM does from 0.27 on)",
        body=_kv,
    ),
)
"""The best first."""
