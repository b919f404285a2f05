"""A file of JSON lines that only grows, and that a killed process leaves readable.

A line is written with one call and counts once its line break is there. What a crash leaves of a last line is cut
before the next is appended. Written lines survive the end of the process at once, and that of the machine after `sync`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from verifiers_tito.errors import InfraError, ResultsError
from verifiers_tito.results.json_values import JsonValues

_ENCODER = msgspec.json.Encoder(enc_hook=lambda value: JsonValues().of(value, ""))
"""Of values that are JSON already, but for arrays of ids that an environment may have put into a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`value` of the line that goes from byte `start` to byte `end`, its line break included."""

    start: int
    end: int
    value: dict[str, Any]


def encode_line(value: dict[str, Any]) -> bytes:
    return _ENCODER.encode(value) + b"\n"


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file (none if it is not there) without a torn last one. Raises `ResultsError` for any other line
    that cannot be read."""
    if not path.exists():
        return
    start, unreadable = 0, None
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if unreadable is not None:
                raise ResultsError(f"{path}, {unreadable}: it is followed by others, so no crash of ours left it so")
            try:
                value = msgspec.json.decode(line) if line.endswith(b"\n") else None
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                value, unreadable = None, f"line {number} cannot be read ({error})"
            if isinstance(value, dict):
                yield Line(start=start, end=start + len(line), value=value)
            elif unreadable is None:
                unreadable = f"line {number} is no JSON object"
            start += len(line)


def read_line(path: Path, start: int) -> dict[str, Any]:
    """The line that begins at byte `start`."""
    with path.open("rb") as file:
        file.seek(start)
        value: dict[str, Any] = msgspec.json.decode(file.readline())
    return value


class Journal:
    """Appends to a file whose last whole line ends at byte `end`; what stands behind it is cut off."""

    def __init__(self, path: Path, *, end: int) -> None:
        self.path = path
        self._end = end
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._file, end)

    def append(self, values: Sequence[dict[str, Any]]) -> list[int]:
        """Writes the lines; returns where each begins. Raises `InfraError` where the disk refuses them: then none is
        there."""
        lines = [encode_line(value) for value in values]
        starts = [self._end + sum(map(len, lines[:number])) for number in range(len(lines))]
        data = memoryview(b"".join(lines))
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._file, data[written:], self._end + written)
        except OSError as error:
            os.ftruncate(self._file, self._end)
            raise InfraError(f"{self.path}: {len(data)} bytes cannot be written at {self._end}: {error}") from error
        self._end += len(data)
        return starts

    def sync(self) -> None:
        """Returns when all that was written is on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        try:
            self.sync()
        finally:
            os.close(self._file)
