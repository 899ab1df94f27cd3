"""Fixtures of the data sets' tests."""

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of data."""
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    return tmp_path
