"""What the benchmarks have in common: where a tokenizer comes from, and how results are written down."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from verifiers_tito.errors import ConfigError


def require_tokenizer(folder: Path) -> None:
    if not (folder / "tokenizer.json").exists():
        raise ConfigError(f"there is no tokenizer.json in {folder}: run `make models`")


def provenance() -> dict[str, Any]:
    """When and on what a result was measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()},
    }


def write(result: dict[str, Any], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
