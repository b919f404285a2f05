"""What a run is of: environment, model, sampling. A folder of results holds the rollouts of one such choice.

Keys, tokens and headers are hidden before anything is written or compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from verifiers_tito.errors import ConfigError
from verifiers_tito.results.json_values import JsonValues

HIDDEN = "(hidden)"
_SECRET = re.compile(r"(?i)api_?key$|secret|passw|authorization|headers$|credential|(^|_)token$")
_COMPARED = {
    "env_id": "environment",
    "env_args": "environment arguments",
    "model": "model",
    "sampling_args": "sampling arguments",
    "scoring": "scoring",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What decides what a rollout is like (environment, model, sampling and scoring), and what else is written down.

    `base_url` may change between a run and its continuation, and so may the number of examples and of rollouts of each,
    which may only grow.
    """

    env_id: str
    model: str
    env_args: Mapping[str, Any] = field(default_factory=dict)
    sampling_args: Mapping[str, Any] = field(default_factory=dict)
    scoring: str = "group"
    base_url: str = ""
    num_examples: int = 0
    rollouts_per_example: int = 1
    state_columns: tuple[str, ...] = ()
    pass_threshold: float = 0.5
    package_version: str | None = None
    tools: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All of it as it is written down."""
        values = JsonValues()
        names = [name for name in self.__dataclass_fields__ if name != "package_version"]
        plain = {name: without_secrets(values.of(getattr(self, name), name)) for name in names}
        return {**plain, "version_info": {"verifiers_tito": self.package_version}}

    def check_same_as(self, recorded: Mapping[str, Any], *, folder: str) -> None:
        """Raises `ConfigError` with both values where the run that `recorded` tells of was of something else."""
        mine = self.to_json()
        for name, words in _COMPARED.items():
            if recorded.get(name) != mine[name]:
                raise ConfigError(
                    f"{folder} holds rollouts of other {words}: it has {name} {recorded.get(name)!r}, this run has "
                    f"{mine[name]!r}; give the same, or another results_path"
                )


def without_secrets(value: Any) -> Any:
    """JSON with what looks like a secret by its name replaced."""
    if isinstance(value, dict):
        hide = {name for name, item in value.items() if _SECRET.search(name) and item}
        return {name: HIDDEN if name in hide else without_secrets(item) for name, item in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value
