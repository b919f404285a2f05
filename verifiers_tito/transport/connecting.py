"""Making provider's clients: `AsyncOpenAI` with exactly what a configuration, or another client, says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI

from verifiers_tito.transport.connections import Connections
from verifiers_tito.transport.package_sender import PackageSender
from verifiers_tito.transport.pool_sender import PoolSender
from verifiers_tito.transport.sender import Sender
from verifiers_tito.types import ClientConfig

_CONNECTIONS_OF_THE_PACKAGE = "AsyncHttpxClientWrapper"
"""The class of a client's `http_client` where nobody gave one."""
_OTHER_KEYS = ("_api_key_provider", "workload_identity", "_provider")
"""Where a client keeps other means than a key; older packages have not all of them."""


def connect(config: ClientConfig, *, base_url: str | None = None) -> AsyncOpenAI:
    """An `AsyncOpenAI` with the key and limits of `config`, at its first address or at `base_url`."""
    client = AsyncOpenAI(
        base_url=base_url or config.base_urls[0],
        api_key=config.resolve_api_key(),
        max_retries=config.max_retries,
        default_headers=config.extra_headers or None,
        timeout=openai.Timeout(config.timeout, connect=config.connect_timeout),
        http_client=Connections(most=config.max_connections),
    )
    client.organization = client.project = None  # which the package takes from the environment
    return client


def sender_of(provider: AsyncOpenAI) -> Sender:
    """The leanest way to send as `provider` does. Of one that `connect` has made all is known that it does to a
    request; another one may be a subclass, have hooks, a proxy or certificates of its own, or a key that changes."""
    connections = provider._client
    if _is_plain(provider) and isinstance(connections, Connections) and not connections.has_proxy:
        return PoolSender(provider, connections)
    return PackageSender(provider)


def _is_plain(provider: AsyncOpenAI) -> bool:
    """Whether its address, key and headers are all that it puts on a request."""
    return (
        type(provider) is AsyncOpenAI
        and not provider.default_query
        and not any(isinstance(value, openai.Omit) for value in provider._custom_headers.values())
        and all(getattr(provider, name, None) is None for name in _OTHER_KEYS)
    )


def with_base_url(client: AsyncOpenAI, base_url: str) -> AsyncOpenAI:
    """The same client at another address: its key, headers, limits and connections."""
    return _copied(client, base_url=base_url)


@asynccontextmanager
async def with_own_connections(client: AsyncOpenAI) -> AsyncIterator[AsyncOpenAI]:
    """The same client for another event loop, with connections that are closed afterwards. One that was made with an
    `http_client` is used as it is: what that does (proxies, certificates) cannot be done again here."""
    if type(client._client).__name__ != _CONNECTIONS_OF_THE_PACKAGE:
        yield client
        return
    async with openai.DefaultAioHttpClient() as connections:
        yield _copied(client, http_client=connections)


def configuration_of(client: OpenAI) -> ClientConfig:
    """Address, key, headers and limits of a blocking client."""
    total = client.timeout.read if isinstance(client.timeout, openai.Timeout) else client.timeout
    return ClientConfig(
        base_url=str(client.base_url),
        api_key=client.api_key,
        extra_headers={name: value for name, value in client._custom_headers.items() if isinstance(value, str)},
        max_retries=client.max_retries,
        **({} if total is None else {"timeout": total}),
    )


def _copied(client: AsyncOpenAI, **changes: Any) -> AsyncOpenAI:
    copied = client.with_options(**changes)
    copied.organization, copied.project = client.organization, client.project  # which copies look up again
    return copied
