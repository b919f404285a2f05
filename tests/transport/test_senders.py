"""Two ways to send, one contract: straight through the pool, and through the package's request layer."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

import verifiers_tito as vf
from tests.transport.canned import CannedServer, Heard, Say, answer
from verifiers_tito.transport import ServerUnreachableError, connect, with_base_url
from verifiers_tito.transport.connecting import sender_of
from verifiers_tito.transport.package_sender import PackageSender
from verifiers_tito.transport.pool_sender import PoolSender
from verifiers_tito.transport.sender import Request, Sender

KEY = "a-secret"
REFUSED = b'{"error": {"message": "no such key", "code": 401}}'
Maker = Callable[[AsyncOpenAI], Sender]


@pytest.fixture(params=[sender_of, PackageSender], ids=["pool", "package"])
def make(request: pytest.FixtureRequest) -> Maker:
    made: Maker = request.param
    return made


@asynccontextmanager
async def sender_to(make: Maker, url: str, **fields: Any) -> AsyncIterator[Sender]:
    config = vf.ClientConfig(base_url=url, api_key=KEY, extra_headers={"X-Team": "red"}, **fields)
    async with connect(config) as provider:
        yield make(provider)


def post(root_url: str, **fields: Any) -> Request:
    headers = {"Content-Type": "application/json", "X-Request-Id": "tito-1", **fields.pop("headers", {})}
    return Request(path="/v1/x", url=f"{root_url}/v1/x", headers=headers, content=b'{"a": 1}', **fields)


def always(said: bytes | None) -> Say:
    return lambda heard: said


async def test_a_post_carries_key_headers_and_content_and_brings_the_body_back(make: Maker) -> None:
    async with CannedServer(always(answer("200 OK", b"[1]"))) as server, sender_to(make, server.root_url) as sender:
        got = await sender.send(post(server.root_url))
    (heard,) = server.heard
    assert (got.status, got.body, got.is_good) == (200, b"[1]", True)
    assert (heard.line, heard.body) == ("POST /v1/x HTTP/1.1", b'{"a": 1}')
    wanted = {"authorization": f"Bearer {KEY}", "x-team": "red", "x-request-id": "tito-1"}
    assert wanted.items() <= heard.headers.items()
    assert heard.headers["content-type"] == "application/json"


async def test_a_get_has_no_body(make: Maker) -> None:
    async with CannedServer(always(answer("200 OK", b"{}"))) as server, sender_to(make, server.root_url) as sender:
        await sender.send(Request(path="/health", url=f"{server.root_url}/health", headers={}))
    assert (server.heard[0].line, server.heard[0].body) == ("GET /health HTTP/1.1", b"")


async def test_both_ways_send_the_same_headers() -> None:
    async def heard_from(make: Maker) -> dict[str, str]:
        async with CannedServer(always(answer("200 OK"))) as server, sender_to(make, server.root_url) as sender:
            await sender.send(post(server.root_url))
        own = ("host", "accept-encoding", "connection", "x-stainless-retry-count", "x-stainless-read-timeout")
        return {name: value for name, value in server.heard[0].headers.items() if name not in own}

    assert await heard_from(sender_of) == await heard_from(PackageSender)


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "429 Too Many", "500 Oops", "503 Gone"])
async def test_an_answer_of_any_other_status_comes_back_as_it_is(make: Maker, status: str) -> None:
    said = answer(status, b"words", "Retry-After: 7")
    async with CannedServer(always(said)) as server, sender_to(make, server.root_url) as sender:
        got = await sender.send(post(server.root_url))
    assert (got.status, got.body, got.is_good) == (int(status[:3]), b"words", False)
    assert got.headers.get("retry-after") == "7"
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [("401 Unauthorized", openai.AuthenticationError), ("403 Forbidden", openai.PermissionDeniedError)],
)
async def test_a_refused_key_is_the_package_s_own_error(
    make: Maker, status: str, error: type[openai.APIStatusError]
) -> None:
    async with (
        CannedServer(always(answer(status, REFUSED))) as server,
        sender_to(make, server.root_url) as sender,
    ):
        with pytest.raises(error, match="no such key") as raised:
            await sender.send(post(server.root_url))
    assert raised.value.status_code == int(status[:3])
    assert raised.value.body == {"message": "no such key", "code": 401}


async def test_nobody_there_is_told_with_the_address(make: Maker) -> None:
    async with sender_to(make, "http://127.0.0.1:9") as sender:
        with pytest.raises(
            ServerUnreachableError,
            match=r"^POST /v1/x: the server at http://127.0.0.1:9/v1/x cannot be reached .*ClientConnectorError: ",
        ):
            await sender.send(post("http://127.0.0.1:9"))


@pytest.mark.parametrize("said", [b"", answer("200 OK", b"whole")[:-3], b"no HTTP at all\r\n\r\n"])
async def test_a_connection_that_breaks_is_told_without_the_words_of_others(make: Maker, said: bytes) -> None:
    async with CannedServer(always(said), hangs_up=True) as server, sender_to(make, server.root_url) as sender:
        with pytest.raises(ServerUnreachableError, match="cannot be reached or broke the connection") as raised:
            await sender.send(post(server.root_url))
    assert KEY not in str(raised.value)


async def test_a_server_that_says_nothing_is_waited_for_as_long_as_told(make: Maker) -> None:
    async with CannedServer(always(None)) as server, sender_to(make, server.root_url, timeout=0.05) as sender:
        with pytest.raises(ServerUnreachableError, match="no answer in time; raise ClientConfig"):
            await sender.send(post(server.root_url))
        await asyncio.wait_for(server.left.wait(), timeout=10)


async def test_one_request_may_have_less_time_than_others(make: Maker) -> None:
    async with CannedServer(always(None)) as server, sender_to(make, server.root_url, timeout=600) as sender:
        with pytest.raises(ServerUnreachableError, match="no answer in time"):
            await sender.send(post(server.root_url, timeout_seconds=0.05))


async def test_a_request_that_is_cancelled_hangs_up(make: Maker) -> None:
    async with CannedServer(always(None)) as server, sender_to(make, server.root_url) as sender:
        sending = asyncio.create_task(sender.send(post(server.root_url)))
        await asyncio.wait_for(server.arrived.wait(), timeout=10)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(server.left.wait(), timeout=10)


async def test_a_redirect_takes_body_and_key_along_on_the_same_server(make: Maker) -> None:
    def say(heard: Heard) -> bytes:
        there = heard.line.startswith("POST /there ")
        return answer("200 OK", heard.body) if there else answer("307 Moved", b"", "Location: /there")

    async with CannedServer(say) as server, sender_to(make, server.root_url) as sender:
        got = await sender.send(post(server.root_url))
    assert got.body == b'{"a": 1}'
    assert server.heard[-1].headers["authorization"] == f"Bearer {KEY}"


async def test_a_redirect_to_another_server_leaves_the_key_behind(make: Maker) -> None:
    async with CannedServer(always(answer("200 OK", b"ok"))) as other:
        moved = answer("307 Moved", b"", f"Location: {other.root_url}/x")
        async with CannedServer(always(moved)) as server, sender_to(make, server.root_url) as sender:
            assert (await sender.send(post(server.root_url))).body == b"ok"
    assert "authorization" not in other.heard[0].headers


async def test_the_page_that_a_303_names_is_not_gone_after() -> None:
    said = answer("303 See Other", b"done", "Location: /there")
    async with CannedServer(always(said)) as server, sender_to(sender_of, server.root_url) as sender:
        got = await sender.send(post(server.root_url))
    assert (got.status, got.body, got.is_good) == (303, b"done", False)
    assert len(server.heard) == 1


async def test_a_cookie_of_a_server_at_an_ip_address_is_sent_back(make: Maker) -> None:
    said = answer("200 OK", b"", "Set-Cookie: worker=3; Path=/")
    async with CannedServer(always(said)) as server, sender_to(make, server.root_url) as sender:
        for _ in range(2):
            await sender.send(post(server.root_url))
    assert [heard.headers.get("cookie") for heard in server.heard] == [None, "worker=3"]


async def test_a_packed_answer_is_unpacked(make: Maker) -> None:
    packed = answer("200 OK", gzip.compress(b"words"), "Content-Encoding: gzip")
    async with CannedServer(always(packed)) as server, sender_to(make, server.root_url) as sender:
        assert (await sender.send(post(server.root_url))).body == b"words"


async def test_a_request_s_own_header_replaces_the_client_s_however_it_is_spelled(make: Maker) -> None:
    async with CannedServer(always(answer("200 OK"))) as server, sender_to(make, server.root_url) as sender:
        await sender.send(post(server.root_url, headers={"x-TEAM": "blue"}))
    assert server.heard[0].headers["x-team"] == "blue"


async def test_a_key_that_is_changed_on_the_client_is_used_from_then_on(make: Maker) -> None:
    async with CannedServer(always(answer("200 OK"))) as server, connect(vf.ClientConfig(api_key="old")) as provider:
        sender = make(provider)
        provider.api_key = "new"
        await sender.send(post(server.root_url))
    assert server.heard[0].headers["authorization"] == "Bearer new"


async def test_a_client_s_own_authorization_goes_before_its_key(make: Maker) -> None:
    config = vf.ClientConfig(api_key="old", extra_headers={"authorization": "Basic x"})
    async with CannedServer(always(answer("200 OK"))) as server, connect(config) as provider:
        sender = make(provider)
        provider.api_key = "new"
        await sender.send(post(server.root_url))
    assert server.heard[0].headers["authorization"] == "Basic x"


@pytest.mark.parametrize("name", ["X-Team", "Authorization"])
async def test_a_request_can_leave_a_header_out(make: Maker, name: str) -> None:
    async with CannedServer(always(answer("200 OK"))) as server, sender_to(make, server.root_url) as sender:
        await sender.send(post(server.root_url, headers={name: openai.Omit()}))
    assert {"x-team", "authorization"} - server.heard[0].headers.keys() == {name.lower()}


@pytest.mark.parametrize("name", ["X-Team", "Authorization"])
async def test_a_client_can_leave_a_header_out(make: Maker, name: str) -> None:
    config = vf.ClientConfig(api_key=KEY, extra_headers={"X-Team": "red"})
    async with CannedServer(always(answer("200 OK"))) as server, connect(config) as provider:
        without = provider.with_options(default_headers={name: openai.Omit()})  # type: ignore[dict-item]
        await make(without).send(post(server.root_url))
    assert {"x-team", "authorization"} - server.heard[0].headers.keys() == {name.lower()}


async def test_a_client_that_was_closed_sends_nothing_any_more(make: Maker) -> None:
    async with CannedServer(always(answer("200 OK"))) as server, sender_to(make, server.root_url) as sender:
        await sender.send(post(server.root_url))
    with pytest.raises(RuntimeError, match="closed"):
        await sender.send(post("http://127.0.0.1:9"))


async def test_a_request_and_its_sender_show_no_key(make: Maker) -> None:
    async with sender_to(make, "http://127.0.0.1:9") as sender:
        shown = repr(sender) + repr(post("http://127.0.0.1:9", headers={"Authorization": KEY}))
    assert KEY not in shown


class OtherProvider(AsyncOpenAI):
    """May do anything to a request."""


async def fresh_key() -> str:
    return "fresh"


IDENTITY: Any = {
    "provider": {"token_type": "jwt", "get_token": fresh_key},
    "client_id": "c",
    "identity_provider_id": "i",
    "service_account_id": "s",
}


@pytest.mark.parametrize(
    "options",
    [
        {"default_query": {"api-version": "1"}},
        {"api_key": fresh_key},
        {"workload_identity": IDENTITY},
        {"default_headers": {"X-Team": openai.Omit()}},
    ],
    ids=lambda options: str(*options),
)
async def test_a_client_that_puts_more_on_a_request_is_the_package_s_business(options: dict[str, Any]) -> None:
    async with connect(vf.ClientConfig(api_key="k")) as provider:
        assert isinstance(sender_of(provider.with_options(**options)), PackageSender)


async def test_a_key_that_is_asked_for_each_time_is_sent() -> None:
    async with CannedServer(always(answer("200 OK"))) as server, connect(vf.ClientConfig(api_key="k")) as provider:
        await sender_of(provider.with_options(api_key=fresh_key)).send(post(server.root_url))
    assert server.heard[0].headers["authorization"] == "Bearer fresh"


async def test_only_a_plain_client_that_a_configuration_made_is_sent_for_below_the_package() -> None:
    config = vf.ClientConfig(api_key="k")
    async with connect(config) as provider, AsyncOpenAI(api_key="k") as given:
        other = OtherProvider(api_key="k", http_client=provider._client)
        moved = with_base_url(provider, "http://127.0.0.1:9/v1")
        ways = [type(sender_of(client)) for client in (provider, moved, given, other)]
    assert ways == [PoolSender, PoolSender, PackageSender, PackageSender]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "all_proxy"])
async def test_a_proxy_of_the_environment_is_gone_through(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    async with CannedServer(always(answer("200 OK", b"by proxy"))) as proxy:
        monkeypatch.setenv(variable, proxy.root_url)
        async with sender_to(sender_of, "http://vllm.example/v1") as sender:
            assert (await sender.send(post("http://vllm.example"))).body == b"by proxy"
    assert proxy.heard[0].line.startswith("POST http://vllm.example/v1/x ")
