"""What a server says of itself when asked: version, models, routes, and what our plugin tells about it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from verifiers_tito.errors import ConfigError, InvalidModelResponseError
from verifiers_tito.transport import AUTHENTICATION_ERRORS, RequestRefusedError, Server, ServerError, decode
from verifiers_tito.wire import routes
from verifiers_tito.wire.answers import ModelsAnswer, ServedModel, TokenRouteCapabilities

AnswerT = TypeVar("AnswerT")

_RETRIES = 2
_NOT_ANSWERED = (RequestRefusedError, ServerError, InvalidModelResponseError)
"""The server is there, but has no answer to this that can be read."""


class _VersionAnswer(msgspec.Struct):
    version: str


class _OpenApiAnswer(msgspec.Struct):
    paths: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What was told; what a server keeps to itself is empty or None. `paths` are its routes.

    `models_problem` and `capabilities_problem` say, in the server's words, why there are none.
    """

    vllm_version: str = ""
    models: tuple[ServedModel, ...] = ()
    models_problem: str = ""
    paths: frozenset[str] | None = None
    capabilities: TokenRouteCapabilities | None = None
    capabilities_problem: str = ""

    @property
    def model_names(self) -> tuple[str, ...]:
        return tuple(served.id for served in self.models)

    def model(self, name: str) -> ServedModel | None:
        return next((served for served in self.models if served.id == name), None)

    def max_model_len(self, name: str) -> int | None:
        """In tokens, prompt and completion together."""
        served = self.model(name)
        return served.max_model_len if served else None

    @property
    def logprobs_mode(self) -> str:
        """In vLLM's words, such as `raw_logprobs`; "" where it is not known."""
        return (self.capabilities.logprobs_mode if self.capabilities else None) or ""

    @property
    def vocabulary_size(self) -> int | None:
        """One more than the highest id that the model can sample."""
        return self.capabilities.vocabulary_size if self.capabilities else None


async def introduce(server: Server) -> Introduction:
    """Asks everything at once. Raises where the server cannot be reached or refuses the key."""
    try:
        async with asyncio.TaskGroup() as asking:
            asked = (
                asking.create_task(_ask(server, routes.VERSION, _VersionAnswer)),
                asking.create_task(_ask(server, routes.MODELS, ModelsAnswer, needs_key=True)),
                asking.create_task(_ask(server, routes.OPENAPI, _OpenApiAnswer)),
                asking.create_task(_ask(server, routes.CHAT_TOKENS, TokenRouteCapabilities)),
            )
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    version, models, paths, capabilities = (task.result() for task in asked)
    told = capabilities if isinstance(capabilities, TokenRouteCapabilities) else None
    return Introduction(
        vllm_version=version.version if isinstance(version, _VersionAnswer) else (told and told.vllm_version) or "",
        models=tuple(models.data) if isinstance(models, ModelsAnswer) else (),
        models_problem=models if isinstance(models, str) else "",
        paths=frozenset(paths.paths) if isinstance(paths, _OpenApiAnswer) else None,
        capabilities=told,
        capabilities_problem=capabilities if isinstance(capabilities, str) else "",
    )


async def served_models(server: Server) -> list[ServedModel]:
    """Asked for by themselves. Raises what `Server.get` does."""
    return decode(await server.get(routes.MODELS), ModelsAnswer, operation=f"GET {routes.MODELS}").data


@contextmanager
def key_accepted(where: str) -> Iterator[None]:
    """For commands: a key that a server refuses is an error of one line, without the key."""
    try:
        yield
    except AUTHENTICATION_ERRORS as error:
        raise ConfigError(
            f"the server at {where} refuses the key (status {error.status_code}); name the environment variable that "
            "holds it with --api-key-env"
        ) from error


async def _ask(server: Server, path: str, answer_type: type[AnswerT], *, needs_key: bool = False) -> AnswerT | str:
    """The answer, or why there is none. A gateway may keep a path to itself: that says nothing of the key, unless it
    is one that the key is for."""
    not_answered = _NOT_ANSWERED if needs_key else (*_NOT_ANSWERED, *AUTHENTICATION_ERRORS)
    try:
        return decode(await server.get(path, most_retries=_RETRIES), answer_type, operation=f"GET {path}")
    except not_answered as error:
        return " ".join(str(error).split())
