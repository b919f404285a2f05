from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import verifiers_tito as vf
from verifiers_tito.results.journal import Journal, encode_line, read_line, read_lines

LINES = [{"n": n, "text": "ä\n" * n} for n in range(5)]
WHOLE = b"".join(map(encode_line, LINES))


def continued(path: Path) -> Journal:
    return Journal(path, end=max((line.end for line in read_lines(path)), default=0))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(st.integers(0, len(WHOLE)), st.binary(max_size=3))
def test_cut_at_any_byte_all_whole_lines_are_there_and_the_next_one_is_too(
    tmp_path: Path, cut: int, rubbish: bytes
) -> None:
    path = tmp_path / "lines"
    path.write_bytes(WHOLE[:cut] + rubbish.replace(b"\n", b""))
    whole = [line for line in LINES if len(b"".join(map(encode_line, LINES[: line["n"] + 1]))) <= cut]
    assert [line.value for line in read_lines(path)] == whole
    journal = continued(path)
    journal.append([{"n": 99}])
    journal.close()
    assert [line.value for line in read_lines(path)] == [*whole, {"n": 99}]


def test_lines_are_found_again_where_append_says_they_begin(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    journal = continued(path)
    starts = [*journal.append(LINES[:2]), *journal.append(LINES[2:])]
    journal.close()
    assert [read_line(path, start) for start in starts] == LINES
    assert [line.start for line in read_lines(path)] == starts


def test_a_line_of_zeros_at_the_end_is_what_a_crash_of_the_machine_leaves(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(WHOLE + b"\0" * 50 + b"\n")
    assert [line.value for line in read_lines(path)] == LINES


@pytest.mark.parametrize("line", [b"{oops\n", b"[1]\n", b"\xff\n"])
def test_a_line_in_the_middle_that_cannot_be_read_is_told(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(encode_line(LINES[0]) + line + encode_line(LINES[1]))
    with pytest.raises(vf.ResultsError, match=r"lines, line 2 .*followed by others"):
        list(read_lines(path))


def test_a_disk_that_takes_no_more_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines"
    journal = continued(path)
    journal.append(LINES[:1])
    really = vf.results.journal.os.pwrite

    def full(file: int, data: memoryview, offset: int) -> int:
        if offset > 20:
            raise OSError(28, "No space left on device")
        return really(file, data[:10], offset)

    with monkeypatch.context() as patch:
        patch.setattr("verifiers_tito.results.journal.os.pwrite", full)
        with pytest.raises(vf.InfraError, match=r"bytes cannot be written at .*No space left"):
            journal.append(LINES[1:])
    journal.append(LINES[1:])
    journal.close()
    assert [line.value for line in read_lines(path)] == LINES
