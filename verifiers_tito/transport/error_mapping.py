"""The one seam where a provider's errors become ours.

Authentication errors stay the provider's own (callers catch `openai.AuthenticationError`); everything else becomes
a class of `verifiers_tito.errors`, with the words of the server's answer in the message. Where no answer came, ours are
to be raised without a cause: the `repr` of others may show the headers that were sent, or what came instead of HTTP.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from types import MappingProxyType

import msgspec
import openai

from verifiers_tito.errors import Error, ModelError, OverlongPromptError
from verifiers_tito.wire.addresses import without_userinfo
from verifiers_tito.wire.answers import ErrorAnswer, ErrorDetail

AUTHENTICATION_ERRORS = (openai.AuthenticationError, openai.PermissionDeniedError)

EMPTY: Mapping[str, str] = MappingProxyType({})

_NOT_NOW = (408, 409, 425, 429)
"""Timeouts, conflicts and limits."""
_NOBODY_BEHIND = (502, 503, 504)
"""What gateways answer for a server that is gone."""
_OVERLONG = re.compile(
    r"maximum context length"
    r"|longer than the maximum model length"
    r"|max_(?:completion_)?tokens must be at least 1, got (?:0|-\d+)"
    r"|context_length_exceeded",
    re.IGNORECASE,
)
_NO_SUCH_MODEL = re.compile(r"model .* does not exist", re.IGNORECASE)


class ServerUnreachableError(ModelError):
    """No answer: the server cannot be reached, or the connection broke, or it took too long."""

    retryable = True
    may_be_tried_again = True
    means_absence = True
    retry_after: float | None = None


class ServerError(ModelError):
    """The server answered with a 5xx or asked to come back later: `retry_after` seconds, where it said when.
    `may_be_tried_again` is false where it said not to, `means_absence` true where something in front of the server says
    that nobody is behind it."""

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        may_be_tried_again: bool = True,
        means_absence: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.may_be_tried_again = may_be_tried_again
        self.means_absence = means_absence


class TurnAbortedError(ServerError):
    """The server gave a turn up half-way: it is being stopped, or somebody paused it to load new weights."""


class RequestRefusedError(ModelError):
    """The server refused the request (4xx); its own words are in the message."""


class RouteMissingError(RequestRefusedError):
    """The server does not have this route."""


class ModelNotServedError(RequestRefusedError):
    """The server does not serve a model of this name."""


def map_provider_error(error: openai.OpenAIError, *, url: str, operation: str) -> Error:
    """The error to raise instead of one of the package's that tells of no answer."""
    if isinstance(error, openai.APIConnectionError):
        cause = _cause(error)
        in_time = not isinstance(error, openai.APITimeoutError) or _is_broken_connection(cause)
        return _unreachable(cause, url, operation) if in_time else _too_late(operation)
    return ModelError(f"{operation}: {error}")


def map_connection_error(error: Exception, *, url: str, operation: str) -> ServerUnreachableError:
    """The error to raise instead of one of aiohttp's, or of the system's."""
    return _too_late(operation) if isinstance(error, TimeoutError) else _unreachable(error, url, operation)


def map_status(status: int, body: bytes, *, headers: Mapping[str, str] = EMPTY, operation: str) -> Error:
    """The error for an answer with this status; its words are quoted. `headers` in small letters, or any that do not
    care about letters."""
    answer = _decode_error(body)
    detail = answer.error or ErrorDetail(message=answer.detail or "")
    words = detail.message or body[:500].decode("utf-8", "replace")
    message = f"{operation}: the server answered {status}: {words}"
    if status == 400 and (detail.param == "input_tokens" or _OVERLONG.search(words)):
        return OverlongPromptError(message)
    if status == 501 or (status in (404, 405) and answer.error is None):
        return RouteMissingError(message)
    if status == 404 and _NO_SUCH_MODEL.search(words):
        return ModelNotServedError(message)
    if status in _NOT_NOW or status >= 500:
        forbidden = headers.get("x-should-retry") == "false"
        return ServerError(
            message,
            retry_after=_retry_after(headers),
            may_be_tried_again=not forbidden,
            means_absence=status in _NOBODY_BEHIND,
        )
    return RequestRefusedError(message)


def _too_late(operation: str) -> ServerUnreachableError:
    return ServerUnreachableError(
        f"{operation}: no answer in time; raise ClientConfig(timeout=...) or look at the server's load"
    )


def _unreachable(cause: BaseException, url: str, operation: str) -> ServerUnreachableError:
    """Only a failure to connect is quoted: the words of others may hold a header, and so a key."""
    name = type(cause).__name__
    words = f"{name}: {cause}" if "Connect" in name and str(cause) else name
    return ServerUnreachableError(
        f"{operation}: the server at {without_userinfo(url)} cannot be reached or broke the connection ({words}); "
        "is it running?"
    )


def _is_broken_connection(cause: BaseException) -> bool:
    """The package takes whatever aiohttp says of a connection for a timeout."""
    return type(cause).__module__.startswith("aiohttp") and not isinstance(cause, TimeoutError)


def _cause(error: openai.APIConnectionError) -> BaseException:
    """What broke, in aiohttp's eyes if it was there."""
    first, *deeper = _causes(error)
    return next((one for one in deeper if type(one).__module__.startswith("aiohttp")), (deeper or [first])[0])


def _causes(error: BaseException) -> list[BaseException]:
    """The error, and what it came from."""
    return [error] if error.__cause__ is None else [error, *_causes(error.__cause__)]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; None where the server does not say, or says what nobody can read."""
    told = headers.get("retry-after", "")
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(told).timestamp() - time.time()
        except ValueError:
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _decode_error(body: bytes) -> ErrorAnswer:
    try:
        return msgspec.json.decode(body, type=ErrorAnswer)
    except msgspec.MsgspecError:
        return ErrorAnswer()
