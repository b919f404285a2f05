"""Our messages are those of vLLM's own parsers, on whole answers, on every beginning of them, and on broken ones."""

from __future__ import annotations

import warnings
from functools import lru_cache

import pytest

pytest.importorskip("vllm", reason="the oracle is vLLM itself")

from tests.corpus.families import load_family
from tests.oracle.pairs import _harmony_ranks
from tests.parsing.cases import ALL, HARMONY, REQUESTS, TOOLS, Answers
from tests.parsing.known_differences import KNOWN_DIFFERENCES, KnownDifference
from tests.parsing.vllm_parsers import Asked, Read, read_by_vllm, skips_special
from verifiers_tito.parsing import CompletionParser, EndOfTurn, TransformersDecoder, format_by_names

pytestmark = [pytest.mark.corpus, pytest.mark.filterwarnings("ignore")]

tokenizer_of = lru_cache(maxsize=2)(load_family)
PAIRS = [(answers, reasoning, calls) for answers in ALL for reasoning, calls in answers.parsers]
each_pair = pytest.mark.parametrize(
    ("answers", "reasoning", "calls"), PAIRS, ids=[f"{answers.name}-{r}-{c}" for answers, r, c in PAIRS]
)


def both(answers: Answers, text: str, reasoning: str | None, calls: str | None, asked: Asked) -> tuple[Read, Read]:
    tokenizer = tokenizer_of(answers.family)
    ours = format_by_names(reasoning_parser=reasoning, tool_call_parser=calls).parse(
        text, asked.request(frozenset(tokenizer.all_special_tokens)), call_id=lambda: "call"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = read_by_vllm(text, [], tokenizer=tokenizer, reasoning=reasoning, calls=calls, asked=asked)
    return Read.of(ours), theirs


def undeclared(answers: Answers, texts: list[str], reasoning: str | None, calls: str | None) -> list[str]:
    found = []
    for number, text in enumerate(texts):
        asked = REQUESTS[0] if number % 2 else REQUESTS[number // 2 % len(REQUESTS)]
        ours, theirs = both(answers, text, reasoning, calls, asked)
        if ours != theirs and not any(
            known.calls == calls and known.answers in (None, answers.name) and known.covers(text, ours, theirs)
            for known in KNOWN_DIFFERENCES
        ):
            found.append(f"{text!r} {asked.tool_choice}\n  ours   {ours}\n  theirs {theirs}")
    return found


@each_pair
def test_every_beginning_of_an_answer_is_read_alike(answers: Answers, reasoning: str | None, calls: str | None) -> None:
    differences = undeclared(answers, list(answers.truncated()), reasoning, calls)
    assert not differences, "\n".join(differences[:5])


@each_pair
def test_broken_answers_are_read_alike(answers: Answers, reasoning: str | None, calls: str | None) -> None:
    differences = undeclared(answers, list(answers.mutated(400)), reasoning, calls)
    assert not differences, "\n".join(differences[:5])


@pytest.mark.parametrize("known", KNOWN_DIFFERENCES, ids=lambda known: known.calls)
def test_a_declared_difference_is_still_there(known: KnownDifference) -> None:
    answers = next(one for one in ALL if (None, known.calls) in one.parsers and known.answers in (None, one.name))
    ours, theirs = both(answers, known.example, None, known.calls, REQUESTS[0])
    assert ours != theirs
    assert known.covers(known.example, ours, theirs)


@each_pair
def test_special_tokens_are_kept_where_vllm_keeps_them(
    answers: Answers, reasoning: str | None, calls: str | None
) -> None:
    ours = format_by_names(reasoning_parser=reasoning, tool_call_parser=calls)
    for asked in REQUESTS:
        theirs = skips_special(tokenizer=tokenizer_of(answers.family), reasoning=reasoning, calls=calls, asked=asked)
        assert ours.keeps_special(asked.request()) is not theirs, asked


def test_every_beginning_of_an_answer_in_channels_is_read_alike() -> None:
    tokenizer = tokenizer_of(HARMONY.family)
    reasoning, calls = HARMONY.parsers[0]
    stops = frozenset(tokenizer.convert_tokens_to_ids(["<|return|>", "<|call|>"]))
    parser = CompletionParser(
        format=format_by_names(reasoning_parser=reasoning, tool_call_parser=calls),
        decoder=TransformersDecoder(tokenizer),
        end=EndOfTurn(stop_ids=stops),
    )
    asked = Asked(tools=TOOLS)
    with _harmony_ranks():
        for text in HARMONY.texts:
            ids = tokenizer.encode(text, add_special_tokens=False)
            for length in range(1, len(ids) + 1):
                theirs = read_by_vllm(
                    "", ids[:length], tokenizer=tokenizer, reasoning=reasoning, calls=calls, asked=asked
                )
                assert Read.of(parser.parse(ids[:length], asked.request())) == theirs, tokenizer.decode(ids[:length])
