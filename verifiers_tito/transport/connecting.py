"""Making provider's clients: `AsyncOpenAI` with exactly what a configuration says."""

from __future__ import annotations

import openai
from openai import AsyncOpenAI

from verifiers_tito.types import ClientConfig


def connect(config: ClientConfig, *, base_url: str | None = None) -> AsyncOpenAI:
    """An `AsyncOpenAI` with the key and limits of `config`, at its first address or at `base_url`. Its connections are
    aiohttp's: the pool of the package's default looks at all connections for every request, and at 2,048 at once does
    little else."""
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
        max_connections=config.max_connections, max_keepalive_connections=config.max_connections
    )
    client = AsyncOpenAI(
        base_url=base_url or config.base_urls[0],
        api_key=config.resolve_api_key(),
        max_retries=config.max_retries,
        default_headers=config.extra_headers or None,
        timeout=openai.Timeout(config.timeout, connect=config.connect_timeout),
        http_client=openai.DefaultAioHttpClient(limits=limits),
    )
    client.organization = client.project = None  # which the package takes from the environment
    return client


def with_base_url(client: AsyncOpenAI, base_url: str) -> AsyncOpenAI:
    """The same client at another address: its key, headers, limits and connections."""
    copied = client.with_options(base_url=base_url)
    copied.organization, copied.project = client.organization, client.project  # which copies look up again
    return copied
