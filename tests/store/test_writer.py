"""Commits in the background: in order, and an error stops everything at the next call."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store.results import ResultStore
from harness.store.writer import Writer
from tests.store.made import epochs, numbers, trial


def test_in_order(tmp_path: Path) -> None:
    writer = Writer(ResultStore(tmp_path))
    for number in range(20):
        writer.start(trial(number, state="RUNNING"))
        writer.commit(trial(number), epochs)
    writer.close()
    writer.close()
    assert numbers(tmp_path) == list(range(20))
    assert set(ResultStore(tmp_path).trials("s")["state"]) == {"COMPLETE"}


def test_after_an_error_nothing_is_written_and_every_call_says_so(tmp_path: Path) -> None:
    writer = Writer(ResultStore(tmp_path))
    writer.start(trial(0, state="RUNNING"))
    writer.commit(trial(1), lambda: (_ for _ in ()).throw(StoreError("full")))
    with pytest.raises(StoreError, match="full"):
        writer.close()
    with pytest.raises(StoreError, match="full"):
        writer.start(trial(2, state="RUNNING"))
    assert numbers(tmp_path) == [0]
