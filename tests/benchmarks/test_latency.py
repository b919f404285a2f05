"""The benchmark's own workings, on a fake: every way is asked, and by the route it says. No time is asserted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.latency import Latency, Options, Target, Way, as_json, conclusion, measure, table, times
from benchmarks.words import Words
from tests.conftest import FAKE_MODEL, FakeMaker
from verifiers_tito.errors import ConfigError
from verifiers_tito.testing import FakeTokenizer, random_tokens
from verifiers_tito.wire import routes


@pytest.mark.long
@pytest.mark.parametrize("scale_out", [True, False])
async def test_every_way_takes_its_turns_by_its_own_route(
    qwen3_fake: FakeMaker, qwen3_tiny: Path, qwen3_tokenizer: FakeTokenizer, scale_out: bool
) -> None:
    options = Options(model_folder=qwen3_tiny, histories=(100, 300), turns=3, max_tokens=2)
    words = Words(qwen3_tokenizer.transformers_tokenizer)
    ticks: list[None] = []
    async with qwen3_fake(random_tokens(shortest=2, longest=2), scale_out=scale_out) as fake:
        target = Target(base_url=fake.base_url, model=FAKE_MODEL, api_key="EMPTY")
        found = await measure(target, options, words, after_turn=lambda: ticks.append(None))
        bodies = [request.body for request in fake.posts if request.path == routes.CHAT_TOKENS]
    ways = [way for way in Way if scale_out or way is not Way.GENERATE]
    assert [(one.history, one.way) for one in found] == [(history, way) for history in (100, 300) for way in ways]
    assert {one.way: one.routes for one in found} == {
        Way.FLOOR: [],
        Way.PLUGIN: ["chat/tokens"],
        Way.STOCK: ["chat/kv"],
        **({Way.GENERATE: ["generate"]} if scale_out else {}),
        Way.COMPLETIONS: ["completions"],
        Way.MESSAGES: ["chat (messages in by configuration)"],
    }
    assert all(len(one.milliseconds) == 3 for one in found)
    assert all(one.prompt_tokens >= one.history + 4 * 30 for one in found)
    lengths = {(one.history, one.way): one.prompt_tokens for one in found}
    assert [lengths[history, Way.FLOOR] - lengths[history, Way.PLUGIN] for history in (100, 300)] == [0, 0]
    assert len(bodies) == 2 * (4 + 4)  # the floor's warm-up and turns, and the plugin's but for its first
    assert len(ticks) == 6
    assert len(as_json(found, options)["latencies"]) == 2 * len(ways)
    assert table(found).row_count == 2


def latency(history: int, way: Way, *ms: float) -> Latency:
    return Latency(history=history, way=way, milliseconds=[*ms], prompt_tokens=history)


def test_ways_are_compared_turn_by_turn() -> None:
    found = [latency(1, Way.FLOOR, 1.0, 100.0, 4.0), latency(1, Way.PLUGIN, 2.0, 101.0, 40.0)]
    assert times(found, Way.PLUGIN, Way.FLOOR, 1) == 2.0


@pytest.mark.parametrize(
    ("ours", "messages", "verdicts"), [(10.5, 21.0, ["met", "met"]), (10.6, 21.0, ["MISSED", "MISSED"])]
)
def test_the_conclusion_compares_with_the_floor_and_with_messages(
    ours: float, messages: float, verdicts: list[str]
) -> None:
    by_way = {Way.FLOOR: 10.0, Way.PLUGIN: ours, Way.MESSAGES: messages}
    said = conclusion([latency(16_000, way, ms) for way, ms in by_way.items()])
    assert re.findall("met|MISSED", said) == verdicts


def test_short_histories_are_not_compared_with_messages(qwen3_tiny: Path) -> None:
    assert "messages" not in conclusion([latency(1000, Way.FLOOR, 1.0), latency(1000, Way.PLUGIN, 1.0)])
    with pytest.raises(ConfigError, match="at least 1"):
        Options(model_folder=qwen3_tiny, turns=0)
