"""Posting a JSON body through a user's `AsyncOpenAI`, and typed answers back.

The provider's client gives the address, key, headers, timeouts, connection pool and number of retries. The retries
themselves are ours, and so are encoding, decoding and errors, because its models cost tens of milliseconds on an answer
with log-probabilities. This module knows no route and no field.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec
import openai
from openai import AsyncOpenAI

from verifiers_tito.errors import InvalidModelResponseError, UnencodableTextError
from verifiers_tito.transport.error_mapping import map_provider_error
from verifiers_tito.transport.retry_policy import RetryBudget, RetryPolicy
from verifiers_tito.transport.retrying import Retrying
from verifiers_tito.types import ClientConfig

AnswerT = TypeVar("AnswerT")

_JSON = {"Content-Type": "application/json"}
_RETRYING: WeakKeyDictionary[AsyncOpenAI, Retrying] = WeakKeyDictionary()
"""What is remembered of a client's server, by the client and its copies."""


def _accept(answer: bytes) -> None:
    """Any answer will do."""


def connect(config: ClientConfig) -> AsyncOpenAI:
    """An `AsyncOpenAI` with exactly the address, key and limits of `config`. Its connections are aiohttp's: the pool of
    the package's default looks at all connections for every request, and at 2,048 at once does little else."""
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
        max_connections=config.max_connections, max_keepalive_connections=config.max_connections
    )
    client = AsyncOpenAI(
        base_url=config.base_url,
        api_key=config.resolve_api_key(),
        max_retries=config.max_retries,
        default_headers=config.extra_headers or None,
        timeout=openai.Timeout(config.timeout, connect=config.connect_timeout),
        http_client=openai.DefaultAioHttpClient(limits=limits),
    )
    client.organization = client.project = None  # which the package takes from the environment
    return client


def with_base_url(client: AsyncOpenAI, base_url: str) -> AsyncOpenAI:
    """The same client at another address: its key, headers, limits and connections."""
    copied = client.with_options(base_url=base_url)
    copied.organization, copied.project = client.organization, client.project  # which copies look up again
    _RETRYING[copied] = _retrying(client)
    return copied


async def post(
    client: AsyncOpenAI,
    path: str,
    body: Mapping[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
    budget: RetryBudget | None = None,
    check: Callable[[bytes], None] = _accept,
) -> bytes:
    """Posts `body` to `path` (relative to the client's base URL); the raw answer, or one of our errors. `budget` is the
    rollout's; an answer for which `check` raises is as none."""
    try:
        content = msgspec.json.encode(body)
    except UnicodeEncodeError as error:  # half a surrogate pair: a file name or output that was not UTF-8
        raise UnencodableTextError(
            f"POST {path}: a message holds a character that is none in UTF-8: {error.reason} at {error.start}"
        ) from error

    async def send(attempt: dict[str, str]) -> bytes:
        options: Any = {"headers": {**_JSON, **attempt, **(headers or {})}, "max_retries": 0}
        answer = await _answer(
            client.post(path, content=content, cast_to=bytes, options=options), operation=f"POST {path}"
        )
        check(answer)
        return answer

    return await _retrying(client).run(send, budget=budget)


async def get(client: AsyncOpenAI, path: str) -> bytes:
    """The raw answer to a GET of `path` (relative to the client's base URL), or one of our errors."""

    def send(attempt: dict[str, str]) -> Awaitable[bytes]:
        options: Any = {"headers": attempt, "max_retries": 0}
        return _answer(client.get(path, cast_to=bytes, options=options), operation=f"GET {path}")

    return await _retrying(client).run(send)


def _retrying(client: AsyncOpenAI) -> Retrying:
    """As many retries as the provider's client would make."""
    if client not in _RETRYING:
        _RETRYING[client] = Retrying(policy=RetryPolicy(most_retries=client.max_retries))
    return _RETRYING[client]


async def _answer(sent: Awaitable[bytes], *, operation: str) -> bytes:
    try:
        return await sent
    except openai.OpenAIError as error:
        mapped = map_provider_error(error, operation=operation)
        if mapped is error:
            raise
        raise mapped from error


def decode(body: bytes, answer_type: type[AnswerT], *, operation: str) -> AnswerT:
    """`body` as `answer_type`; a body of another shape is an `InvalidModelResponseError` that says what is off."""
    try:
        return msgspec.json.decode(body, type=answer_type)
    except msgspec.MsgspecError as error:
        raise InvalidModelResponseError(
            f"{operation}: the answer ({len(body)} bytes) cannot be read: {error}"
        ) from error
