"""Writes a Hugging Face model folder all at once, or not at all.

Flow: a builder fills a temporary folder beside the target; only when it is whole does it get its stamp and
the target's name. A folder with the right stamp is therefore complete, and building again is a look at one
file. It does not know what a model is.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from verifiers_tito.errors import LocalServerError

STAMP_FILE = "tito-model.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Which builder made a folder. Raise `version` when the builder's output changes."""

    builder: str
    version: int


def is_complete(folder: Path, stamp: Stamp) -> bool:
    """Whether `folder` was finished by exactly this version of this builder."""
    try:
        return bool(json.loads((folder / STAMP_FILE).read_text()) == asdict(stamp))
    except (OSError, ValueError):
        return False


def write_model_folder(folder: Path, *, stamp: Stamp, fill: Callable[[Path], None]) -> Path:
    """Has `fill` write the files, unless `folder` is complete already. Returns `folder`.

    An older build is replaced; a folder that no builder made is left alone and an error names it.
    """
    if is_complete(folder, stamp):
        return folder
    _refuse_foreign_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        draft = Path(temporary) / "draft"
        draft.mkdir()
        fill(draft)
        (draft / STAMP_FILE).write_text(json.dumps(asdict(stamp)) + "\n")
        _take_place(draft, folder, stamp=stamp)
    return folder


def write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _take_place(draft: Path, folder: Path, *, stamp: Stamp) -> None:
    try:
        if folder.exists() and not is_complete(folder, stamp):
            shutil.rmtree(folder)
        draft.rename(folder)
    except OSError as exc:
        if not is_complete(folder, stamp):  # otherwise another process was first with the same build
            raise LocalServerError(f"cannot put the built model at {folder}: {exc}") from exc


def _refuse_foreign_folder(folder: Path) -> None:
    if not folder.exists() or (folder / STAMP_FILE).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise LocalServerError(
            f"cannot build a model at {folder}: something else is there; remove it or choose another folder"
        )
