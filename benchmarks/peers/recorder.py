"""A relay between a client and a server that keeps what each said: the server's view of a conversation.

    Recorder ──starts──► python -m benchmarks.peers.recorder --target http://HOST:PORT [--hide PATH ...]
             ◄── its address, as soon as it listens
    "take"   ──► ◄── the exchanges since the line before

Bodies are passed on as they are, and read by nobody here. A hidden path is answered as a server would that does not
have it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from benchmarks.line_process import LineProcess

_NOT_PASSED_ON = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_LARGEST_BODY = 1 << 30
_STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer."""

    path: str
    status: int
    sent: str
    received: str


class Recorder(LineProcess):
    """`with Recorder(target=root_url) as recorder`: clients talk to `recorder.base_url` as they would to the server."""

    def __init__(self, *, target: str, hidden: Sequence[str] = ()) -> None:
        command = [sys.executable, "-m", "benchmarks.peers.recorder", "--target", target, "--hide", *hidden]
        super().__init__(command, name="the recorder")

    @property
    def base_url(self) -> str:
        """What OpenAI clients take as their base URL, inside the block."""
        return f"{self.greeting}/v1"

    def take(self) -> list[Exchange]:
        """The exchanges since the last call."""
        return [Exchange(**exchange) for exchange in self.ask("take")]


class _Relay:
    def __init__(self, session: aiohttp.ClientSession, target: str, hidden: frozenset[str]) -> None:
        self.exchanges: list[dict[str, object]] = []
        self._session = session
        self._target = target
        self._hidden = hidden

    async def pass_on(self, request: web.Request) -> web.Response:
        sent = await request.read()
        if request.path in self._hidden:
            status, received, headers = 404, b'{"detail":"Not Found"}', {"Content-Type": "application/json"}
        else:
            status, received, headers = await self._ask(request, sent)
        self.exchanges.append(
            {"path": request.path, "status": status, "sent": sent.decode(), "received": received.decode()}
        )
        return web.Response(status=status, body=received, headers=headers)

    async def _ask(self, request: web.Request, sent: bytes) -> tuple[int, bytes, dict[str, str]]:
        url, headers = f"{self._target}{request.path_qs}", _passed_on(request.headers)
        try:
            async with self._session.request(request.method, url, data=sent, headers=headers) as answer:
                return answer.status, await answer.read(), _passed_on(answer.headers)
        except aiohttp.ClientError as error:
            return 502, json.dumps({"detail": str(error)}).encode(), {"Content-Type": "application/json"}


def _passed_on(headers: object) -> dict[str, str]:
    return {name: value for name, value in dict(headers).items() if name.lower() not in _NOT_PASSED_ON}  # type: ignore[call-overload]


async def serve(options: argparse.Namespace) -> None:
    """Runs until standard input ends."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as session:
        relay = _Relay(session, options.target, frozenset(options.hide))
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", relay.pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_SECONDS)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        print(json.dumps(f"http://{host}:{port}"), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            taken, relay.exchanges = relay.exchanges, []
            print(json.dumps(taken), flush=True)
        await runner.cleanup()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A relay that keeps what is said, driven over stdin and stdout.")
    parser.add_argument("--target", required=True, metavar="URL", help="the server, without /v1")
    parser.add_argument("--hide", nargs="*", default=[], metavar="PATH", help="paths the server shall not seem to have")
    asyncio.run(serve(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
