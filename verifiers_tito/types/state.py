"""The state of one rollout: a dict that environments may put anything into.

Keys that begin with an underscore belong to the library and are not part of a result.
"""

from __future__ import annotations

import time
import uuid
from typing import Any, ClassVar, Self


class State(dict[str, Any]):
    """A rollout's state.

    `prompt`, `answer`, `info`, `task` and `example_id` are read from and written to `state["input"]` where it
    has them. `state["turn"]` is the number of finished turns, unless an environment keeps a count of its own there.
    """

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("prompt", "answer", "task", "info", "example_id")

    @classmethod
    def begun(cls, rollout_input: dict[str, Any], **fields: Any) -> Self:
        """Of a rollout in which nothing has happened yet, but for what `fields` say."""
        blank: dict[str, Any] = {
            "trajectory": [],
            "trajectory_id": uuid.uuid4().hex,
            "completion": None,
            "reward": None,
            "advantage": None,
            "metrics": None,
            "error": None,
            "final_env_response": None,
            "stop_condition": None,
            "is_completed": False,
            "is_truncated": False,
            "prompt_too_long": False,
            "timing": {"start_time": time.time(), "generation_ms": 0.0, "scoring_ms": 0.0, "total_ms": 0.0},
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return cls({"input": rollout_input, **blank, **fields})

    def __getitem__(self, key: str) -> Any:
        if self._is_forwarded(key):
            return super().__getitem__("input")[key]
        if key == "turn" and not super().__contains__("turn"):
            return len(super().__getitem__("trajectory"))
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: Any) -> None:
        if self._is_forwarded(key):
            super().__getitem__("input")[key] = value
        else:
            super().__setitem__(key, value)

    def __contains__(self, key: object) -> bool:
        if super().__contains__(key) or self._is_forwarded(key):
            return True
        return key == "turn" and super().__contains__("trajectory")

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def update(self, *others: Any, **fields: Any) -> None:
        for key, value in dict(*others, **fields).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def copy(self) -> Self:
        return type(self)(self)

    def _is_forwarded(self, key: object) -> bool:
        return key in self.INPUT_FIELDS and key in (super().get("input") or {})
