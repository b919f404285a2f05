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
LONGEST_PATIENCE = 120.0


class GiveUp(StrEnum):
    """Why a request is not tried again."""

    NOT_RETRYABLE = "trying again would not help"
    NO_RETRY_LEFT = "it was tried often enough"
    NEVER_ANSWERED = "nothing has ever answered at this address"
    WAIT_TOO_LONG = f"the server asks for more than {LONGEST_PATIENCE:.0f} seconds"
    ROLLOUT_SPENT = "the rollout's retries are spent"


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after so many seconds."""

    seconds: float


@dataclass(slots=True, kw_only=True)
class RetryBudget:
    """How many retries one rollout has left, how many it took, and how often nobody had answered."""

    left: int
    used: int = 0
    outages: int = 0

    def spend(self, error: Error) -> None:
        self.left -= 1
        self.used += 1
        self.outages += isinstance(error, ServerUnreachableError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """`most_retries` of one request; waits from `first_seconds` to `longest_seconds`, before the random part."""

    most_retries: int
    first_seconds: float = 0.5
    longest_seconds: float = 30.0

    def decide(self, error: Error, *, retries: int, left: int, has_answered: bool, chance: float) -> Wait | GiveUp:
        """`retries` so far of this request, `left` of its rollout; `chance` from 0 to 1 shortens the wait by up to a
        quarter, except where the server named it. `has_answered`: the server has, ever."""
        if not isinstance(error, ServerError | ServerUnreachableError) or not error.may_be_tried_again:
            return GiveUp.NOT_RETRYABLE
        if retries >= self.most_retries:
            return GiveUp.NO_RETRY_LEFT
        if left <= 0:
            return GiveUp.ROLLOUT_SPENT
        if isinstance(error, ServerUnreachableError) and not has_answered and retries >= RETRIES_WITHOUT_AN_ANSWER:
            return GiveUp.NEVER_ANSWERED
        if error.retry_after is not None:
            return Wait(error.retry_after) if error.retry_after <= LONGEST_PATIENCE else GiveUp.WAIT_TOO_LONG
        seconds = min(self.first_seconds * 2 ** min(retries, 30), self.longest_seconds)
        return Wait(seconds * (1 - 0.25 * chance))
