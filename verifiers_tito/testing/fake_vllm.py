"""`FakeVLLM`: the fake as a server on a free loopback port, in the running event loop.

Flow: load the tokenizer, bind a port, run uvicorn as a task, wait until it listens; on leaving, stop it and wait for
it. It installs no signal handlers and writes no log. What it answers is none of its business.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import uvicorn

from verifiers_tito.errors import LocalServerError
from verifiers_tito.testing.fake_chat import FakeChat, FakeModel, ServerOptions
from verifiers_tito.testing.fake_routes import FakeApp, RecordedRequest
from verifiers_tito.testing.fake_tokenizer import FakeTokenizer, load_tokenizer
from verifiers_tito.testing.fake_weights import FakeWeights
from verifiers_tito.testing.scripts import Script

_GRACE_SECONDS = 1


class FakeVLLM:
    """A server that speaks vLLM's wire, with a real tokenizer and template and scripted completions.

        async with FakeVLLM(FakeModel(folder=folder), script=replies(["Hello."])) as fake:
            client = AsyncOpenAI(base_url=fake.base_url, api_key="EMPTY")

    `token_route=False` makes it look like a stock vLLM, without `/v1/chat/completions/tokens`, and `kv_token_ids=False`
    like one before 0.27, which passes over ids in `kv_transfer_params`. With `scale_out`, vLLM's `--enable-scale-out`,
    it has `/inference/v1/generate` and the route that aborts, too; without `completions_route` it looks like one behind
    a gateway that passes only chat on. `weight_updates` is vLLM's dev mode, with adapters, and `weights` shows what
    became of them. `reasoning_parser` and `tool_call_parser` are vLLM's flags of the same names. With
    `names_files=False` it does not say where the model's files are, so that a client asks it to tokenize instead of
    loading them for a second. Several fakes of one folder can share `tokenizer` (`load_tokenizer(folder)`), whose
    loading takes most of the start. It answers while the event loop runs.
    """

    def __init__(
        self,
        model: FakeModel,
        *,
        script: Script,
        api_key: str | None = None,
        token_route: bool = True,
        kv_token_ids: bool = True,
        completions_route: bool = True,
        scale_out: bool = False,
        weight_updates: bool = False,
        reasoning_parser: str | None = None,
        tool_call_parser: str | None = None,
        block_size: int = 16,
        names_files: bool = True,
        tokenizer: FakeTokenizer | None = None,
    ) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self._script = script
        self._api_key = api_key
        self._token_route = token_route
        self._completions_route = completions_route
        self._scale_out = scale_out
        self._weight_updates = weight_updates
        self._options = ServerOptions(
            reasoning_parser=reasoning_parser,
            tool_call_parser=tool_call_parser,
            block_size=block_size,
            kv_token_ids=kv_token_ids,
            names_files=names_files,
        )
        self._running: _Running | None = None

    @property
    def root_url(self) -> str:
        return f"http://127.0.0.1:{self._live.port}"

    @property
    def base_url(self) -> str:
        """What OpenAI clients take as their base URL."""
        return f"{self.root_url}/v1"

    @property
    def tokenizer(self) -> FakeTokenizer:
        """The model's tokenizer, once the fake runs."""
        if self._tokenizer is None:
            raise LocalServerError("this FakeVLLM has not been started: enter it with `async with`")
        return self._tokenizer

    @property
    def requests(self) -> list[RecordedRequest]:
        """What arrived so far, in order."""
        return self._live.app.requests

    @property
    def posts(self) -> list[RecordedRequest]:
        """The same without the questions about the server itself, which a client asks when it likes."""
        return [request for request in self.requests if request.method == "POST"]

    @property
    def weights(self) -> FakeWeights:
        """Which weights it samples with by now, and how they came."""
        return self._live.app.weights

    def play(self, script: Script) -> None:
        """Goes on as a fresh server with `script`, on the same port: tests can share one fake."""
        self._script = script
        if self._running is not None:
            self._running.app.start_over(script)

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise LocalServerError("this FakeVLLM is already running: make another one")
        if self._tokenizer is None:
            self._tokenizer = await asyncio.to_thread(load_tokenizer, self.model.folder)
        tokenizer = self._tokenizer
        chat = FakeChat(model=self.model, tokenizer=tokenizer, script=self._script, options=self._options)
        app = FakeApp(
            model=self.model,
            tokenizer=tokenizer,
            chat=chat,
            options=self._options,
            api_key=self._api_key,
            token_route=self._token_route,
            completions_route=self._completions_route,
            scale_out=self._scale_out,
            weight_updates=self._weight_updates,
        )
        self._running = await _start(app)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        running, self._running = self._live, None
        await running.stop()

    @property
    def _live(self) -> _Running:
        if self._running is None:
            raise LocalServerError("this FakeVLLM is not running: use it inside `async with`")
        return self._running


class _Running:
    """A server that listens."""

    def __init__(self, *, app: FakeApp, port: int, server: _QuietServer, task: asyncio.Task[None]) -> None:
        self.app = app
        self.port = port
        self._server = server
        self._task = task

    async def stop(self) -> None:
        self._server.should_exit = True
        await self._task


async def _start(app: FakeApp) -> _Running:
    # asyncio turns Nagle's algorithm off (40 ms a request) only where the protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        app.asgi,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    listening = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait((task, listening), return_when=asyncio.FIRST_COMPLETED)
    finally:
        listening.cancel()
    if task.done():
        raise LocalServerError(f"the fake vLLM did not start on port {port}") from task.exception()
    return _Running(app=app, port=port, server=server, task=task)


class _QuietServer(uvicorn.Server):
    """uvicorn that leaves the process's signals alone and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()
