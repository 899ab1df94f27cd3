"""Bad files, full disks and folders that are none: a clear line, and nothing that was committed is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness.errors import ForeignFileError, NewerSchemaError, StoreError
from harness.store import schemas
from harness.store.results import ResultStore
from tests.store.made import epochs, filled, numbers, trial


def part(root: Path, number: int, table: str = "trials") -> Path:
    return root / table / "s" / f"{number:016x}-1.parquet"


@pytest.mark.parametrize("keep", [0, 1, 4, 100, -1])
def test_a_truncated_file_is_named_and_the_others_are_read(tmp_path: Path, keep: int) -> None:
    filled(tmp_path, range(3))
    bad = part(tmp_path, 1)
    bad.write_bytes(bad.read_bytes()[:keep])
    store = ResultStore(tmp_path)
    assert sorted(store.trials("s")["number"]) == [0, 2]
    (problem,) = store.problems
    assert problem.name == f"trials/s/{bad.name}"
    assert str(bad) in problem.why
    assert "truncated or not Parquet" in problem.why
    assert "\n" not in problem.why
    with pytest.raises(ForeignFileError, match=rf"{bad.name}.*harness verify"):
        store.require_readable("s")


def test_foreign_parquet_is_named(tmp_path: Path) -> None:
    filled(tmp_path, range(2))
    pd.DataFrame({"trial_id": ["x"]}).to_parquet(tmp_path / "trials" / "s" / "mine.parquet")
    pq.write_table(schemas.EPOCHS.empty_table(), part(tmp_path, 9))
    store = ResultStore(tmp_path)
    assert sorted(store.trials("s")["number"]) == [0, 1]
    whys = [problem.why for problem in store.problems]
    assert len(whys) == 2
    assert all("is not a 'trials' table of the harness" in why for why in whys)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    filled(tmp_path, range(2))
    (tmp_path / "trials" / "s" / "notes.txt").write_text("mine")
    store = ResultStore(tmp_path)
    assert len(store.trials("s")) == 2
    assert store.quarantine() == []


def test_quarantine_moves_what_cannot_be_read(tmp_path: Path) -> None:
    filled(tmp_path, range(4))
    for number, table in ((1, "trials"), (2, "epochs")):
        part(tmp_path, number, table).write_bytes(b"PAR1 no")
    store = ResultStore(tmp_path)
    moved = sorted(problem.name for problem in store.quarantine())
    assert moved == [f"epochs/s/{2:016x}-1.parquet", f"trials/s/{1:016x}-1.parquet"]
    for name in moved:
        assert (tmp_path / "quarantine" / name).read_bytes() == b"PAR1 no"
        assert not (tmp_path / name).exists()
    fresh = ResultStore(tmp_path)
    assert fresh.quarantine() == []
    assert sorted(fresh.trials("s")["number"]) == [0, 2, 3]
    fresh.require_readable("s")


def test_a_newer_schema_is_refused_and_left_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, range(2))
    newer = schemas.TRIALS.with_metadata(
        {"harness_table": "trials", "harness_schema": str(schemas.VERSION + 1)}
    )
    with monkeypatch.context() as patch:
        patch.setitem(schemas.TABLES, "trials", newer)
        ResultStore(tmp_path).start(trial(2))
    for read in (lambda store: store.trials(), lambda store: store.quarantine()):
        with pytest.raises(NewerSchemaError, match=r"has schema 3; this harness reads up to 2\. Upgrade"):
            read(ResultStore(tmp_path))
    assert part(tmp_path, 2).exists()


def test_a_part_that_vanishes_while_it_is_read_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader beside a driver that merges: every row, once."""
    filled(tmp_path, range(4))
    reader, names, merged = ResultStore(tmp_path), [], []
    listing = reader.files.names

    def then_merge(folder: str, suffix: str = "") -> list[str]:
        names.append(listing(folder, suffix))
        if not merged:
            merged.append(ResultStore(tmp_path).compact("s"))
        return names[-1]

    monkeypatch.setattr(reader.files, "names", then_merge)
    assert sorted(reader.trials("s")["number"]) == [0, 1, 2, 3]
    assert merged == [4]
    assert reader.problems == []


def test_the_results_root_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*results.*committed before is safe"):
        ResultStore(tmp_path / "results").start(trial(0, state="RUNNING"))
    assert ResultStore(tmp_path / "results").study_names() == []


def test_an_unknown_scheme() -> None:
    with pytest.raises(StoreError, match="results root nope://x"):
        ResultStore("nope://x")


FULL = """
import resource, signal, sys
from harness.errors import StoreError
from harness.store.results import ResultStore
from tests.store.made import epochs, trial
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
store = ResultStore(sys.argv[1])
try:
    store.commit(trial(3), epochs(2000))
except StoreError as error:
    print(error)
    sys.exit(7)
"""


@pytest.mark.parametrize("limit", [0, 1000, 9000])
def test_a_disk_that_is_full_in_mid_commit(tmp_path: Path, limit: int) -> None:
    """The kernel refuses bytes after a limit: nothing half written, what was there stays, and it goes on."""
    filled(tmp_path, range(3))
    command = [sys.executable, "-c", FULL, str(tmp_path), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 7, done.stderr
    assert "cannot write" in done.stdout
    assert "What was committed before is safe" in done.stdout
    store = ResultStore(tmp_path)
    assert store.quarantine() == []
    assert numbers(tmp_path) == [0, 1, 2]
    assert not list(tmp_path.rglob("*.tmp"))
    store.commit(trial(3), epochs())
    assert numbers(tmp_path) == [0, 1, 2, 3]
    assert len(store.epochs("s")) == 8
