"""Whether and when to try a request again: a pure function of the error and of how often it was tried.

What may be tried again are connections that broke and statuses by which a server says "not now". The wait doubles, with
a random part so that a thousand rollouts do not come back at once; where the server names a time, that time is kept. A
server that has never answered is probably not there: its address is wrong, and whoever wrote it wants to know soon.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from verifiers_tito.errors import Error
from verifiers_tito.transport.error_mapping import ServerError, ServerUnreachableError

RETRIES_WITHOUT_AN_ANSWER = 2
RETRIES_BEFORE_MOVING = 1
LONGEST_PATIENCE = 120.0


class GiveUp(StrEnum):
    """Why a request is not tried again."""

    NOT_RETRYABLE = "trying again would not help"
    NO_RETRY_LEFT = "it was tried often enough"
    NEVER_ANSWERED = "nothing has ever answered at this address"
    STAND_IN_TAKES_OVER = "another server takes over"
    WAIT_TOO_LONG = f"the server asks for more than {LONGEST_PATIENCE:.0f} seconds"
    ROLLOUT_SPENT = "the rollout's retries are spent"


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after so many seconds."""

    seconds: float


@dataclass(slots=True, kw_only=True)
class RetryBudget:
    """How many retries one rollout has left, and how many it took."""

    left: int
    used: int = 0

    def spend(self) -> None:
        self.left -= 1
        self.used += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Of one failed request: its `retries` so far, how many its rollout has `left` (None: no rollout counts them),
    whether the server `has_answered`, ever, and whether another one would take the request."""

    retries: int
    left: int | None = None
    has_answered: bool = True
    has_stand_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """`most_retries` of one request; waits from `first_seconds` to `longest_seconds`, before the random part."""

    most_retries: int
    first_seconds: float = 0.5
    longest_seconds: float = 30.0

    def decide(self, error: Error, situation: Situation, *, chance: float) -> Wait | GiveUp:
        """`chance` from 0 to 1 shortens the wait by up to a quarter, except where the server named it."""
        if not isinstance(error, ServerError | ServerUnreachableError) or not error.may_be_tried_again:
            return GiveUp.NOT_RETRYABLE
        if situation.retries >= self.most_retries:
            return GiveUp.NO_RETRY_LEFT
        if situation.left is not None and situation.left <= 0:
            return GiveUp.ROLLOUT_SPENT
        if error.means_absence and situation.has_stand_in and situation.retries >= RETRIES_BEFORE_MOVING:
            return GiveUp.STAND_IN_TAKES_OVER
        unanswered = isinstance(error, ServerUnreachableError) and not situation.has_answered
        if unanswered and situation.retries >= RETRIES_WITHOUT_AN_ANSWER:
            return GiveUp.NEVER_ANSWERED
        if error.retry_after is not None:
            return Wait(error.retry_after) if error.retry_after <= LONGEST_PATIENCE else GiveUp.WAIT_TOO_LONG
        seconds = min(self.first_seconds * 2 ** min(situation.retries, 30), self.longest_seconds)
        return Wait(seconds * (1 - 0.25 * chance))
