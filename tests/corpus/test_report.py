"""The document says what the library does today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.report import main

pytestmark = pytest.mark.corpus


def test_the_table_of_families_is_current() -> None:
    document = Path(__file__).parents[2] / "docs" / "bridging.md"
    assert document.read_text() == main(), "write it anew: .venv/bin/python -m tests.corpus.report > docs/bridging.md"
