"""Which model to ask, found out before a run begins: a wrong address, key or name is then one line, not a failure of
every rollout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from verifiers_tito.clients.introduction import Introduction, introduce
from verifiers_tito.errors import ConfigError
from verifiers_tito.transport import AUTHENTICATION_ERRORS, Server, ServerUnreachableError, connect
from verifiers_tito.types import ClientConfig


async def choose_model(config: ClientConfig, *, wanted: str | None) -> str:
    """`wanted`, where it is served, or the first model that is. A server that does not say what it serves is believed.

    Of several servers the first that can be reached is asked. Raises `ConfigError` for a model that is not served.
    """
    told = await _introduction(config)
    where = config.base_urls[0]
    if wanted is not None:
        if told.models and told.model(wanted) is None:
            raise ConfigError(
                f"the server at {where} does not serve {wanted!r}; it serves {', '.join(told.model_names)}"
            )
        return wanted
    if not told.models:
        why = told.models_problem or "it serves none"
        raise ConfigError(f"the server at {where} names no model ({why}); name one with --model")
    return told.model_names[0]


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


async def _introduction(config: ClientConfig) -> Introduction:
    once = config.model_copy(update={"max_retries": 0})
    *others, last = config.base_urls
    for base_url in others:
        try:
            return await _ask(once, base_url)
        except ServerUnreachableError:
            continue
    return await _ask(once, last)


async def _ask(config: ClientConfig, base_url: str) -> Introduction:
    async with connect(config, base_url=base_url) as provider:
        return await introduce(Server(provider))
