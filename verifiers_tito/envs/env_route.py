"""The way from an `EnvGroup` to the member that a row belongs to.

It stands in the row: `task` is the member's name, `info["env_id"]` the same, or, where members are groups themselves,
the list of names down to the environment. A group hands a row on with its own name taken off the way, and puts it back
when the rollout is done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from typing import Any

from verifiers_tito.errors import ConfigError

ENV_ID = "env_id"
TASK = "task"

EnvRoute = tuple[str, ...]


def read_route(record: Mapping[str, Any] | Any) -> EnvRoute:
    """The names from the outermost group down; () for a row of no group. `record` is a row or a state."""
    way = _info(record).get(ENV_ID)
    if way is None:
        return (record[TASK],) if record.get(TASK) else ()
    names = (way,) if isinstance(way, str) else way
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f'info["env_id"] must be the name of an environment or a list of names, got {way!r:.80}')
    return tuple(names)


def write_route(record: MutableMapping[str, Any] | Any, route: EnvRoute) -> None:
    """Sets the way of a row or state, in its `info`, and its `task`."""
    info = _info(record)
    info[ENV_ID] = _written(route)
    record["info"], record[TASK] = info, route[0]


def take_first_off(record: MutableMapping[str, Any] | Any, route: EnvRoute, *, member_is_group: bool) -> None:
    """Makes a row or state what the member sees of it. `info` becomes a copy."""
    info, rest = dict(_info(record)), route[1:]
    info.pop(ENV_ID, None)
    if rest:
        info[ENV_ID] = _written(rest)
    record["info"], record[TASK] = info, rest[0] if member_is_group and rest else route[0]


def add_to_route(row: Mapping[str, Any], name: str, *, member_is_group: bool) -> dict[str, Any]:
    """A copy of a row of the member `name` as the group has it. A task of its own is kept as `info["task"]`."""
    info = dict(_info(row))
    inner = read_route({"info": info})
    if TASK in row and not member_is_group:
        info.setdefault(TASK, row[TASK])
    copied = {**row, "info": info}
    write_route(copied, (name, *inner))
    return copied


def _written(route: EnvRoute) -> str | list[str]:
    return route[0] if len(route) == 1 else list(route)


def _info(record: Mapping[str, Any]) -> dict[str, Any]:
    info = record.get("info") or {}
    try:
        parsed = json.loads(info) if isinstance(info, str) else info
    except ValueError as error:
        raise ConfigError(f"info is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ConfigError(f"in an EnvGroup, info must be a dict, got {type(parsed).__name__}")
    return parsed
