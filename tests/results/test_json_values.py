from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import verifiers_tito as vf
from verifiers_tito.results import JsonValues


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: Any = None


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ((1, "a", None), [1, "a", None]),
        ({"a": {2.5}}, {"a": [2.5]}),
        (vf.UserMessage(content="hello"), {"role": "user", "content": "hello"}),
        (Colour.RED, "red"),
        (Path("a/b"), "a/b"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (Point(1, [np.int8(2)]), {"x": 1, "y": [2]}),
    ],
)
def test_what_has_a_meaning_in_json_keeps_it(value: Any, json: Any) -> None:
    values = JsonValues()
    assert values.of(value, "info") == json
    assert values.changed == {}


@pytest.mark.parametrize(
    ("value", "place", "what"),
    [
        ({"when": {"at": object}}, "info.when.at", "type"),
        ({"deep": [math.nan]}, "info.deep[]", "no finite number"),
        ({1: "a"}, "info (a key)", "int"),
        ({"n": 2**70}, "info.n", "a number too large"),
        ({"u": Unprintable()}, "info.u", "Unprintable"),
        ({"e": ValueError("x")}, "info.e", "ValueError"),
        ({"b": b"bytes"}, "info.b", "bytes"),
    ],
)
def test_what_has_none_becomes_text_and_is_named(value: Any, place: str, what: str) -> None:
    values = JsonValues()
    msgspec.json.encode(values.of(value, "info"))
    assert values.changed == {place: what}


def test_what_contains_itself_has_an_end() -> None:
    value: dict[str, Any] = {}
    value["again"] = value
    values = JsonValues()
    msgspec.json.encode(values.of(value, "info"))
    assert set(values.changed.values()) == {"nested too deep"}


def test_half_a_surrogate_pair_is_written_out() -> None:
    assert JsonValues().of("a\ud83d", "info") == "a\\ud83d"


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(ANYTHING)
def test_nothing_fails_and_everything_can_be_read_back(value: Any) -> None:
    made = JsonValues().of(value, "info")
    assert msgspec.json.decode(msgspec.json.encode(made)) == made
