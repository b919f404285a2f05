"""The connections of a client that was made from a configuration: a pool for the openai package, one for ourselves."""

from __future__ import annotations

import sys
from typing import Any
from urllib.request import getproxies

import aiohttp
import openai

_HTTP: Any = sys.modules[type(openai.DEFAULT_CONNECTION_LIMITS).__module__.partition(".")[0]]
"""What the package is made on: httpx2, or httpx in its older versions."""
_PROXIES = ("http", "https", "all")


class Connections(openai.DefaultAioHttpClient):
    """Up to `most` connections at once in each of two pools; the package's is used for what is left to it, a redirect
    say. The pool of the package's default looks at all connections for every request, and at 2,048 at once does little
    else; aiohttp's does not, in the package's hands or in ours.

    `has_proxy`: the environment names one, which is the package's business.
    """

    def __init__(self, *, most: int) -> None:
        limits = _HTTP.Limits(max_connections=most, max_keepalive_connections=most)
        certificates = _HTTP.create_ssl_context()  # read once for both pools
        super().__init__(limits=limits, verify=certificates)
        self.has_proxy = any(getproxies().get(scheme) for scheme in _PROXIES)
        self._limits, self._certificates = limits, certificates
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Opened in the event loop that asks first. Raises `RuntimeError` once all is closed."""
        if self.is_closed:
            raise RuntimeError("the client was closed: nothing can be sent any more")
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._limits.max_connections,
                keepalive_timeout=self._limits.keepalive_expiry,
                ssl=self._certificates,
            )
            cookies = aiohttp.CookieJar(unsafe=True)  # also of servers that have no name but an IP address
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=cookies)
        return self._session

    async def aclose(self) -> None:
        try:
            if self._session is not None:
                await self._session.close()
        finally:
            await super().aclose()
