"""The benchmark's own workings, with short answers. No time is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.answer_cost import AnswerCost, Options, Reader, conclusion, measure, table, times_less
from verifiers_tito.errors import ConfigError
from verifiers_tito.testing import FakeTokenizer
from verifiers_tito.tokenization import LocalTokenizer


@pytest.mark.long
async def test_every_reader_reads_every_log_probability(qwen3_tiny: Path, qwen3_tokenizer: FakeTokenizer) -> None:
    options = Options(model_folder=qwen3_tiny, tokens=(40,), answers=2, rounds=2)
    costs = await measure(40, options, LocalTokenizer(qwen3_tokenizer.transformers_tokenizer))
    assert [cost.reader for cost in costs] == list(Reader)
    assert all(len(cost.cpu_ms) == 4 and min(cost.cpu_ms) > 0 for cost in costs)
    by_reader = {cost.reader: cost for cost in costs}
    chat, openai = by_reader[Reader.CHAT].received_bytes, by_reader[Reader.OPENAI].received_bytes
    assert abs(chat - openai) < 100 < openai  # the id that ours gives the request is longer
    plugin, bare = by_reader[Reader.PLUGIN].received_bytes, by_reader[Reader.BARE].received_bytes
    assert abs(plugin - bare) < 100 < bare
    assert len(table(costs).rows) == 1


def cost(reader: Reader, tokens: int, ms: float) -> AnswerCost:
    return AnswerCost(reader=reader, sampled_tokens=tokens, received_bytes=1, cpu_ms=[ms])


@pytest.mark.parametrize(
    ("ours_ms", "bare_ms", "ending"),
    [
        (1.0, 1.25, "goal at least 10: met."),
        (1.1, 0.5, "goal at least 10: MISSED. At 256 it takes 20.0 times as long as aiohttp alone."),
    ],
)
def test_the_conclusion_is_about_the_length_at_which_ours_is_least_ahead(
    ours_ms: float, bare_ms: float, ending: str
) -> None:
    costs = [cost(reader, tokens, 10.0) for reader in (Reader.CHAT, Reader.OPENAI) for tokens in (256, 4096)]
    costs += [cost(Reader.BARE, 256, bare_ms), cost(Reader.BARE, 4096, 0.4)]
    costs += [cost(Reader.PLUGIN, 256, ours_ms), cost(Reader.PLUGIN, 4096, 0.5)]
    assert times_less(costs, Reader.PLUGIN, 4096) == 20.0
    assert conclusion(costs).endswith(ending)


def test_answers_too_short_to_end_are_refused(qwen3_tiny: Path) -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        Options(model_folder=qwen3_tiny, tokens=(1,))
