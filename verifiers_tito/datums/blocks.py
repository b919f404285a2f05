"""Arrays cut from large blocks of memory, for data that is made and dropped together.

    block   | array of datum 0 | array of datum 1 | ...      | then another, twice as large

A system gives out memory in pages as it is first written to. Numpy asks for large pages for arrays of 4 MB or more, and
one of 2 MB costs little more than one of 4 kB: where each array of a datum, too small for that, had its own memory, a
third of the time went into pages (benchmarks/LOG.md). The price: a block stays as long as any of its arrays does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LARGEST_BYTES = 2**25
_ALIGNMENT_BYTES = 64


class Blocks:
    """Gives out arrays one behind the other. The first block is as large as the first array, so that few small arrays
    take little memory, and none holds more than 32 MB but for a larger array."""

    def __init__(self) -> None:
        self._block = np.zeros(0, dtype=np.uint8)
        self._used = 0

    def zeros(self, count: int, dtype: DTypeLike) -> NDArray[Any]:
        """(count,) zeros, as `np.zeros` gives them."""
        taken = count * np.dtype(dtype).itemsize
        if self._used + taken > self._block.size:
            size = max(taken, min(2 * self._block.size, _LARGEST_BYTES))
            self._block, self._used = np.zeros(size, dtype=np.uint8), 0
        start = self._used
        self._used = -(-(start + taken) // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        return self._block[start : start + taken].view(dtype)
