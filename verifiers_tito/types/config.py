"""How to reach a server."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from verifiers_tito.errors import ConfigError
from verifiers_tito.types.serving import Route
from verifiers_tito.types.stitching_config import StitchingConfig

_OLD_SPELLING = {"api_base_url": "base_url"}


class ClientConfig(BaseModel):
    """Address, key and limits of an OpenAI-compatible server.

    `base_url` (or its older spelling `api_base_url`) ends in `/v1`; several make one client of several servers of the
    same model: a rollout stays on one of them, and moves where that one does not answer any more. The key is
    `api_key`, or the value of the environment variable that `api_key_var` names, or "EMPTY", which a vLLM without
    `--api-key` accepts. Of the environment only the usual proxy and certificate variables are read besides, so that
    no request or key goes to an address that is not written here. `route` is the one way in which prompts may go in
    ("chat": as messages; the others are those of `Route`); without it a client finds out which way the server takes. A
    turn that the one route cannot carry goes in as messages, and says so. A request is tried again up to
    `max_retries` times, and all requests of a rollout up to `max_retries_per_rollout` times. For routers,
    `session_header` names a header that carries the rollout's trajectory id, and `data_parallel_size` is the number
    of engines behind one address: a rollout's requests then all name the same one (`X-data-parallel-rank`). Times are
    seconds. Unknown fields are refused by name; key and headers are in no `repr`, dump or error message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str | tuple[str, ...] = "http://localhost:8000/v1"
    api_key: str | None = Field(default=None, repr=False, exclude=True)
    api_key_var: str | None = None
    timeout: float = Field(default=3600.0, gt=0)
    connect_timeout: float = Field(default=5.0, gt=0)
    max_connections: int = Field(default=28_000, gt=0)
    max_retries: int = Field(default=10, ge=0)
    max_retries_per_rollout: int = Field(default=100, ge=0)
    extra_headers: dict[str, str] = Field(default_factory=dict, repr=False, exclude=True)
    session_header: str | None = None
    data_parallel_size: int | None = Field(default=None, gt=0)
    route: Route | None = None
    stitching: StitchingConfig = Field(default_factory=StitchingConfig, exclude=True)

    def __init__(self, **fields: Any) -> None:
        for old, new in _OLD_SPELLING.items():
            if old in fields:
                value = fields.pop(old)
                if fields.setdefault(new, value) != value:
                    raise ConfigError(f"ClientConfig got both {old} and {new}, with different values; give one")
        known = type(self).model_fields
        if unknown := sorted(set(fields) - set(known)):
            raise ConfigError(
                f"ClientConfig does not know {', '.join(unknown)}; known fields: {', '.join([*known, *_OLD_SPELLING])}"
            )
        try:
            super().__init__(**fields)
        except ValidationError as error:
            told = (
                (item["loc"][0], item["msg"].removeprefix("Value error, "))
                for item in error.errors(include_input=False)
            )
            wrong = "; ".join(f"{field}: {message}" for field, message in told)
            raise ConfigError(f"ClientConfig refused: {wrong}") from None

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, base_url: str | tuple[str, ...]) -> str | tuple[str, ...]:
        urls = _several(base_url)
        if not urls or len(set(urls)) < len(urls):
            raise ValueError("must be one address or several different ones")
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:  # raises above 65535
                raise ValueError("must be an address such as http://localhost:8000/v1")
            if parts.username or parts.password:
                raise ValueError("must not hold a user or password; give api_key or extra_headers")
        return base_url

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, value: str | None) -> str | None:
        if value is not None:
            _check_header(value)
        return value

    @field_validator("extra_headers")
    @classmethod
    def _fit_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for value in headers.values():
            _check_header(value)
        return headers

    @property
    def base_urls(self) -> tuple[str, ...]:
        return _several(self.base_url)

    @property
    def api_base_url(self) -> str | tuple[str, ...]:
        return self.base_url

    def resolve_api_key(self) -> str:
        """The key to send, found as the class says."""
        if self.api_key is not None:
            return self.api_key
        key = (os.environ.get(self.api_key_var) if self.api_key_var else None) or "EMPTY"
        try:
            _check_header(key)
        except ValueError as error:
            raise ConfigError(f"the environment variable {self.api_key_var} {error}") from None
        return key


def _several(base_url: str | tuple[str, ...]) -> tuple[str, ...]:
    return (base_url,) if isinstance(base_url, str) else base_url


def _check_header(value: str) -> None:
    """No HTTP header may hold such characters; sent anyway, they would come back quoted in an error."""
    bad = [position for position, character in enumerate(value) if not " " <= character <= "~"]
    if bad:
        raise ValueError(f"holds a line break or another character that no header may hold, at position {bad[0]}")
