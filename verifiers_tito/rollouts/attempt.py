"""One rollout until it succeeds or need not be tried again; whatever it raises becomes its state's error.

Every attempt begins with the same input and a fresh state. Retries of single requests are the client's business; here
a rollout begins anew, because the environment's side of it cannot be taken back to an earlier turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

from verifiers_tito.errors import ConfigError, EnvironmentHookError, Error
from verifiers_tito.types import State

Rollout = Callable[[dict[str, Any]], Awaitable[State]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRule:
    """Up to `most_retries` of a rollout whose error says that trying again may help. The waits double."""

    most_retries: int = 0
    first_seconds: float = 0.2
    longest_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.most_retries < 0:
            raise ConfigError(f"max_retries must be 0 or more, got {self.most_retries}")

    def wants_another(self, error: object, *, retries: int) -> bool:
        return isinstance(error, Error) and error.retryable and retries < self.most_retries

    def seconds(self, retries: int) -> float:
        """The wait after so many retries."""
        return min(self.first_seconds * 2.0 ** min(retries, 30), self.longest_seconds)


async def attempt(
    rollout: Rollout, rollout_input: Mapping[str, Any], *, rule: RetryRule, fatal: tuple[type[Exception], ...]
) -> State:
    """The state of the last attempt; `state["_retries"]` counts the ones before. Only `fatal` errors are raised."""
    retries = 0
    while True:
        state = await _confined(rollout, rollout_input, fatal)
        state["_retries"] = retries
        if not rule.wants_another(state.get("error"), retries=retries):
            return state
        await asyncio.sleep(rule.seconds(retries))
        retries += 1


async def _confined(rollout: Rollout, rollout_input: Mapping[str, Any], fatal: tuple[type[Exception], ...]) -> State:
    try:
        state = await rollout(dict(rollout_input))
        if not isinstance(state, State):
            raise TypeError(f"it returned {type(state).__name__}, not its state")
        return state
    except fatal:
        raise
    except asyncio.CancelledError as error:
        if _is_being_cancelled():
            raise
        return failed_state(rollout_input, _caused_by(error, "the rollout awaited something that was cancelled"))
    except Error as error:
        return failed_state(rollout_input, error)
    except Exception as error:
        return failed_state(rollout_input, _caused_by(error, f"rollout raised {type(error).__name__}: {error}"))


def failed_state(rollout_input: Mapping[str, Any], error: Error) -> State:
    """A state for a rollout that came to none of its own."""
    return State.begun(
        {key: copy(value) for key, value in rollout_input.items()},
        completion=[],
        metrics={},
        error=error,
        stop_condition="has_error",
        is_completed=True,
    )


def _is_being_cancelled() -> bool:
    """Whether somebody cancelled this task, and not just something that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _caused_by(cause: BaseException, message: str) -> Error:
    error = EnvironmentHookError(message)
    error.__cause__ = cause
    return error
