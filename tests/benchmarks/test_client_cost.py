"""The benchmark of the client's cost, with a few turns: that it measures what it says. How fast it is, no test says."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from rich.console import Console

from benchmarks.client_cost import (
    Options,
    TurnCost,
    Way,
    WayCost,
    as_json,
    conclusion,
    measure,
    medians,
    parse,
    table,
    write,
)
from benchmarks.fake_process import FakeProcess
from verifiers_tito.errors import LocalServerError
from verifiers_tito.testing import FakeTokenizer
from verifiers_tito.tokenization import LocalTokenizer

TURNS = 4


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def measured(qwen3_tiny: Path, qwen3_tokenizer: FakeTokenizer) -> tuple[list[WayCost], Options, list[None]]:
    """One run of a few turns: the costs, the options, and one entry for each call after a turn."""
    options = Options(turns=TURNS, runs=1, model_folder=qwen3_tiny, answer_seconds=0.0)
    tokenizer = LocalTokenizer(qwen3_tokenizer.transformers_tokenizer)
    calls: list[None] = []
    return await measure(options, tokenizer=tokenizer, after_turn=lambda: calls.append(None)), options, calls


@pytest.fixture
def costs(measured: tuple[list[WayCost], Options, list[None]]) -> dict[Way, WayCost]:
    return {cost.way: cost for cost in measured[0]}


def turn_cost(**figures: Any) -> TurnCost:
    zeros = dict.fromkeys(TurnCost.__dataclass_fields__, 0)
    return TurnCost(**{**zeros, **figures})


def way_cost(client_ms: list[float], way: Way = Way.LOCAL) -> WayCost:
    turns = [turn_cost(turn=turn, client_ms=cost) for turn, cost in enumerate(client_ms, start=1)]
    return WayCost(way=way, turns=turns, later_turns=len(turns) - 1, extending_turns=0, mean_collection_ms=0.0)


async def test_every_way_and_every_turn_is_measured(costs: dict[Way, WayCost]) -> None:
    assert list(costs) == list(Way)
    for cost in costs.values():
        assert [turn.turn for turn in cost.turns] == [1, 2, 3, 4]
        assert all(turn.client_ms > 0 and turn.environment_ms > 0 for turn in cost.turns)


async def test_with_a_local_tokenizer_every_turn_is_one_request_but_the_one_that_compares(
    costs: dict[Way, WayCost],
) -> None:
    assert [turn.requests for turn in costs[Way.LOCAL].turns] == [1, 2, 1, 1]


async def test_with_the_server_s_tokenizer_a_turn_is_two_requests_once_the_template_is_proven(
    costs: dict[Way, WayCost],
) -> None:
    requests = [turn.requests for turn in costs[Way.SERVER].turns]
    assert requests[0] == 1
    assert requests[1] > 2
    assert requests[2:] == [2, 2]


async def test_messages_are_one_request_a_turn(costs: dict[Way, WayCost]) -> None:
    assert [turn.requests for turn in costs[Way.MESSAGES].turns] == [1, 1, 1, 1]


async def test_prompts_of_token_ids_extend_the_turns_before(costs: dict[Way, WayCost]) -> None:
    assert {(costs[way].extending_turns, costs[way].later_turns) for way in (Way.LOCAL, Way.SERVER)} == {(3, 3)}


async def test_all_ways_have_conversations_of_the_same_length(costs: dict[Way, WayCost]) -> None:
    lengths = {tuple(turn.prompt_tokens for turn in cost.turns) for cost in costs.values()}
    assert len(lengths) == 1
    added = [after - before for before, after in zip(min(lengths), min(lengths)[1:], strict=False)]
    assert all(290 <= count <= 310 for count in added)


async def test_only_messages_are_answered_with_a_body_that_grows(costs: dict[Way, WayCost]) -> None:
    ids, messages = costs[Way.LOCAL].turns, costs[Way.MESSAGES].turns
    assert ids[-1].sent_bytes > ids[1].sent_bytes > 0
    assert messages[-1].received_bytes - messages[1].received_bytes > 2000
    assert abs(ids[-1].received_bytes - ids[1].received_bytes) < 1000


async def test_the_progress_bar_moves_with_every_turn(
    measured: tuple[list[WayCost], Options, list[None]],
) -> None:
    assert len(measured[2]) == TURNS * len(Way)


async def test_the_result_is_json_without_any_place_of_this_machine(
    measured: tuple[list[WayCost], Options, list[None]], tmp_path: Path
) -> None:
    costs, options, _ = measured
    write(as_json(costs, options), tmp_path / "new" / "result.json")
    text = (tmp_path / "new" / "result.json").read_text()
    result = json.loads(text)
    assert result["options"] == {"turns": TURNS, "runs": 1, "model_folder": "qwen3-tiny", "answer_seconds": 0.0}
    assert [way["way"] for way in result["ways"]] == [str(way) for way in Way]
    assert [len(way["turns"]) for way in result["ways"]] == [TURNS] * len(Way)
    assert str(options.model_folder.absolute().parent) not in text


async def test_a_table_shows_the_first_two_turns(costs: dict[Way, WayCost]) -> None:
    console = Console(width=120)
    with console.capture() as shown:
        console.print(table(costs[Way.LOCAL]))
    assert "token ids, local tokenizer" in shown.get()
    assert len(table(costs[Way.LOCAL]).rows) == 2


def test_the_ratio_compares_the_last_five_turns_with_those_around_the_tenth() -> None:
    cost = way_cost([100.0] * 7 + [2.0] * 5 + [50.0] * 3 + [3.0] * 5)
    assert cost.around(10).client_ms == 2.0
    assert cost.around(20).client_ms == 3.0
    assert cost.ratio == 1.5


def test_few_turns_are_not_compared() -> None:
    assert way_cost([1.0] * 16).ratio is None
    assert "17 are needed, there were 16" in conclusion([way_cost([1.0] * 16)])
    assert way_cost([1.0] * 17).ratio == 1.0


def test_the_conclusion_says_whether_the_goal_is_met() -> None:
    messages = way_cost([1.0] * 12 + [4.0] * 8, Way.MESSAGES)
    assert "1.50 times as much, goal at most 1.5: met" in conclusion([way_cost([2.0] * 12 + [3.0] * 8), messages])
    assert "2.00 times as much, goal at most 1.5: MISSED" in conclusion([way_cost([2.0] * 12 + [4.0] * 8), messages])
    assert "messages in: 4.00" in conclusion([way_cost([2.0] * 20), messages])


def test_medians_are_taken_figure_by_figure_and_counts_stay_whole() -> None:
    middle = medians(
        [turn_cost(client_ms=1.0, requests=2), turn_cost(client_ms=9.0, requests=1), turn_cost(client_ms=2.0)], turn=7
    )
    assert (middle.turn, middle.client_ms, middle.requests) == (7, 2.0, 1)
    assert isinstance(medians([turn_cost(requests=1), turn_cost(requests=2)], turn=1).requests, int)


def test_options_that_cannot_be_used_are_refused(
    tmp_path: Path, qwen3_tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in (
        (["--turns", "0"], "must be at least 1, got 0"),
        (["--runs", "0"], "must be at least 1"),
        (["--model-folder", str(tmp_path)], "no tokenizer.json"),
    ):
        with pytest.raises(SystemExit):
            parse(["--model-folder", str(qwen3_tiny), *arguments])
        assert words in capsys.readouterr().err


def test_a_fake_is_stopped_whatever_ends_its_block(qwen3_tiny: Path) -> None:
    fake = FakeProcess(folder=qwen3_tiny, sampled_tokens=8, max_model_len=64)
    with suppress(KeyboardInterrupt), fake:
        address = urlsplit(fake.base_url)
        socket.create_connection((address.hostname, address.port)).close()
        assert fake.arrived() == []
        raise KeyboardInterrupt
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port))


def test_a_fake_that_cannot_start_is_an_error_and_leaves_no_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake = FakeProcess(folder=tmp_path, sampled_tokens=8, max_model_len=64)
    with pytest.raises(LocalServerError, match="ended before it was told to"), fake:
        pass
    assert "tokenizer.json" in capfd.readouterr().err
    with pytest.raises(LocalServerError, match="not running"):
        fake.arrived()
