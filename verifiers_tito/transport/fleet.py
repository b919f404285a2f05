"""The servers of one client, as one.

A rollout stays on the server where it began, whose prefix cache knows it; a new one goes where the fewest turns are
under way. A server that does not answer is taken out, its rollouts move (their ids go in whole, so nothing is lost
but cached work), and it is asked for its health until it is back. The last server is never taken out: there the
retries wait.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeVar

from openai import AsyncOpenAI

from verifiers_tito.transport.connecting import with_base_url
from verifiers_tito.transport.error_mapping import ServerError, ServerUnreachableError
from verifiers_tito.transport.retry_policy import RetryBudget
from verifiers_tito.transport.server import Server
from verifiers_tito.transport.traffic import Traffic
from verifiers_tito.types import ClientConfig

ResultT = TypeVar("ResultT")

SERVER_KEY = "_server"
"""Of a rollout's state."""
DATA_PARALLEL_RANK = "X-data-parallel-rank"
"""vLLM runs a request that carries it on this replica of its engine."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 15.0
_logger = logging.getLogger(__name__)


def servers_of(provider: AsyncOpenAI, config: ClientConfig, *, traffic: Traffic | None = None) -> list[Server]:
    """A server for each address of `config`; `provider`, whose connections they share, is the first one's client."""
    others = [with_base_url(provider, url) for url in config.base_urls[1:]]
    return [Server(one, traffic=traffic) for one in (provider, *others)]


class Fleet:
    """`session_header` and `data_parallel_size` are the configuration's: how requests of one rollout are marked as
    such, for a router or for a vLLM with several engines behind one address."""

    def __init__(
        self, servers: Sequence[Server], *, session_header: str | None = None, data_parallel_size: int | None = None
    ) -> None:
        self.servers = tuple(servers)
        self._session_header = session_header
        self._data_parallel_size = data_parallel_size
        self._watches: dict[Server, asyncio.Task[None]] = {}
        self._is_closed = False
        for server in self.servers:
            server.has_stand_in = lambda server=server: self._has_stand_in(server)  # type: ignore[misc]

    def server_of(self, state: MutableMapping[str, Any]) -> Server:
        """The rollout's server; one is chosen for a new rollout, and for one whose server is out."""
        server: Server | None = state.get(SERVER_KEY)
        if server is None or server not in self.servers or (server.is_out and self._has_stand_in(server)):
            server = state[SERVER_KEY] = self._least_loaded()
            server.rollouts += 1
        return server

    def headers_of(self, state: Mapping[str, Any]) -> dict[str, str]:
        """What marks the requests of one rollout, from its trajectory id."""
        trajectory_id = str(state.get("trajectory_id") or "")
        if not trajectory_id:
            return {}
        headers = {self._session_header: trajectory_id} if self._session_header else {}
        if self._data_parallel_size:
            headers[DATA_PARALLEL_RANK] = str(zlib.crc32(trajectory_id.encode()) % self._data_parallel_size)
        return headers

    async def run(
        self,
        work: Callable[[Server], Awaitable[ResultT]],
        *,
        choose: Callable[[], Server] | None = None,
        budget: RetryBudget | None = None,
    ) -> ResultT:
        """What `work` comes to on the chosen server (the least loaded one) or, where that does not answer any more, on
        another one, each once. A move counts as a retry, for `budget` too."""
        tried = 0
        while True:
            server, tried = (choose or self._least_loaded)(), tried + 1
            try:
                return await work(server)
            except (ServerUnreachableError, ServerError) as error:
                is_spent = budget is not None and budget.left <= 0
                if tried == len(self.servers) or is_spent or not self.take_out(server, error):
                    raise
                server.count_retry(error)
                if budget is not None:
                    budget.spend()

    def take_out(self, server: Server, error: ServerUnreachableError | ServerError) -> bool:
        """Takes a server out that did not answer. False, and nothing is done, where no other one is left, or `error`
        does not mean that nobody is there."""
        if not error.means_absence or self._is_closed or not self._has_stand_in(server):
            return False
        if not server.is_out:
            server.is_out = True
            left = sum(not other.is_out for other in self.servers)
            words = "the server at %s is taken out, its rollouts move to the %d that are left: %s"
            _logger.warning(words, server.shown_url, left, error)
            self._watches[server] = asyncio.create_task(self._watch(server))
        return True

    async def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """The answer of whichever server there is: for what all of them answer alike, such as `/tokenize`."""
        return await self.run(lambda server: server.post(path, body))

    async def close(self) -> None:
        """Stops watching servers that are out."""
        self._is_closed = True
        for watch in self._watches.values():
            watch.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)

    def _has_stand_in(self, server: Server) -> bool:
        return any(other is not server and not other.is_out for other in self.servers)

    def _least_loaded(self) -> Server:
        there = [server for server in self.servers if not server.is_out] or self.servers
        return min(there, key=lambda server: (server.turns, server.rollouts))

    async def _watch(self, server: Server) -> None:
        """Puts a server in again once it is healthy."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        await asyncio.sleep(pause_seconds)
        while not await server.is_healthy():
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause_seconds)
        server.is_out = False
        _logger.warning("the server at %s is back", server.shown_url)
