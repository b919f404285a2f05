"""A short proof of which ids a prompt holds, in place of the ids: an answer then no longer grows with the history.

Defined here once for the client, the server plugin and the fake: BLAKE2b of 16 bytes over each id as four bytes,
little-endian, without separators. It knows neither tokenizer nor route.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from verifiers_tito.wire.answers import PromptDigestAnswer
from verifiers_tito.wire.request_fields import RequestFieldError, read_form
from verifiers_tito.wire.token_ids import TokenIdsError

_DIGEST_BYTES = 16
_HIGHEST_ID = 2**32 - 1
_UINT32 = next(code for code in "IL" if array(code).itemsize == 4)
"""C leaves the sizes of its integers to the platform."""


class PromptEcho(StrEnum):
    """How an answer of our route shows its prompt: the request's field `prompt_echo`."""

    IDS = "ids"
    DIGEST = "digest"


class PromptEchoError(RequestFieldError):
    """`prompt_echo` of a request cannot be followed."""

    param = "prompt_echo"


def check_prompt_echo(value: object, *, stream: bool) -> PromptEcho:
    """The echo that a request asks for, `IDS` where it does not say (or says null), else `PromptEchoError`."""
    echo = read_form(value, PromptEcho, default=PromptEcho.IDS, error=PromptEchoError)
    if stream and echo is PromptEcho.DIGEST:
        raise PromptEchoError('prompt_echo "digest" cannot be streamed: ask for "ids", or leave out stream')
    return echo


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PromptDigest:
    """The digest of a growing list of ids. `PromptDigest()` is the one of no ids.

    It keeps the hash's state instead of the ids, so that a turn costs only what it adds. The state cannot be pickled:
    a digest stays in its process, and `answer()` is what travels and is compared.
    """

    count: int = 0
    _state: hashlib.blake2b = field(
        default_factory=lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES, usedforsecurity=False), repr=False
    )

    def extend(self, token_ids: Sequence[int]) -> PromptDigest:
        """The digest of these ids behind the ones so far, in O(new ids); this one stays as it is.

        Raises `TokenIdsError` for an id that four bytes cannot hold.
        """
        try:
            words = array(_UINT32, token_ids)
        except OverflowError as exc:
            raise TokenIdsError(f"a prompt's digest is made of ids from 0 to {_HIGHEST_ID}: {exc}") from exc
        if sys.byteorder == "big":
            words.byteswap()
        state = self._state.copy()
        state.update(words)
        return PromptDigest(count=self.count + len(words), _state=state)

    def hexdigest(self) -> str:
        """32 hexadecimal digits."""
        return self._state.hexdigest()

    def answer(self) -> PromptDigestAnswer:
        """The digest as it stands in an answer. Equal exactly where count and digest are."""
        return PromptDigestAnswer(count=self.count, blake2b=self.hexdigest())
