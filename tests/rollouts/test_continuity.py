"""The continuity record: where each turn's ids came from, and the sums."""

from __future__ import annotations

from typing import Any

import verifiers_tito as vf
from verifiers_tito.types import Response, ResponseMessage


def state_of(*served: vf.Served | None, **fields: Any) -> vf.State:
    steps = [
        {"response": Response(id="r", created=0, model="m", message=ResponseMessage(content="x"), served=how)}
        for how in served
    ]
    return vf.State(trajectory=steps, **fields)


FIRST = vf.Served(route=vf.Route.CHAT, reason=vf.FallbackReason.FIRST_TURN, prefix_digest="d0")
STITCHED = vf.Served(route=vf.Route.CHAT_TOKENS, reused_ids=10, bridged_ids=3, neutralized=1, prefix_digest="d1")
ANEW = vf.Served(
    route=vf.Route.CHAT, reason=vf.FallbackReason.NO_PREFIX, detail="why", retokenized_ids=40, control_strings=2
)


def test_every_turn_says_where_its_ids_came_from() -> None:
    turns = vf.continuity(state_of(FIRST, STITCHED, ANEW)).turns
    assert [(turn.reused_ids, turn.bridged_ids, turn.retokenized_ids) for turn in turns] == [
        (0, 0, 0),
        (10, 3, 0),
        (0, 0, 40),
    ]
    assert [turn.prefix_digest for turn in turns] == ["d0", "d1", ""]
    assert (turns[2].reason, turns[2].detail) == (vf.FallbackReason.NO_PREFIX, "why")


def test_a_turn_of_another_client_is_counted_too() -> None:
    record = vf.continuity(state_of(None))
    assert record.metrics()["tito/turns"] == 1
    assert record.fallbacks == {}


def test_a_first_turn_is_no_fallback() -> None:
    assert vf.continuity(state_of(FIRST, STITCHED)).fallbacks == {}
    assert vf.continuity(state_of(FIRST, ANEW)).fallbacks == {"no prefix": 1}


def test_a_run_sums_the_turns_and_averages_the_rewards() -> None:
    states = [
        state_of(FIRST, STITCHED, reward=1.0, metrics={"hits": 1.0}),
        state_of(FIRST, ANEW, reward=0.0, metrics={"hits": 3.0}),
        state_of(FIRST, error=vf.InfraError("gone")),
    ]
    metrics = vf.run_metrics(states)
    assert metrics == {
        "rollouts": 3.0,
        "rollouts/failed": 1.0,
        "reward": 0.5,
        "hits": 2.0,
        "tito/turns": 5.0,
        "tito/token_in_turns": 1.0,
        "tito/fallback_turns": 1.0,
        "tito/reused_ids": 10.0,
        "tito/bridged_ids": 3.0,
        "tito/retokenized_ids": 40.0,
        "tito/neutralized_control_strings": 1.0,
        "tito/passed_control_strings": 2.0,
        "tito/fallback/no prefix": 1.0,
    }


def test_a_run_without_rewards_has_none() -> None:
    assert "reward" not in vf.run_metrics([state_of(FIRST, error=vf.InfraError("gone"))])
