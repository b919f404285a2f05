"""The examples and example environments that come with the project.

In a checkout they stand beside the package, in a wheel inside it.
"""

from __future__ import annotations

from pathlib import Path

from verifiers_tito.errors import ConfigError


def bundled_folder(name: str) -> Path:
    """The folder `envs` or `examples`."""
    package = Path(__file__).parent
    for folder in (package / "_bundled" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise ConfigError(f"this installation carries no {name}; install verifiers-tito from its wheel or its checkout")
