"""The text of an answer on our route is begun behind the last ids of its prompt, not behind all of them.

vLLM gives the whole prompt to the stream that makes an answer's text, and at the first id the stream decodes all of it:
on the event loop that all requests share. It only has to know how the text ends that the answer continues.

    vLLM's detokenizer ── DecodeStream(ids=prompt) ──► StreamChooser
                             ├─ another route, a short prompt ──► the library's stream
                             └─ our route ──► TailStream ── first id ──► the library's stream, behind the tail

vLLM 0.26 to 0.32 look the class up as `tokenizers.decoders.DecodeStream` for each request. `install` changes what these
names mean in vLLM's own module; `tokenizers` stays as it is for everybody else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

_TAILS = (32, 256)
"""How many ids are tried, fewest first. Templates end their prompts with a handful of control tokens, which show no
text; a character has at most four bytes, and so at most four ids."""
_HALF_A_CHARACTER = "\ufffd"
_on_our_route: ContextVar[bool] = ContextVar("on_our_route", default=False)


@contextmanager
def behind_the_tail() -> Iterator[None]:
    """Requests that reach the engine within the block, in this task or one that it starts, are our route's."""
    token = _on_our_route.set(True)
    try:
        yield
    finally:
        _on_our_route.reset(token)


async def streamed_behind_the_tail(events: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """A streamed answer. Its request reaches the engine when the first event is asked for, and not before."""
    async with aclosing(events):
        with behind_the_tail():
            first = await anext(events, None)
        if first is not None:
            yield first
        async for event in events:
            yield event


def install(detokenizer: Any) -> None:
    """Once in a process. `detokenizer` is the module `vllm.v1.engine.detokenizer`; one that looks up no stream is left
    as it is, and so is None."""
    decoders: Any = getattr(getattr(detokenizer, "tokenizers", None), "decoders", None)
    if hasattr(decoders, "DecodeStream") and not isinstance(decoders.DecodeStream, StreamChooser):
        chooser = StreamChooser(decoders)
        detokenizer.tokenizers = SimpleNamespace(decoders=SimpleNamespace(DecodeStream=chooser))


class StreamChooser:
    """Called like the library's class, which it looks up anew for each request, as vLLM does."""

    def __init__(self, decoders: Any) -> None:
        self._decoders = decoders

    def __call__(self, ids: list[int] | None = None, skip_special_tokens: bool = False) -> Any:
        library = self._decoders.DecodeStream
        if ids is None or len(ids) <= _TAILS[0] or not _on_our_route.get():
            return library(ids=ids, skip_special_tokens=skip_special_tokens)
        return TailStream(library, ids, skip_special_tokens=skip_special_tokens)


class TailStream:
    """A stream that takes its tail when it sees the tokenizer, which is with the first id."""

    def __init__(self, library: Callable[..., Any], ids: list[int], *, skip_special_tokens: bool) -> None:
        self._library = library
        self._ids = ids
        self._skip = skip_special_tokens

    def step(self, tokenizer: Any, token_id: Any) -> str | None:
        """What the first id adds to the text. From the second one on this is the library's own method."""
        ids = tail(self._ids, tokenizer, skip_special_tokens=self._skip)
        self._ids = []
        self.step = self._library(ids=ids, skip_special_tokens=self._skip).step  # type: ignore[method-assign]
        return self.step(tokenizer, token_id)


def tail(ids: list[int], tokenizer: Any, *, skip_special_tokens: bool) -> list[int]:
    """The last ids, so many that what follows them is written as behind all: behind some text, which a decoder that
    leaves out a space at the beginning of a text needs, and behind a whole character. All ids where there is no such
    tail.

    One case differs. Where a prompt ends with more single bytes than the tail holds, some of them no UTF-8, decoders
    of SentencePiece vocabularies give none of those bytes' characters, and vLLM then repeats the prompt in the answer;
    behind the tail it does not.
    """
    for count in _TAILS:
        last = ids[-count:]
        text = tokenizer.decode(last, skip_special_tokens=skip_special_tokens)
        if text and not text.endswith(_HALF_A_CHARACTER):
            return last
    return ids
