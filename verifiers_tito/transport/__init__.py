"""Bytes to and from a server: one place that sends, one that maps errors."""

from verifiers_tito.transport.error_mapping import (
    AUTHENTICATION_ERRORS,
    RequestRefusedError,
    RouteMissingError,
    ServerError,
    ServerUnreachableError,
    TurnAbortedError,
)
from verifiers_tito.transport.retry_policy import RetryBudget
from verifiers_tito.transport.transport import connect, decode, get, post, with_base_url

__all__ = [
    "AUTHENTICATION_ERRORS",
    "RequestRefusedError",
    "RetryBudget",
    "RouteMissingError",
    "ServerError",
    "ServerUnreachableError",
    "TurnAbortedError",
    "connect",
    "decode",
    "get",
    "post",
    "with_base_url",
]
