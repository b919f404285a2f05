"""One server of a client, and what the client has found out about it: what it told, and which routes it takes.

The first turn does not wait for that, it is asked meanwhile. After an outage another server may stand at the address,
so this is found out anew.
"""

from __future__ import annotations

import asyncio

from verifiers_tito.clients.introduction import Introduction, introduce
from verifiers_tito.clients.route_choice import RouteChoice
from verifiers_tito.errors import Error, ModelError
from verifiers_tito.transport import AUTHENTICATION_ERRORS, Server
from verifiers_tito.types import Route
from verifiers_tito.wire.routes import ABORT
from verifiers_tito.wire.token_routes import TokenRoute

_PATIENCE_SECONDS = 5.0
"""A server that completes turns but does not introduce itself within this time is used without."""


class KnownServer:
    """`wanted` is the only route that may be used, if it is given."""

    def __init__(self, server: Server, *, wanted: Route | str | None) -> None:
        self.server = server
        self.routes = RouteChoice(wanted)
        self._asked: asyncio.Task[Introduction] | None = None
        self._is_slow = False
        self._outages = server.outages

    def ask(self) -> asyncio.Task[Introduction]:
        """Begins to ask the server about itself, unless that was done and it has been there ever since."""
        if self._outages != self.server.outages:
            self._start_over()
        if self._asked is None or self._asked.cancelled():
            self._asked = asyncio.create_task(self._ask())
        return self._asked

    async def introduction(self) -> Introduction:
        """What the server told, or as good as nothing where it does not tell in time."""
        asked = self.ask()
        if not self._is_slow and not asked.done():
            await asyncio.wait((asked,), timeout=_PATIENCE_SECONDS)
            self._is_slow = not asked.done()
        if asked.cancelled() and self._asked is not asked:  # the server went away meanwhile
            return await self.introduction()
        return asked.result() if asked.done() and not asked.cancelled() else Introduction()

    def rule_out(self, way: TokenRoute, error: ModelError) -> None:
        """The route is not there (any more), or `error` is raised as it is. One that was there tells of a new
        server."""
        was_there = self.routes.has_proven(way)
        self.routes.rule_out(way, error)
        if was_there:
            self.forget_introduction()

    def forget_introduction(self) -> None:
        self._is_slow = False
        if self._asked is not None:
            self._asked.cancel()
            self._asked = None

    async def close(self) -> None:
        """Stops asking."""
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.wait((self._asked,))

    def _start_over(self) -> None:
        """Another server may answer at this address from now on."""
        self._outages = self.server.outages
        self.routes.start_over()
        self.forget_introduction()

    async def _ask(self) -> Introduction:
        try:
            told = await introduce(self.server)
        except AUTHENTICATION_ERRORS:
            return Introduction()  # the turns will say so, too
        except Error:
            self._asked = None  # and the next turn asks again
            return Introduction()
        self.routes.learn(told)
        self.server.abort_path = next((path for path in ABORT if path in (told.paths or ())), "")
        return told
