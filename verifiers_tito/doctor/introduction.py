"""What a server says of itself when asked: version, models, routes, and what our plugin tells about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from openai import AsyncOpenAI

from verifiers_tito.errors import ConfigError, InvalidModelResponseError
from verifiers_tito.transport import RequestRefusedError, ServerError, decode, get
from verifiers_tito.wire import routes
from verifiers_tito.wire.answers import ModelsAnswer, ServedModel, TokenRouteCapabilities

OPENAPI = "/openapi.json"
NOT_ANSWERED = (RequestRefusedError, ServerError, InvalidModelResponseError)
"""The server is there, but has no answer to this that can be read."""


class _VersionAnswer(msgspec.Struct):
    version: str


class _OpenApiAnswer(msgspec.Struct):
    paths: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """`paths` are the server's routes, None where it does not list them. `capabilities` are None where our route does
    not answer; `token_route_problem` then says how it came to that, if the route is listed all the same."""

    vllm_version: str
    model: ServedModel
    model_names: tuple[str, ...]
    paths: frozenset[str] | None
    capabilities: TokenRouteCapabilities | None
    token_route_problem: str


async def introduce(root_client: AsyncOpenAI, *, model: str | None) -> Introduction:
    """`root_client` is rooted at the server, not at `/v1`. Raises where there is no server, or not this model."""
    version = await _version(root_client)
    models = await _models(root_client)
    paths = await _paths(root_client)
    told = await _capabilities(root_client)
    capabilities = told if isinstance(told, TokenRouteCapabilities) else None
    is_listed = paths is not None and routes.CHAT_TOKENS in paths
    return Introduction(
        vllm_version=version or (capabilities.vllm_version if capabilities else None) or "",
        model=_chosen(models, model),
        model_names=tuple(served.id for served in models),
        paths=paths,
        capabilities=capabilities,
        token_route_problem=told if isinstance(told, str) and is_listed else "",
    )


async def _version(root_client: AsyncOpenAI) -> str:
    try:
        return decode(await get(root_client, routes.VERSION), _VersionAnswer, operation="GET /version").version
    except NOT_ANSWERED:
        return ""


async def _models(root_client: AsyncOpenAI) -> list[ServedModel]:
    try:
        answer = await get(root_client, routes.MODELS)
        models = decode(answer, ModelsAnswer, operation=f"GET {routes.MODELS}").data
    except NOT_ANSWERED as error:
        raise ConfigError(f"{root_client.base_url} is no vLLM server: {_one_line(error)}") from error
    if not models:
        raise ConfigError(f"the server at {root_client.base_url} serves no model")
    return models


def _chosen(models: list[ServedModel], name: str | None) -> ServedModel:
    if name is None:
        return models[0]
    for served in models:
        if served.id == name:
            return served
    raise ConfigError(f"the server does not serve {name!r}; it serves {', '.join(served.id for served in models)}")


async def _paths(root_client: AsyncOpenAI) -> frozenset[str] | None:
    """None with `--disable-fastapi-docs`, say."""
    try:
        answer = decode(await get(root_client, OPENAPI), _OpenApiAnswer, operation=f"GET {OPENAPI}")
    except NOT_ANSWERED:
        return None
    return frozenset(answer.paths)


async def _capabilities(root_client: AsyncOpenAI) -> TokenRouteCapabilities | str:
    """The answer, or why there is none."""
    operation = f"GET {routes.CHAT_TOKENS}"
    try:
        return decode(await get(root_client, routes.CHAT_TOKENS), TokenRouteCapabilities, operation=operation)
    except NOT_ANSWERED as error:
        return _one_line(error)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
