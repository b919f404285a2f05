"""Which model to ask, found out before a run begins: a wrong address, key or name is then one line, not a failure of
every rollout."""

from __future__ import annotations

from collections.abc import Sequence

from verifiers_tito.clients.introduction import served_models
from verifiers_tito.errors import ConfigError, InvalidModelResponseError
from verifiers_tito.transport import (
    RequestRefusedError,
    Server,
    ServerError,
    ServerUnreachableError,
    connect,
)
from verifiers_tito.types import ClientConfig


async def choose_model(config: ClientConfig, *, wanted: str | None) -> str:
    """`wanted`, where it is served, or the first model that is. Of several servers the first that can be reached is
    asked; one that does not say what it serves is believed. Raises `ConfigError` for a model that is not served."""
    where = ", ".join(config.base_urls)
    try:
        served = await _served(config)
    except (RequestRefusedError, ServerError, InvalidModelResponseError) as error:
        if wanted is not None:
            return wanted
        raise ConfigError(f"the server does not say which models it serves ({error}); name one with --model") from error
    if wanted is not None and wanted not in served:
        raise ConfigError(f"the server at {where} does not serve {wanted!r}; it serves {', '.join(served)}")
    if not served:
        raise ConfigError(f"the server at {where} serves no model")
    return wanted or served[0]


async def _served(config: ClientConfig) -> Sequence[str]:
    """The names of the models of the first server that can be reached."""
    once = config.model_copy(update={"max_retries": 0})
    *others, last = config.base_urls
    for base_url in others:
        try:
            return await _ask(once, base_url)
        except ServerUnreachableError:
            continue
    return await _ask(once, last)


async def _ask(config: ClientConfig, base_url: str) -> Sequence[str]:
    async with connect(config, base_url=base_url) as provider:
        return [served.id for served in await served_models(Server(provider))]
