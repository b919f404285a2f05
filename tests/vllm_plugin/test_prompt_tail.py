"""An answer's text behind the tail of its prompt is the text behind the whole prompt, id by id, but for one fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models

from tests.corpus.families import FAMILIES
from tests.corpus.family import Family, load
from verifiers_tito.testing import FakeTokenizer
from verifiers_tito.vllm_plugin.prompt_tail import (
    TailStream,
    behind_the_tail,
    install,
    streamed_behind_the_tail,
    tail,
)

LIBRARY = decoders.DecodeStream
ONE_OF_EACH_VOCABULARY = {family.tokenizer.base: family for family in FAMILIES}.values()
LONG = 700
"""More ids than the longest tail that is tried."""


@pytest.fixture(scope="module")
def qwen3(qwen3_tokenizer: FakeTokenizer) -> Any:
    return qwen3_tokenizer.transformers_tokenizer.backend_tokenizer


def steps(stream: Any, tokenizer: Any, token_ids: list[int], *, skip: bool) -> Iterator[str | None]:
    """What each id adds; a stream that breaks off is begun anew without the prompt, as vLLM does."""
    for token_id in token_ids:
        try:
            yield stream.step(tokenizer, token_id)
        except Exception:  # "Invalid prefix encountered", for which the library has no type
            stream = LIBRARY(skip_special_tokens=skip)
            yield stream.step(tokenizer, token_id)


def assert_same(tokenizer: Any, prompt_ids: list[int], token_ids: list[int], *, skip: bool) -> None:
    ours = TailStream(LIBRARY, prompt_ids, skip_special_tokens=skip)
    theirs = LIBRARY(ids=prompt_ids, skip_special_tokens=skip)
    assert list(steps(ours, tokenizer, token_ids, skip=skip)) == list(steps(theirs, tokenizer, token_ids, skip=skip))


@given(data=st.data(), skip=st.booleans())
def test_words_bytes_and_control_tokens_read_as_behind_the_whole_prompt(
    qwen3: Any, data: st.DataObject, skip: bool
) -> None:
    ids = st.one_of(st.integers(0, 300), st.integers(0, 151_668))
    prompt_ids = data.draw(st.lists(ids, min_size=33, max_size=120))
    assert_same(qwen3, prompt_ids, data.draw(st.lists(ids, min_size=1, max_size=20)), skip=skip)


@pytest.mark.corpus
@pytest.mark.parametrize("family", ONE_OF_EACH_VOCABULARY, ids=lambda family: family.name)
def test_every_vocabulary_reads_as_behind_the_whole_prompt(family: Family) -> None:
    """Conversations of words of many languages, emoji, and ids from anywhere, control tokens among them."""
    tokenizer, random = load(family).backend_tokenizer, Random(family.name)
    added = list(tokenizer.get_added_tokens_decoder())
    texts = (" Hello\n", " wörld", "日本語", " 🫠\n")
    words = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    ids = [i for i in range(tokenizer.get_vocab_size()) if tokenizer.id_to_token(i) is not None]

    def some_ids(count: int) -> list[int]:
        made: list[int] = []
        while len(made) < count:
            made += random.choice([random.choice(words), [random.choice(ids)], random.sample(added, 1)])
        return made

    for _ in range(150):
        prompt_ids = some_ids(random.choice([40, 300])) + random.choice([[], random.choices(added, k=40)])
        for skip in (True, False):
            assert_same(tokenizer, prompt_ids, some_ids(8), skip=skip)


def test_a_prompt_that_ends_within_a_character_is_read_whole(qwen3: Any) -> None:
    *half, last = qwen3.encode("🫠", add_special_tokens=False).ids
    prompt_ids = [100] * LONG + half
    assert tail(prompt_ids, qwen3, skip_special_tokens=True) is prompt_ids
    assert_same(qwen3, prompt_ids, [last, 100], skip=True)


def sentence_piece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({"▁Hello": 0, "▁world": 1}, unk_token="▁Hello"))
    tokenizer.add_special_tokens([AddedToken("<turn>", special=True)])
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


@pytest.mark.parametrize(("controls", "taken"), [(0, 32), (40, 256), (300, LONG)])
def test_a_tail_has_text_in_it_because_the_space_at_the_beginning_of_a_text_is_left_out(
    controls: int, taken: int
) -> None:
    tokenizer = sentence_piece()
    prompt_ids = [0] * (LONG - controls) + [2] * controls
    assert len(tail(prompt_ids, tokenizer, skip_special_tokens=True)) == taken
    assert_same(tokenizer, prompt_ids, [1, 1], skip=True)
    assert TailStream(LIBRARY, prompt_ids, skip_special_tokens=True).step(tokenizer, 1) == " world"


def byte_fallback() -> Tokenizer:
    """Words, and each byte as an id of its own: byte b is id b."""
    names = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"▁a": 256}
    tokenizer = Tokenizer(models.WordLevel(names, unk_token="▁a"))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


@pytest.mark.parametrize("broken", [False, True])
def test_vllm_repeats_a_prompt_that_ends_with_a_long_run_of_broken_bytes_and_we_do_not(broken: bool) -> None:
    prompt_ids = [256] * 100 + [0xFF] * broken + list("🫠".encode()) * 8
    tokenizer = byte_fallback()
    ours = TailStream(LIBRARY, prompt_ids, skip_special_tokens=True)
    assert list(steps(ours, tokenizer, [256, 256], skip=True)) == [" a", " a"]
    theirs = "".join(filter(None, steps(LIBRARY(prompt_ids, True), tokenizer, [256, 256], skip=True)))
    assert (theirs == " a a") is not broken


def vllms_module() -> Any:
    """As much of vLLM's as looks the stream up."""
    return SimpleNamespace(tokenizers=SimpleNamespace(decoders=decoders))


def kind(module: Any, ids: list[int] | None = None) -> type:
    """Of the stream that vLLM gets for a prompt, a long one where no other is given."""
    return type(module.tokenizers.decoders.DecodeStream(ids=ids or [0] * LONG, skip_special_tokens=True))


def test_only_long_prompts_of_our_route_get_it() -> None:
    module = vllms_module()
    install(module)
    install(module)
    assert kind(module) is LIBRARY
    with behind_the_tail():
        assert kind(module) is TailStream
        assert kind(module, [0] * 32) is LIBRARY
        assert type(module.tokenizers.decoders.DecodeStream(skip_special_tokens=True)) is LIBRARY
    assert kind(module) is LIBRARY
    assert decoders.DecodeStream is LIBRARY


@pytest.mark.parametrize("module", [None, SimpleNamespace(), SimpleNamespace(tokenizers=SimpleNamespace(decoders=0))])
def test_a_vllm_that_looks_up_no_stream_is_left_as_it_is(module: Any) -> None:
    before = repr(module)
    install(module)
    assert repr(module) == before


async def test_requests_of_other_routes_at_the_same_time_do_not_get_it() -> None:
    module, entered, left = vllms_module(), asyncio.Event(), asyncio.Event()
    install(module)

    async def ours() -> list[type]:
        with behind_the_tail():
            entered.set()
            await left.wait()
            child = await asyncio.create_task(asyncio.to_thread(kind, module))
            return [kind(module), child]

    running = asyncio.create_task(ours())
    await entered.wait()
    assert kind(module) is LIBRARY
    left.set()
    assert await running == [TailStream, TailStream]


async def test_a_streamed_answer_gets_it_with_its_first_event_and_is_closed_with_its_reader() -> None:
    module, ended = vllms_module(), asyncio.Event()
    install(module)

    async def answer() -> AsyncGenerator[str, None]:
        try:
            yield kind(module).__name__
            yield kind(module).__name__
        finally:
            ended.set()

    events = streamed_behind_the_tail(answer())
    assert await asyncio.create_task(anext(events)) == "TailStream"  # as vLLM's keep-alive asks, each in its own task
    assert await asyncio.create_task(anext(events)) == "DecodeStream"
    await events.aclose()
    assert ended.is_set()


async def test_a_streamed_answer_may_be_empty() -> None:
    async def nothing() -> AsyncGenerator[str, None]:
        for event in ():
            yield event

    assert [event async for event in streamed_behind_the_tail(nothing())] == []


def test_what_one_request_decodes_does_not_grow_with_its_prompt() -> None:
    """The library gets the tail from the first id on, and every later id goes to it directly."""
    given: list[int] = []

    def library(ids: list[int], *, skip_special_tokens: bool) -> Any:
        given.append(len(ids))
        return LIBRARY(ids=ids, skip_special_tokens=skip_special_tokens)

    class Counted:
        def decode(self, ids: list[int], *, skip_special_tokens: bool) -> str:
            given.append(len(ids))
            return str(tokenizer.decode(ids, skip_special_tokens=skip_special_tokens))

    tokenizer, prompt_ids = sentence_piece(), [0] * 100_000
    assert len(tail(prompt_ids, Counted(), skip_special_tokens=True)) == 32
    stream = TailStream(library, prompt_ids, skip_special_tokens=True)
    assert given == [32]
    assert [stream.step(tokenizer, i) for i in (1, 0, 1)] == [" world", " Hello", " world"]
    assert given == [32, 32]
