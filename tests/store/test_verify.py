"""Verify mends what an earlier version left behind, and says what it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.store import tables
from harness.store.lock import StudyLock
from harness.store.results import ResultStore
from harness.store.verify import verify
from tests.store.made import epochs, filled, trial


def doubled(root: Path, *, merged: int) -> ResultStore:
    """A store as drivers of version 1 left it: epochs of four trials in ``merged`` files that all count."""
    store = filled(root, range(4))
    rows = store.parts.counted("epochs", "s")
    whole = tables.concat("epochs", [part for _, part in rows])
    names = [name for name, _ in rows]
    for number in range(1, merged + 1):
        store.files.write(f"epochs/s/all-{number:06d}.parquet", tables.to_bytes(whole, names))
    for name in names:
        store.files.delete(f"epochs/s/{name}")
    return ResultStore(root)


@pytest.mark.parametrize("merged", [2, 3])
def test_rows_that_are_there_twice_become_one(tmp_path: Path, merged: int) -> None:
    store = doubled(tmp_path, merged=merged)
    assert len(store.epochs("s")) == 8 * merged
    found = verify(store)
    assert found.mended == [f"study 's' had {8 * (merged - 1)} rows twice: they are there once now"]
    assert found.aside == found.left == []
    assert len(ResultStore(tmp_path).epochs("s")) == 8
    assert verify(ResultStore(tmp_path)).mended == []


def test_rows_that_a_compact_of_version_1_made_one_file_of(tmp_path: Path) -> None:
    store = doubled(tmp_path, merged=1)
    ((name, part),) = store.parts.counted("epochs", "s")
    store.files.write(f"epochs/s/{name}", tables.to_bytes(tables.concat("epochs", [part, part])))
    assert len(store.epochs("s")) == 16
    assert len(verify(ResultStore(tmp_path)).mended) == 1
    assert len(ResultStore(tmp_path).epochs("s")) == 8


def test_compact_mends_them_as_well(tmp_path: Path) -> None:
    doubled(tmp_path, merged=3).compact("s")
    assert len(ResultStore(tmp_path).epochs("s")) == 8


def test_a_study_that_runs_is_left_alone_and_named(tmp_path: Path) -> None:
    store = doubled(tmp_path, merged=2)
    with StudyLock(store.files, "s"):
        (line,) = verify(store).left
    assert "study 's' has 8 rows twice, and cannot be mended now" in line
    assert len(ResultStore(tmp_path).epochs("s")) == 16


def test_one_attempt_that_ended_in_two_ways_is_left_and_named(tmp_path: Path) -> None:
    store = filled(tmp_path, range(2))
    row = trial(1, value=0.25, values=[0.25])
    store.files.write("trials/s/all-000009.parquet", tables.to_bytes(tables.to_table("trials", [row])))
    found = verify(ResultStore(tmp_path))
    assert found.mended == []
    (line,) = found.left
    assert line.startswith(f"trial {1:016x} of 's' ended more than once")
    assert len(ResultStore(tmp_path).trials("s")) == 3


def test_what_was_set_aside_before_stays(tmp_path: Path) -> None:
    store = filled(tmp_path, range(2))
    name = f"{1:016x}-1.parquet"
    for content in (b"one", b"two", b"three"):
        (tmp_path / "trials" / "s" / name).write_bytes(content)
        assert len(verify(ResultStore(tmp_path)).aside) == 1
    kept = {path.read_bytes() for path in (tmp_path / "quarantine" / "trials" / "s").iterdir()}
    assert kept == {b"one", b"two", b"three"}
    store.commit(trial(1), epochs())


def test_the_command_says_it_and_ends_with_1(tmp_path: Path) -> None:
    doubled(tmp_path, merged=2)
    done = CliRunner().invoke(app, ["verify", "--results", str(tmp_path)])
    assert done.exit_code == 1
    assert "had 8 rows twice" in done.output
    again = CliRunner().invoke(app, ["verify", "--results", str(tmp_path)])
    assert again.exit_code == 0
    assert "4 attempts in 1 studies; 0 files set aside" in again.output
