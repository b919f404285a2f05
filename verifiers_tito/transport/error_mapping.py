"""The one seam where a provider's errors become ours.

Authentication errors stay the provider's own (callers catch `openai.AuthenticationError`); everything else becomes
a class of `verifiers_tito.errors`, with the server's own words in the message.
"""

from __future__ import annotations

import re

import msgspec
import openai

from verifiers_tito.errors import Error, ModelError, OverlongPromptError
from verifiers_tito.wire.answers import ErrorAnswer, ErrorDetail

AUTHENTICATION_ERRORS = (openai.AuthenticationError, openai.PermissionDeniedError)

_OVERLONG = re.compile(
    r"maximum context length"
    r"|longer than the maximum model length"
    r"|max_(?:completion_)?tokens must be at least 1, got (?:0|-\d+)"
    r"|context_length_exceeded",
    re.IGNORECASE,
)


class ServerUnreachableError(ModelError):
    """No answer: the server cannot be reached, or the connection broke, or it took too long."""

    retryable = True


class ServerError(ModelError):
    """The server answered with a 5xx or asked to slow down."""

    retryable = True


class RequestRefusedError(ModelError):
    """The server refused the request (4xx); its own words are in the message."""


class RouteMissingError(RequestRefusedError):
    """The server does not have this route."""


def map_provider_error(error: openai.OpenAIError, *, operation: str) -> Exception:
    """The error to raise instead of `error`, or `error` itself where it is an authentication error."""
    if isinstance(error, AUTHENTICATION_ERRORS):
        return error
    if isinstance(error, openai.APITimeoutError):
        return ServerUnreachableError(
            f"{operation}: no answer in time; raise ClientConfig(timeout=...) or look at the server's load"
        )
    if isinstance(error, openai.APIConnectionError):
        cause = type(error.__cause__ or error).__name__  # its words may quote a header, and so a key
        return ServerUnreachableError(
            f"{operation}: the server at {error.request.url} cannot be reached or broke the connection ({cause}); "
            "is it running?"
        )
    if isinstance(error, openai.APIStatusError):
        return map_status(error.status_code, error.response.content, operation=operation)
    return ModelError(f"{operation}: {error}")


def map_status(status: int, body: bytes, *, operation: str) -> Error:
    """The error for an answer with this status; its words are quoted."""
    answer = _decode_error(body)
    detail = answer.error or ErrorDetail(message=answer.detail or "")
    words = detail.message or body[:500].decode("utf-8", "replace")
    message = f"{operation}: the server answered {status}: {words}"
    if status == 400 and (detail.param == "input_tokens" or _OVERLONG.search(words)):
        return OverlongPromptError(message)
    if status == 501 or (status in (404, 405) and answer.error is None):
        return RouteMissingError(message)
    if status == 429 or status >= 500:
        return ServerError(message)
    return RequestRefusedError(message)


def _decode_error(body: bytes) -> ErrorAnswer:
    try:
        return msgspec.json.decode(body, type=ErrorAnswer)
    except msgspec.MsgspecError:
        return ErrorAnswer()
