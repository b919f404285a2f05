"""Sending through the request layer of a client of the openai package, so that all its settings and overrides hold."""

from __future__ import annotations

from typing import Any

import aiohttp
import openai
from openai import AsyncOpenAI

from verifiers_tito.errors import Error
from verifiers_tito.transport.error_mapping import (
    AUTHENTICATION_ERRORS,
    EMPTY,
    map_connection_error,
    map_provider_error,
)
from verifiers_tito.transport.sender import Answer, Request


class PackageSender:
    def __init__(self, provider: AsyncOpenAI) -> None:
        self._provider = provider
        custom = provider._custom_headers.items()
        self._omitted = {name: value for name, value in custom if isinstance(value, openai.Omit)}
        """Said again with every request: the package believes a missing key only where the request says so."""

    async def send(self, request: Request) -> Answer:
        told = await self._answer(request)
        if isinstance(told, Error):  # raised out here, it drags none along whose words or `repr` may show a header
            raise told
        return told

    async def _answer(self, request: Request) -> Answer | Error:
        try:
            return Answer(200, await self._body(request), EMPTY)
        except AUTHENTICATION_ERRORS:
            raise
        except openai.APIStatusError as error:
            return Answer(error.status_code, error.response.content, error.response.headers)
        except openai.OpenAIError as error:
            return map_provider_error(error, url=request.url, operation=request.operation)
        except aiohttp.ClientError as error:  # which the package lets through where an answer is no HTTP
            return map_connection_error(error, url=request.url, operation=request.operation)

    async def _body(self, request: Request) -> bytes:
        options: Any = {"headers": {**self._omitted, **request.headers}, "max_retries": 0}
        if request.timeout_seconds is not None:
            options["timeout"] = request.timeout_seconds
        if request.content is None:
            return await self._provider.get(request.url, cast_to=bytes, options=options)
        return await self._provider.post(request.url, content=request.content, cast_to=bytes, options=options)
