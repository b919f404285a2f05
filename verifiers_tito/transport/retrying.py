"""Sending a request until it is answered, or until the policy gives up.

Each attempt has a request id of its own, and an attempt is over before the next begins: its connection is closed, by
which vLLM stops generating for it. So nothing is generated twice at a time, and no answer is taken for another's.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from verifiers_tito.errors import Error
from verifiers_tito.transport.error_mapping import ServerUnreachableError
from verifiers_tito.transport.retry_policy import GiveUp, RetryBudget, RetryPolicy

REQUEST_ID = "X-Request-Id"
_TOLD_AT = 3
_logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Retrying:
    """One server's retries, and whether it has ever answered."""

    policy: RetryPolicy
    has_answered: bool = False
    _random: random.Random = field(default_factory=random.SystemRandom)

    async def run(
        self, send: Callable[[dict[str, str]], Awaitable[bytes]], *, budget: RetryBudget | None = None
    ) -> bytes:
        """`send` gets the headers of one attempt, `budget` is the rollout's. Raises the last attempt's error, with a
        note of how many there were."""
        retries = 0
        while True:
            try:
                answer = await send({REQUEST_ID: f"tito-{uuid.uuid4().hex}"})
            except Error as error:
                self.has_answered = self.has_answered or not isinstance(error, ServerUnreachableError)
                left = 1 if budget is None else budget.left
                decision = self.policy.decide(
                    error, retries=retries, left=left, has_answered=self.has_answered, chance=self._random.random()
                )
                if isinstance(decision, GiveUp):
                    raise _with_retries(error, retries, decision) from error
                retries += 1
                _tell(error, retries, decision.seconds)
            else:
                self.has_answered = True
                return answer
            if budget is not None:
                budget.spend()
            await asyncio.sleep(decision.seconds)


def _tell(error: Error, retries: int, seconds: float) -> None:
    """The third retry in a row is worth a warning, the others are for who wants to know."""
    level = logging.WARNING if retries == _TOLD_AT else logging.INFO
    _logger.log(level, "%s; retry %d in %.1f s", error, retries, seconds)


def _with_retries(error: Error, retries: int, reason: GiveUp) -> Error:
    if not retries:
        return error
    error.add_note(f"tried {retries + 1} times: {reason}")
    return error
