"""Posting a JSON body through a user's `AsyncOpenAI`, and typed answers back.

The provider's client gives the address, key, headers, timeouts, connection pool and retries; encoding, decoding
and errors are ours, because its models cost tens of milliseconds on an answer with log-probabilities. This module
knows no route and no field.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import msgspec
import openai
from openai import AsyncOpenAI

from verifiers_tito.errors import InvalidModelResponseError, UnencodableTextError
from verifiers_tito.transport.error_mapping import map_provider_error
from verifiers_tito.types import ClientConfig

AnswerT = TypeVar("AnswerT")

_JSON = {"Content-Type": "application/json"}


def connect(config: ClientConfig) -> AsyncOpenAI:
    """An `AsyncOpenAI` with exactly the address, key and limits of `config`."""
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
        max_connections=config.max_connections, max_keepalive_connections=config.max_connections
    )
    client = AsyncOpenAI(
        base_url=config.base_url,
        api_key=config.resolve_api_key(),
        max_retries=config.max_retries,
        default_headers=config.extra_headers or None,
        timeout=openai.Timeout(config.timeout, connect=config.connect_timeout),
        http_client=openai.DefaultAsyncHttpxClient(limits=limits),
    )
    client.organization = client.project = None  # which the package takes from the environment
    return client


def with_base_url(client: AsyncOpenAI, base_url: str) -> AsyncOpenAI:
    """The same client at another address: its key, headers, limits and connections."""
    copied = client.with_options(base_url=base_url)
    copied.organization, copied.project = client.organization, client.project  # which copies look up again
    return copied


async def post(
    client: AsyncOpenAI, path: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
) -> bytes:
    """Posts `body` to `path` (relative to the client's base URL); the raw answer, or one of our errors."""
    options: Any = {"headers": {**_JSON, **(headers or {})}}
    try:
        content = msgspec.json.encode(body)
    except UnicodeEncodeError as error:  # half a surrogate pair: a file name or output that was not UTF-8
        raise UnencodableTextError(
            f"POST {path}: a message holds a character that is none in UTF-8: {error.reason} at {error.start}"
        ) from error
    sent = client.post(path, content=content, cast_to=bytes, options=options)
    return await _answer(sent, operation=f"POST {path}")


async def get(client: AsyncOpenAI, path: str) -> bytes:
    """The raw answer to a GET of `path` (relative to the client's base URL), or one of our errors."""
    return await _answer(client.get(path, cast_to=bytes), operation=f"GET {path}")


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
