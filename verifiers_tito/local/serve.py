"""Keeps a local server up until a signal or its own end: the body of `tito serve`.

SIGINT and SIGTERM cancel the server's block, so its process group is stopped by the same code as everywhere.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from verifiers_tito.local.server import LocalServer
from verifiers_tito.local.server_options import LocalServerOptions

EXIT_CODES = {
    signal.SIGINT: 130,
    signal.SIGTERM: 0,
}  # interrupted, as a shell says it; asked to stop, and did


async def serve_until_stopped(options: LocalServerOptions, *, announce: Callable[[LocalServer], None]) -> int:
    """Calls `announce` once the server is healthy, then waits. Returns the exit code for the process.

    Raises `LocalServerError` when the server does not start or ends by itself.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()
    for number, code in EXIT_CODES.items():
        loop.add_signal_handler(number, _resolve, stopped, code)
    serving = asyncio.create_task(_serve(options, announce=announce))
    try:
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            serving.cancel()
            await asyncio.wait({serving})
            return stopped.result()
        return serving.result()
    finally:
        for number in EXIT_CODES:
            loop.remove_signal_handler(number)


def _resolve(stopped: asyncio.Future[int], code: int) -> None:
    if not stopped.done():
        stopped.set_result(code)


async def _serve(options: LocalServerOptions, *, announce: Callable[[LocalServer], None]) -> int:
    async with LocalServer(options) as server:
        announce(server)
        code = await server.wait_for_exit()
        raise server.failure(f"the local server for {server.model} ended by itself with exit code {code}")
