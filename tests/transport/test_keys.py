"""A key is in no error of a request that failed, nor in what that error came from, nor in what is written of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openai import AsyncOpenAI

import verifiers_tito as vf
from tests.transport.canned import CannedServer, Heard, answer
from verifiers_tito.transport import ServerUnreachableError, connect, with_base_url
from verifiers_tito.transport.server import Server
from verifiers_tito.utils.error_utils import ErrorChain

KEY = "a-secret"
ECHOED = f"authorization: Bearer {KEY}\r\n\r\n".encode()
BROKEN = {
    "nothing": b"",
    "no HTTP": b"no HTTP at all\r\n\r\n",
    "what it was sent": ECHOED,
    "a header that is none": f"HTTP/1.1 200 OK\r\nx {KEY}: 1\r\n\r\n".encode(),
    "half an answer": answer("200 OK", b"whole")[:-3],
}


def own(url: str) -> AsyncOpenAI:
    return connect(vf.ClientConfig(base_url=f"{url}/v1", api_key=KEY, max_retries=0))


def given(url: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)


def own_with_a_query(url: str) -> AsyncOpenAI:
    """Which the package sends for, over aiohttp."""
    return own(url).with_options(default_query={"api-version": "1"})


Maker = Callable[[str], AsyncOpenAI]
PROVIDERS = pytest.mark.parametrize(
    "make", [own, own_with_a_query, given], ids=["pool", "package over aiohttp", "package"]
)


def came_from(error: BaseException | None) -> Iterator[BaseException]:
    """The error, its causes and whatever was being handled then."""
    if error is not None:
        yield error
        yield from came_from(error.__cause__)
        yield from came_from(error.__context__)


def all_that_shows(error: BaseException) -> str:
    chain = [f"{one!r} {one} {vars(one)}" for one in came_from(error)]
    return "\n".join([*chain, repr(ErrorChain(error)), *traceback.format_exception(error)])


@PROVIDERS
@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN.keys())
async def test_an_answer_that_is_none_shows_no_key(make: Maker, said: bytes) -> None:
    async with CannedServer(lambda heard: said, hangs_up=True) as server, make(server.root_url) as provider:
        words = rf"^POST /v1/x: the server at {server.root_url}/v1/x cannot be reached or broke the connection \(\w+\);"
        with pytest.raises(ServerUnreachableError, match=words) as raised:
            await Server(provider).post("/v1/x", {})
    assert server.heard[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in all_that_shows(raised.value)


def breaking_turns(heard: Heard) -> bytes:
    return ECHOED if "/chat/completions" in heard.line else answer("404 Not Found", b"{}")


def files_under(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


@PROVIDERS
async def test_results_hold_no_key_whatever_a_server_says(make: Maker, tmp_path: Path) -> None:
    environment = vf.SingleTurnEnv(dataset=[{"question": "hi"}], rubric=vf.Rubric(lambda **columns: 1.0))
    async with CannedServer(breaking_turns, hangs_up=True) as server, make(server.root_url) as provider:
        client = vf.OpenAIChatCompletionsClient(provider)
        results = await environment.evaluate(
            client, "m", show_progress=False, save_results=True, results_path=tmp_path, state_columns=["error"]
        )
    written = files_under(tmp_path)
    assert "broke the connection" in repr(results)
    assert any(b"broke the connection" in one for one in written)
    assert KEY not in repr(results)
    assert not any(KEY.encode() in one for one in written)


async def test_a_password_in_an_address_is_not_told() -> None:
    missing = answer("404 Not Found")
    async with CannedServer(lambda heard: missing) as server, given(server.root_url) as provider:
        there = with_base_url(provider, f"http://me:{KEY}@{server.root_url.removeprefix('http://')}/v1")
        with pytest.raises(vf.Error, match=r"\(http://127\.0\.0\.1:\d+/v1/x\)$") as refused:
            await Server(there).post("/v1/x", {})
        nobody = with_base_url(provider, f"http://me:{KEY}@127.0.0.1:9/v1")
        with pytest.raises(ServerUnreachableError, match=r"the server at http://127\.0\.0\.1:9/v1/x cannot") as gone:
            await Server(nobody).post("/v1/x", {})
    assert server.heard[0].headers["authorization"].startswith("Basic ")
    assert repr(Server(nobody)) == "Server(http://127.0.0.1:9/v1)"
    assert KEY not in all_that_shows(refused.value) + all_that_shows(gone.value)
