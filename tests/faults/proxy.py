"""A wire that misbehaves: it stands between a client and a server, and spoils what it is told to.

Requests are passed on one at a time per connection, as HTTP/1.1 clients send them. `answered` counts the completions
that the server made, whatever became of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Any, Self


class Fault(StrEnum):
    """What happens to one completion."""

    NONE = "none"
    RESET_BEFORE = "the connection breaks before the server hears of it"
    RESET_AFTER = "it breaks when the server has answered"
    RESET_DURING = "it breaks within the answer"
    HANG = "nothing comes back"
    TOO_MANY = "429, come back at once"
    FAILURE = "500, and the connection closes"
    TRUNCATED = "the JSON ends early"
    WRONG_ECHO = "the server says it saw other ids"
    MISALIGNED = "one log-probability is missing"
    MINUS_INFINITY = "a log-probability is -9999"
    ABORT = "finish_reason abort"
    NO_CHOICES = "an answer without choices"
    UNKNOWN_ID = "an id was sampled that there is not"


OVERCOME = frozenset(
    {Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.RESET_DURING, Fault.HANG, Fault.TOO_MANY, Fault.FAILURE, Fault.ABORT}
)
"""What a client gets over by trying again."""

UNKNOWN_ID = 10**7
COMPLETING = (b"/completions", b"/generate")
"""In the paths of requests that sample."""

Head = bytes
Choose = Callable[[], Fault]


class FaultyWire:
    """`async with FaultyWire(port, choose) as wire`: `wire.base_url` instead of the server's."""

    def __init__(self, port: int, choose: Choose) -> None:
        self.answered = 0
        self.faults: list[Fault] = []
        self._port = port
        self._choose = choose
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2048)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        self.break_down()
        await self._server.wait_closed()

    def break_down(self) -> None:
        """Nobody is at this address from now on, whatever was under way."""
        self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._pass_on(reader, writer, there, back):
                    pass
        finally:
            self._open.discard(writer)
            for end in (writer, back):
                end.transport.abort()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> bool:
        """One request and its answer. False where the connection is to break."""
        head, body = await _read(reader)
        is_completion = head.startswith(b"POST") and any(path in head.split(b"\r\n")[0] for path in COMPLETING)
        fault = self._choose() if is_completion else Fault.NONE
        if fault is not Fault.NONE:
            self.faults.append(fault)
        if fault is Fault.RESET_BEFORE:
            return False
        if fault is Fault.HANG:
            await reader.read()  # until the client goes away
            return False
        if fault in (Fault.TOO_MANY, Fault.FAILURE):
            status = (
                b"429 Too Many Requests\r\nretry-after: 0" if fault is Fault.TOO_MANY else b"500 Internal Server Error"
            )
            writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 4\r\n\r\noops")
            await writer.drain()
            return fault is Fault.TOO_MANY
        back.write(head + body)
        head, body = await _read(there)
        self.answered += is_completion
        if fault is Fault.RESET_AFTER:
            return False
        if fault is Fault.RESET_DURING:
            writer.write((head + body)[: len(head) + len(body) // 2])
            await writer.drain()
            return False
        if fault is not Fault.NONE:
            body = spoilt(body, fault)
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        writer.write(head + body)
        await writer.drain()
        return True


def spoilt(body: bytes, fault: Fault) -> bytes:
    """An answer as no server should give it."""
    if fault is Fault.TRUNCATED:
        return body[: len(body) // 2]
    answer = json.loads(body)
    choice = answer["choices"][0]
    if fault is Fault.WRONG_ECHO:
        if answer.get("prompt_digest"):
            answer["prompt_digest"]["count"] += 1
        else:
            (answer if "prompt_token_ids" in answer else choice)["prompt_token_ids"] = [1, 2, 3]
    elif fault is Fault.MISALIGNED:
        _logprobs(choice).pop()
    elif fault is Fault.MINUS_INFINITY:
        logprobs = _logprobs(choice)
        logprobs[0] = {**logprobs[0], "logprob": -9999.0} if isinstance(logprobs[0], dict) else -9999.0
    elif fault is Fault.ABORT:
        choice["finish_reason"] = "abort"
    elif fault is Fault.NO_CHOICES:
        answer["choices"] = []
    elif fault is Fault.UNKNOWN_ID:
        choice["token_ids"][0] = UNKNOWN_ID
    return json.dumps(answer).encode()


def _logprobs(choice: dict[str, Any]) -> list[Any]:
    """In whichever form they came."""
    told = {"token_logprobs": choice.get("completion_logprobs"), **(choice.get("logprobs") or {})}
    numbers: list[Any] = told.get("content") or told["token_logprobs"]
    return numbers


async def _read(reader: asyncio.StreamReader) -> tuple[Head, bytes]:
    """One message with a declared length."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    return head, await reader.readexactly(int(fields.get(b"content-length", b"0")))
