"""Sending straight through the pool of connections: the package's request layer costs three times as much CPU.

What goes out is what the package would send, but for the headers in which each says something of itself:
`X-Stainless-Retry-Count`, `X-Stainless-Read-Timeout`, `Accept-Encoding` and `Connection`. What the package would do in
a way of its own is left to it, but for a 303: it would get the page that is named there, and here the answer is the
303, since what was asked has been done and may not be asked again. Cookies are kept as it keeps them, but in a jar of
this pool's own.
"""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
import openai
from openai import AsyncOpenAI

from verifiers_tito.errors import Error
from verifiers_tito.transport.connections import Connections
from verifiers_tito.transport.error_mapping import map_connection_error
from verifiers_tito.transport.package_sender import PackageSender
from verifiers_tito.transport.sender import Answer, Request

_LEFT_TO_THE_PACKAGE = frozenset([301, 302, 307, 308, 401, 403])
"""Redirects, of which it knows where a key may go, and refused keys, which are its own errors: nothing was done yet for
a request that is answered so."""


class PoolSender:
    """Of `provider`, whose connections are `connections`: its key as it is now, its headers and timeouts as they were
    when this was made."""

    def __init__(self, provider: AsyncOpenAI, connections: Connections) -> None:
        self._provider = provider
        self._connections = connections
        self._package = PackageSender(provider)
        self._defaults = _in_small_letters(provider.default_headers)
        self._custom = _in_small_letters(provider._custom_headers)
        self._timeout = _timeout(openai.Timeout(provider.timeout))

    async def send(self, request: Request) -> Answer:
        if any(isinstance(value, openai.Omit) for value in request.headers.values()):
            return await self._package.send(request)
        told = await self._answer(request)
        if isinstance(told, Error):  # raised out here, it drags none along whose `repr` shows what was sent
            raise told
        return await self._package.send(request) if told.status in _LEFT_TO_THE_PACKAGE else told

    async def _answer(self, request: Request) -> Answer | Error:
        try:
            async with self._connections.session.request(
                request.method,
                request.url,
                data=request.content,
                headers=self._headers_of(request),
                timeout=self._timeout_of(request),
                allow_redirects=False,
            ) as response:
                return Answer(response.status, await response.read(), response.headers)
        except (aiohttp.ClientError, OSError) as error:
            return map_connection_error(error, url=request.url, operation=request.operation)

    def _headers_of(self, request: Request) -> dict[str, str]:
        """The later ones replace the earlier ones, however they are spelled. Older packages count the key that the
        client was made with among its defaults."""
        key = _in_small_letters(self._provider.auth_headers)
        return {**self._defaults, **key, **self._custom, **_in_small_letters(request.headers)}

    def _timeout_of(self, request: Request) -> aiohttp.ClientTimeout:
        seconds = request.timeout_seconds
        return self._timeout if seconds is None else _timeout(openai.Timeout(seconds))


def _timeout(limits: openai.Timeout) -> aiohttp.ClientTimeout:
    """The whole answer may take any time, as long as something comes in time."""
    return aiohttp.ClientTimeout(total=None, connect=limits.pool, sock_connect=limits.connect, sock_read=limits.read)


def _in_small_letters(headers: Mapping[str, str | openai.Omit]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
