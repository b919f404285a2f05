"""The seam below retries and errors: one request goes out once, and whatever the server answers comes back.

    PoolSender      for clients made from a configuration: aiohttp, with the package's key, headers and limits
    PackageSender   for any other `AsyncOpenAI`: its own request layer, whatever it is told to do there

A sender knows no route, reads no body and tries nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from openai import Omit


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A POST of `content`, or a GET where that is None. `path` is how errors name it; headers may hold secrets, or an
    `openai.Omit()` that takes the client's header of this name away. `timeout_seconds` is for each step of it, instead
    of the provider's."""

    path: str
    url: str
    headers: Mapping[str, str | Omit] = field(repr=False)
    content: bytes | None = field(default=None, repr=False)
    timeout_seconds: float | None = None

    @property
    def method(self) -> str:
        return "GET" if self.content is None else "POST"

    @property
    def operation(self) -> str:
        """As errors and counts name it."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """Of whatever status. Names of `headers` are in small letters, or do not care about letters."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


class Sender(Protocol):
    """Sends as a provider's client would: with its key, headers, timeouts and connections."""

    async def send(self, request: Request) -> Answer:
        """Raises `ServerUnreachableError` where no answer comes, and the provider's own authentication errors. A
        request that is cancelled has its connection closed."""
        ...
