"""One server: bytes to it and back, as an `AsyncOpenAI` says.

The provider's client gives the address, key, headers, timeouts, connection pool and number of retries; a `Sender` sends
as it would. The retries themselves are ours, and so are encoding, decoding and errors, because its models cost tens of
milliseconds on an answer with log-probabilities. This module knows no route and no field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import msgspec
from openai import AsyncOpenAI

from verifiers_tito.errors import Error, InvalidModelResponseError, UnencodableTextError
from verifiers_tito.transport.connecting import sender_of
from verifiers_tito.transport.error_mapping import (
    AUTHENTICATION_ERRORS,
    EMPTY,
    RouteMissingError,
    map_status,
)
from verifiers_tito.transport.retry_policy import RetryBudget, RetryPolicy
from verifiers_tito.transport.retrying import Retrying
from verifiers_tito.transport.sender import Answer, Request
from verifiers_tito.transport.slices import Slices
from verifiers_tito.transport.traffic import Traffic
from verifiers_tito.wire.addresses import without_userinfo
from verifiers_tito.wire.routes import API_ROOT, ENGINE_IDS, HEALTH

AnswerT = TypeVar("AnswerT")

REQUEST_ID = "X-Request-Id"
_JSON = {"Content-Type": "application/json"}
_HEALTH_SECONDS = 5.0


def _accept(answer: bytes) -> None:
    """Any answer will do."""


class Server:
    """An address, and what is remembered of it.

    `turns` are under way at the moment, `rollouts` have been sent here. `is_out` is set while it is known not to
    answer, and `has_stand_in` tells whether another server would take its rollouts. `abort_path` is where a request
    is given up by its id, "" where the server has no such route.
    """

    def __init__(self, provider: AsyncOpenAI, *, traffic: Traffic | None = None) -> None:
        self.provider = provider
        self.turns = 0
        self.rollouts = 0
        self.is_out = False
        self.has_stand_in: Callable[[], bool] = lambda: False
        self.abort_path = ""
        self._sender = sender_of(provider)
        self._slices = Slices()
        self._traffic = traffic or Traffic()
        policy = RetryPolicy(most_retries=provider.max_retries)
        self._retrying = Retrying(policy=policy, counts=self._traffic.retries)

    def __repr__(self) -> str:
        return f"Server({self.shown_url})"

    @property
    def shown_url(self) -> str:
        """Its address in messages: without user and password."""
        return without_userinfo(self.base_url)

    @property
    def base_url(self) -> str:
        """As the provider's client has it: with `/v1`."""
        return str(self.provider.base_url).rstrip("/")

    @property
    def root_url(self) -> str:
        """Without `/v1`: where `/tokenize` is."""
        return self.base_url.removesuffix(API_ROOT)

    @contextmanager
    def taking_a_turn(self) -> Iterator[None]:
        """Counts as load while a turn is under way."""
        self.turns += 1
        try:
            yield
        finally:
            self.turns -= 1

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        budget: RetryBudget | None = None,
        check: Callable[[bytes], None] = _accept,
    ) -> bytes:
        """The raw answer to `body`, or one of our errors. `path` is one of `wire.routes`, `budget` the rollout's; an
        answer for which `check` raises is as none."""
        content = _encode(body, path)

        async def send(request_id: str) -> bytes:
            named = {**_JSON, REQUEST_ID: request_id, **(headers or {})}
            body = await self._send(path, headers=named, content=content)
            check(body)
            return body

        return await self._retrying.run(send, budget=budget, has_stand_in=self.has_stand_in, end=self._end)

    async def get(self, path: str, *, most_retries: int | None = None) -> bytes:
        """The raw answer to a GET of `path`, or one of our errors. None: it is tried as often as a turn."""

        async def send(request_id: str) -> bytes:
            return await self._send(path, headers={REQUEST_ID: request_id})

        budget = None if most_retries is None else RetryBudget(left=most_retries)
        return await self._retrying.run(send, budget=budget, has_stand_in=self.has_stand_in)

    def count_retry(self, error: Error) -> None:
        """One that was made elsewhere: at another server, say."""
        self._traffic.retries[type(error).__name__] += 1

    @property
    def outages(self) -> int:
        """How often it stopped answering."""
        return self._retrying.outages

    async def is_healthy(self) -> bool:
        """Whether it answers now, be it that it does not tell us how it is; asked once, not again."""
        try:
            answer = await self._sender.send(self._request(HEALTH, timeout_seconds=_HEALTH_SECONDS))
        except AUTHENTICATION_ERRORS:
            return True
        except (Error, OSError, RuntimeError):  # the last: connections that were closed for good
            return False
        return answer.status < 500

    async def _end(self, request_id: str) -> None:
        """Has the server give up a request whose connection broke: something in between may keep it running."""
        if not self.abort_path:
            return
        content = msgspec.json.encode({"request_ids": [form.format(request_id) for form in ENGINE_IDS]})
        request = self._request(self.abort_path, headers=_JSON, content=content, timeout_seconds=_HEALTH_SECONDS)
        with suppress(Error, *AUTHENTICATION_ERRORS):  # it may be gone; then so is the request
            await self._sender.send(request)

    async def _send(self, path: str, *, headers: Mapping[str, str], content: bytes | None = None) -> bytes:
        """The body of a good answer, counted, or one of our errors."""
        request = self._request(path, headers=headers, content=content)
        answer = await self._sender.send(request)
        await self._slices.turn()
        if not answer.is_good:
            raise _error_of(answer, request)
        self._traffic.answered(request.operation, sent=len(content or b""), received=len(answer.body))
        return answer.body

    def _request(self, path: str, *, headers: Mapping[str, str] = EMPTY, **fields: Any) -> Request:
        return Request(path=path, url=self._url(path), headers=headers, **fields)

    def _url(self, path: str) -> str:
        """A base URL need not end in `/v1`: behind a gateway, what is below `/v1` is below that."""
        if path.startswith(f"{API_ROOT}/"):
            return self.base_url + path.removeprefix(API_ROOT)
        return self.root_url + path


def _error_of(answer: Answer, request: Request) -> Error:
    error = map_status(answer.status, answer.body, headers=answer.headers, operation=request.operation)
    if isinstance(error, RouteMissingError):
        return RouteMissingError(f"{error} ({without_userinfo(request.url)})")
    return error


def _encode(body: Mapping[str, Any], path: str) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as error:  # half a surrogate pair: a file name or output that was not UTF-8
        raise UnencodableTextError(
            f"POST {path}: a message holds a character that is none in UTF-8: {error.reason} at {error.start}"
        ) from error


def decode(body: bytes, answer_type: type[AnswerT], *, operation: str) -> AnswerT:
    """`body` as `answer_type`; a body of another shape is an `InvalidModelResponseError` that says what is off."""
    try:
        return msgspec.json.decode(body, type=answer_type)
    except msgspec.MsgspecError as error:
        raise InvalidModelResponseError(
            f"{operation}: the answer ({len(body)} bytes) cannot be read: {error}"
        ) from error
