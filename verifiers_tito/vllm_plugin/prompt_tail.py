"""The text of an answer on our route is begun behind the last ids of its prompt, not behind all of them.

vLLM gives the whole prompt to the stream that makes an answer's text, and the stream decodes it twice before the first
character: on the event loop that all requests share, over a millisecond for every thousand ids. The stream only has to
know how the text ends that the answer continues.

    vLLM ── DecodeStream(ids=prompt) ──► DecodeStreams ── another route, a short prompt ──► the library's stream
                                                       └─ our route ──► TailStream ── first id ──► the library's,
                                                                                                   behind the tail

vLLM 0.26 to 0.32 look the class up in `tokenizers.decoders` for each request, which is where `install` puts its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_TAILS = (32, 256)
"""How many ids are tried, fewest first. A character has at most four bytes, and so at most four ids."""
_HALF_A_CHARACTER = "\ufffd"
_on_our_route: ContextVar[bool] = ContextVar("on_our_route", default=False)


@contextmanager
def behind_the_tail() -> Iterator[None]:
    """Requests that reach the engine within the block are our route's."""
    token = _on_our_route.set(True)
    try:
        yield
    finally:
        _on_our_route.reset(token)


def install(decoders: Any) -> None:
    """Once in a process. `decoders` is the module `tokenizers.decoders`."""
    if not isinstance(decoders.DecodeStream, DecodeStreams):
        decoders.DecodeStream = DecodeStreams(decoders.DecodeStream)


class DecodeStreams:
    """Stands where the library's class was, and is called like it."""

    def __init__(self, library: Callable[..., Any]) -> None:
        self._library = library

    def __call__(self, ids: list[int] | None = None, skip_special_tokens: bool = False) -> Any:
        if ids is None or len(ids) <= _TAILS[0] or not _on_our_route.get():
            return self._library(ids=ids, skip_special_tokens=skip_special_tokens)
        return TailStream(self._library, ids, skip_special_tokens=skip_special_tokens)


class TailStream:
    """A stream that takes its tail when it sees the tokenizer, which is with the first id."""

    step: Callable[[Any, Any], str | None]
    """The library's own from the second id on."""

    def __init__(self, library: Callable[..., Any], ids: list[int], *, skip_special_tokens: bool) -> None:
        self._library = library
        self._ids = ids
        self._skip = skip_special_tokens
        self.step = self._first_step

    def _first_step(self, tokenizer: Any, token_id: Any) -> str | None:
        ids = tail(self._ids, tokenizer, skip_special_tokens=self._skip)
        self.step = self._library(ids=ids, skip_special_tokens=self._skip).step
        return self.step(tokenizer, token_id)


def tail(ids: list[int], tokenizer: Any, *, skip_special_tokens: bool) -> list[int]:
    """The last ids, so many that what follows them is written as behind all: behind some text, which a decoder that
    leaves out a space at the beginning of a text needs, and behind a whole character. All ids where there is no such
    tail."""
    for count in _TAILS:
        last = ids[-count:]
        text = tokenizer.decode(last, skip_special_tokens=skip_special_tokens)
        if text and not text.endswith(_HALF_A_CHARACTER):
            return last
    return ids
