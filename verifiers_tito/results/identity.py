"""Which rollout is which, over several runs: the example's id, a number among its rollouts, and a digest of its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from verifiers_tito.errors import ConfigError
from verifiers_tito.results.json_values import JsonValues, shown
from verifiers_tito.rollouts import PlannedRollout, RolloutKey

_DIGEST_BYTES = 12


def input_digest(row: Mapping[str, Any]) -> str:
    """Names the content of a dataset's row, whatever the order of its columns."""
    plain = JsonValues().of(dict(row), "input")
    return blake2b(msgspec.json.encode(plain, order="deterministic"), digest_size=_DIGEST_BYTES).hexdigest()


def plan_rollouts(rows: Sequence[dict[str, Any]]) -> list[PlannedRollout]:
    """One rollout per row, in order; rows of the same `example_id` are the rollouts 0, 1, ... of that example.

    Raises `ConfigError` where one id stands for two different rows: their rewards cannot be compared.
    """
    digests: dict[int, str] = {}
    first: dict[int | str, tuple[str, Mapping[str, Any]]] = {}
    counts: dict[int | str, int] = {}
    planned = []
    for row in rows:
        example_id = _example_id(row)
        if id(row) not in digests:  # most rows stand in the list several times
            digests[id(row)] = input_digest(row)
        digest = digests[id(row)]
        known, other = first.setdefault(example_id, (digest, row))
        if known != digest:
            raise ConfigError(
                f"example {example_id} stands for two different inputs, {shown(other):.120} and {shown(row):.120}: "
                "give each its own example_id"
            )
        index = counts[example_id] = counts.get(example_id, -1) + 1
        planned.append(PlannedRollout(key=RolloutKey(example_id, index), input=row, digest=digest))
    return planned


def _example_id(row: Mapping[str, Any]) -> int | str:
    value = JsonValues().of(row.get("example_id"), "example_id")
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ConfigError(f"an example_id must be a whole number or a text, got {shown(row.get('example_id')):.80}")
    return value
