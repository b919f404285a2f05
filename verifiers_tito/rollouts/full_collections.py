"""Python's full garbage collections, postponed while rollouts run.

    young generations ──► collected as ever
    the oldest one    ──► not before the process's memory has grown by 2 GiB; then by Python's own rule, once

A full collection visits every list in memory element by element, and ids are lists: with thousands of rollouts it stops
the event loop for hundreds of milliseconds. Finished rollouts do not need it, they leave no cycles behind; failed ones
(an error knows the frames that know the state) and environments may. Knows no rollouts.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

NEVER = 1 << 30
"""As the oldest generation's threshold: so many collections of the middle one do not happen."""
MOST_GROWTH_BYTES = 2 << 30
_OLDEST_GENERATION = 2
_RESIDENT = Path("/proc/self/statm")
_BYTES_A_BLOCK = 64


def resident_bytes() -> int:
    """Memory of this process; where the system does not say (no /proc, no file handle left), an estimate from the
    number of Python's small objects."""
    try:
        pages = int(_RESIDENT.read_text().split()[1])
    except OSError:
        return sys.getallocatedblocks() * _BYTES_A_BLOCK
    return pages * os.sysconf("SC_PAGE_SIZE")


class FullCollections:
    """Those of one process. Blocks may be nested, and be in several threads at once: the first one begins to postpone,
    the last one puts the threshold back, unless somebody else has changed it meanwhile.

    Between two full collections memory (`measure`, bytes) can grow by `most_growth_bytes`: this is all that cyclic
    garbage can come to.
    """

    def __init__(
        self, *, measure: Callable[[], int] = resident_bytes, most_growth_bytes: int = MOST_GROWTH_BYTES
    ) -> None:
        self._measure = measure
        self._most_growth_bytes = most_growth_bytes
        self._lock = threading.RLock()  # the collector may call us while the same thread holds it
        self._blocks = 0
        self._threshold = 0
        self._most_bytes = 0

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Until the block ends, however it ends."""
        with self._lock:
            self._blocks += 1
            if self._blocks == 1:
                self._threshold = gc.get_threshold()[_OLDEST_GENERATION]
                self._postpone()
                gc.callbacks.append(self._collected)
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if not self._blocks:
                    gc.callbacks.remove(self._collected)
                    self._allow()

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        """The collector's callback, in whichever thread it ran."""
        if phase != "stop" or info["generation"] == 0:
            return
        with self._lock:
            if not self._blocks:
                return
            if info["generation"] == _OLDEST_GENERATION:
                self._postpone()
            elif self._measure() > self._most_bytes:
                self._allow()

    def _postpone(self) -> None:
        self._most_bytes = self._measure() + self._most_growth_bytes
        first, second, third = gc.get_threshold()
        if third == self._threshold:
            gc.set_threshold(first, second, NEVER)

    def _allow(self) -> None:
        first, second, third = gc.get_threshold()
        if third == NEVER:
            gc.set_threshold(first, second, self._threshold)


_OF_THIS_PROCESS = FullCollections()
"""Thresholds belong to the process, and so does the count of those who want them changed."""


def postponed_full_collections() -> AbstractContextManager[None]:
    """`with vf.postponed_full_collections():` around rollouts that are not run by `generate`, which does so itself."""
    return _OF_THIS_PROCESS.postponed()
