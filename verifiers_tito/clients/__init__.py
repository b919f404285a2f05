"""Clients: conversations in, responses out.

The OpenAI package takes a second to import, so its clients are looked up when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from verifiers_tito.clients.client import Client

if TYPE_CHECKING:
    from verifiers_tito.clients.openai_chat_completions_client import OpenAIChatCompletionsClient
    from verifiers_tito.clients.openai_chat_completions_token_client import OpenAIChatCompletionsTokenClient

__all__ = ["Client", "OpenAIChatCompletionsClient", "OpenAIChatCompletionsTokenClient"]

_LATE = {
    "OpenAIChatCompletionsClient": "verifiers_tito.clients.openai_chat_completions_client",
    "OpenAIChatCompletionsTokenClient": "verifiers_tito.clients.openai_chat_completions_token_client",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)
