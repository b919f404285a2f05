"""Environment variables that an environment needs, checked before the first rollout."""

from __future__ import annotations

import os
from collections.abc import Iterable

from verifiers_tito.errors import MissingKeyError

__all__ = ["MissingKeyError", "ensure_keys"]


def ensure_keys(keys: Iterable[str]) -> None:
    """Raises `MissingKeyError` naming every one of these environment variables that is unset or empty.

    Called by an environment's author, in `load_environment`; the library itself never reads them.
    """
    missing = [key for key in keys if not os.environ.get(key)]
    if missing:
        raise MissingKeyError(missing)
