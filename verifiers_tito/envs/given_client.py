"""What people give as the client of their rollouts, and the client that is used for it.

    ours ──► itself        a configuration, AsyncOpenAI, OpenAI ──► a token client, closed when nobody uses it any more

The openai package takes a second to import, so clients are made by a module that loads late.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from verifiers_tito.clients.client import Client
from verifiers_tito.types import ClientConfig
from verifiers_tito.wire.addresses import without_userinfo

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

AnyClient: TypeAlias = Client[Any, Any, Any, Any]
GivenClient: TypeAlias = "AnyClient | ClientConfig | AsyncOpenAI | OpenAI"
ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class _Shared:
    client: AnyClient
    users: int = 0


class SharedClients:
    """Clients made for what was given. Rollouts that are under way at once share one, so that a server is asked about
    itself, and a tokenizer loaded, once."""

    def __init__(self) -> None:
        self._shared: dict[tuple[int, int], _Shared] = {}

    def __reduce__(self) -> tuple[type[SharedClients], tuple[()]]:
        """Pickled and copied without clients: those that are open belong to this process."""
        return SharedClients, ()

    @asynccontextmanager
    async def opened(self, given: GivenClient) -> AsyncIterator[AnyClient]:
        """The client to use for `given`. Raises `ConfigError` for something that none can be made of."""
        if isinstance(given, Client):
            yield given
            return
        key = (id(given), id(asyncio.get_running_loop()))
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _Shared(_token_client_of(given))
        shared.users += 1
        try:
            yield shared.client
        finally:
            shared.users -= 1
            if not shared.users:
                del self._shared[key]
                await shared.client.close()


async def run_in_this_loop(given: GivenClient, run: Callable[[GivenClient], Awaitable[ResultT]]) -> ResultT:
    """`run` with the same client, whose connections are of this event loop."""
    if isinstance(given, ClientConfig):
        return await run(given)
    if not isinstance(given, Client):
        from verifiers_tito.clients.given_client import copied_for_this_loop  # noqa: PLC0415  late: imports openai

        async with copied_for_this_loop(given) as own_provider:
            return await run(own_provider)
    if given.config is None:
        return await run(given)
    async with type(given)(given.config) as own_client:
        return await run(own_client)


def address(given: GivenClient) -> str:
    """Where requests go (several places with a comma), without user and password."""
    if isinstance(given, ClientConfig):
        return ",".join(given.base_urls)
    if isinstance(given, Client) and given.config is not None:
        return address(given.config)
    provider = given.client if isinstance(given, Client) else given
    return without_userinfo(str(getattr(provider, "base_url", "")).rstrip("/"))


def _token_client_of(given: GivenClient) -> AnyClient:
    from verifiers_tito.clients.given_client import token_client_of  # noqa: PLC0415  late: imports openai, a second

    return token_client_of(given)
