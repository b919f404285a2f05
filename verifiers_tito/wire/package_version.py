"""Which release of this package stands at an end of the wire: the two ends are installed apart."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

_DISTRIBUTION = "verifiers-tito"


def package_version() -> str | None:
    """The installed release, `None` for a copy of the sources that no installer knows."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return None
