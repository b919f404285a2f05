"""A server that says what it is told to, byte by byte, and keeps what it heard."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One request. Names of headers are in small letters."""

    line: str
    headers: dict[str, str]
    body: bytes


Say = Callable[[Heard], bytes | None]
"""The bytes of an answer; b"" breaks the connection, None says nothing until the other side goes away."""


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """`status` is a number and its words."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class CannedServer:
    """`async with CannedServer(say) as server`: `server.heard` is what arrived, `server.left` is set once a client that
    got no answer has gone away. `hangs_up`: after each answer."""

    def __init__(self, say: Say, *, hangs_up: bool = False) -> None:
        self.heard: list[Heard] = []
        self.arrived, self.left = asyncio.Event(), asyncio.Event()
        self._say, self._hangs_up = say, hangs_up
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def root_url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while said := self._say(await self._hear(reader)):
                writer.write(said)
                await writer.drain()
                if self._hangs_up:
                    break
            if said is None:
                await reader.read()
                self.left.set()
        self._open.discard(writer)
        writer.close()

    async def _hear(self, reader: asyncio.StreamReader) -> Heard:
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        pairs = (one.partition(": ") for one in lines)
        headers = {name.lower(): value for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.heard.append(Heard(line=line, headers=headers, body=body))
        self.arrived.set()
        return self.heard[-1]
