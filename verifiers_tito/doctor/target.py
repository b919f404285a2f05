"""What a person asked `tito doctor` about, and who looks at it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from verifiers_tito.doctor.findings import Report
from verifiers_tito.doctor.folder_checks import check_folder
from verifiers_tito.doctor.server_checks import check_server
from verifiers_tito.errors import ConfigError
from verifiers_tito.wire import routes


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An address (with or without `/v1`) or a folder; the other fields are for addresses only."""

    place: str
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    tokenizer: str | None = None

    @property
    def is_address(self) -> bool:
        return self.place.startswith(("http://", "https://"))

    @property
    def base_url(self) -> str:
        return self.place.rstrip("/").removesuffix(routes.API_ROOT).rstrip("/") + routes.API_ROOT


async def diagnose(target: Target) -> Report:
    """Raises an `Error` of one line where nothing can be said: no server there, a wrong key, no tokenizer."""
    _check(target)
    if target.is_address:
        return await check_server(
            target.base_url, api_key=target.api_key, model=target.model, tokenizer=target.tokenizer
        )
    return await asyncio.to_thread(check_folder, target.place)


def _check(target: Target) -> None:
    """Raises `ConfigError` where the question makes no sense."""
    if target.is_address:
        if target.tokenizer is not None and not Path(target.tokenizer).is_dir():
            raise ConfigError(f"--tokenizer {target.tokenizer}: there is no such folder")
        return
    if not Path(target.place).is_dir():
        raise ConfigError(
            f"{target.place} is neither an address, such as http://localhost:8000, nor a folder with a tokenizer"
        )
    if target.model or target.api_key or target.tokenizer:
        raise ConfigError("--model, --api-key-env and --tokenizer go with a server's address, not with a folder")
