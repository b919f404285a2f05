"""Sending a request until it is answered, or until the policy gives up.

Each attempt has a request id of its own, and an attempt is over before the next begins: its connection is closed, by
which vLLM stops generating for it. So nothing is generated twice at a time, and no answer is taken for another's.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from verifiers_tito.errors import Error
from verifiers_tito.transport.error_mapping import ServerUnreachableError
from verifiers_tito.transport.retry_policy import GiveUp, RetryBudget, RetryPolicy, Situation

_TOLD_AT = 3
"""The third retry in a row is no hiccup."""
_SILENCE_SECONDS = 60.0
_logger = logging.getLogger(__name__)


async def _nothing_to_end(request_id: str) -> None:
    """A closed connection ends the attempt."""


@dataclass(slots=True, kw_only=True)
class Retrying:
    """One server's retries, counted in `counts` by what they followed. `has_answered`: ever. `outages` are the times
    that it stopped answering: another server may stand at its address since."""

    policy: RetryPolicy
    counts: Counter[str]
    has_answered: bool = False
    outages: int = 0
    _is_down: bool = False
    _silent_until: float = 0.0
    _random: random.Random = field(default_factory=random.SystemRandom)

    async def run(
        self,
        send: Callable[[str], Awaitable[bytes]],
        *,
        budget: RetryBudget | None = None,
        has_stand_in: Callable[[], bool] = lambda: False,
        end: Callable[[str], Awaitable[None]] = _nothing_to_end,
    ) -> bytes:
        """`send` gets the request id of one attempt, and `end` that of one to which no answer came. `budget` is the
        rollout's. Raises the last attempt's error, which says how many there were."""
        retries = 0
        while True:
            request_id = f"tito-{uuid.uuid4().hex}"
            try:
                answer = await send(request_id)
            except Error as error:
                if isinstance(error, ServerUnreachableError):
                    self.outages += not self._is_down
                    self._is_down = True
                    await end(request_id)
                else:
                    self.has_answered = True
                situation = Situation(
                    retries=retries,
                    left=None if budget is None else budget.left,
                    has_answered=self.has_answered,
                    has_stand_in=has_stand_in(),
                )
                decision = self.policy.decide(error, situation, chance=self._random.random())
                if isinstance(decision, GiveUp):
                    if retries:
                        error.args = (f"{error} (tried {retries + 1} times: {decision})",)
                    raise
                retries += 1
                self.counts[type(error).__name__] += 1
                self._tell(error, retries, decision.seconds)
                if budget is not None:
                    budget.spend()
            else:
                self.has_answered, self._is_down = True, False
                return answer
            await asyncio.sleep(decision.seconds)

    def _tell(self, error: Error, retries: int, seconds: float) -> None:
        """Whoever wants to know is told of every retry, everybody of an outage once a minute."""
        now = time.monotonic()
        level = logging.INFO
        if retries >= _TOLD_AT and now >= self._silent_until:
            level, self._silent_until = logging.WARNING, now + _SILENCE_SECONDS
        _logger.log(level, "%s; retry %d in %.1f s", error, retries, seconds)
