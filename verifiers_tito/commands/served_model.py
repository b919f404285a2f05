"""Which model to ask, found out before a run begins: a wrong address, key or name is then one line, not a failure of
every rollout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from verifiers_tito.errors import ConfigError, InvalidModelResponseError
from verifiers_tito.transport import (
    AUTHENTICATION_ERRORS,
    RequestRefusedError,
    Server,
    ServerError,
    ServerUnreachableError,
    connect,
    decode,
)
from verifiers_tito.types import ClientConfig
from verifiers_tito.wire import routes
from verifiers_tito.wire.answers import ModelsAnswer


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


@contextmanager
def key_accepted(config: ClientConfig) -> Iterator[None]:
    """A key that is refused is an error of one line, without the key."""
    try:
        yield
    except AUTHENTICATION_ERRORS as error:
        raise ConfigError(
            f"the server at {', '.join(config.base_urls)} refuses the key (status {error.status_code}); name the "
            "environment variable that holds it with --api-key-env"
        ) from error


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
        answer = await Server(provider).get(routes.MODELS)
    return [served.id for served in decode(answer, ModelsAnswer, operation=f"GET {routes.MODELS}").data]
