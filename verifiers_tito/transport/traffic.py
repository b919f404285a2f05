"""What went over the wire, counted as it goes: a few additions a request, whether anybody reads them or not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Of all servers of one client. `requests` that were answered, by method and path; `retries` by the name of the
    error that they followed; bytes of bodies, without headers."""

    requests: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    sent_bytes: int = 0
    received_bytes: int = 0

    def answered(self, operation: str, *, sent: int, received: int) -> None:
        """One request and its answer."""
        self.requests[operation] += 1
        self.sent_bytes += sent
        self.received_bytes += received
