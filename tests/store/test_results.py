"""What is written is read back whole, once, and cast to the schema."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness.errors import LockedError
from harness.store import results, tables
from harness.store.lock import StudyLock
from harness.store.results import ResultStore
from harness.store.schemas import TRIALS, logical
from tests.store.made import epochs, filled, launch, numbers, trial


def test_all_null_columns_keep_their_types(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.start(trial(0, state="RUNNING"))
    (part,) = (tmp_path / "trials" / "s").glob("*.parquet")
    schema = pq.read_schema(part)
    assert schema.field("value").type == TRIALS.field("value").type
    for field in TRIALS:
        assert schema.field(field.name).type == field.type
    frame = store.trials("s")
    assert list(frame.columns) == logical("trials")
    assert frame["started_at"].dt.tz is not None


def test_an_empty_store_has_empty_tables_with_all_columns(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "nowhere")
    assert list(store.trials().columns) == logical("trials")
    assert list(store.epochs("s").columns) == logical("epochs")
    assert list(store.studies().columns) == logical("studies")
    assert store.study_names() == []
    assert not (tmp_path / "nowhere").exists()


def test_one_row_an_attempt(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.start(trial(0, state="RUNNING"))
    store.flush(trial(0), epochs(1))
    assert store.trials("s")["state"].tolist() == ["RUNNING"]
    store.commit(trial(0, state="INTERRUPTED"), epochs(1))
    store.start(trial(0, state="RUNNING", attempt=2))
    store.commit(trial(0, attempt=2), epochs(3))
    rows = store.trials("s").sort_values("attempt")
    assert rows["state"].tolist() == ["INTERRUPTED", "COMPLETE"]
    assert store.epochs("s").groupby("attempt").size().to_dict() == {1: 1, 2: 3}


def test_the_row_is_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs reach the disk before the row that says they are complete."""
    store, order = ResultStore(tmp_path), []
    write = store.files.write

    def noted(name: str, data: bytes, *, durable: bool = True) -> None:
        order.append((name.split("/")[0], durable))
        write(name, data, durable=durable)

    monkeypatch.setattr(store.files, "write", noted)
    store.commit(trial(0), epochs())
    assert order == [("epochs", True), ("trials", True)]


def test_trials_of_several_studies_are_one_table_for_pandas(tmp_path: Path) -> None:
    store = filled(tmp_path, range(3))
    store.commit(trial(0, study="other", params={"name": "lif"}, searched=["name"]), epochs())
    store.compact("s")
    store.commit(trial(7), epochs())
    frame = pd.read_parquet(tmp_path / "trials")
    assert len(frame) == 5
    assert frame.groupby("study").size().to_dict() == {"other": 1, "s": 4}
    assert set(TRIALS.names) <= set(frame.columns)
    assert len(pd.read_parquet(tmp_path / "epochs")) == 10


def test_values_come_back_as_what_they_were(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    given = {"a": 1, "b": 1.0, "c": True, "d": "1", "e": "", "f": -0.5}
    store.commit(trial(0, params=given, variant={}, metadata={"x": {"y": [1.0, "z"]}, "n": 2.0}), [])
    row = store.trials("s").iloc[0]
    assert [(k, v, type(v)) for k, v in row["params"].items()] == [(k, v, type(v)) for k, v in given.items()]
    assert (row["variant"], row["metadata"]) == ({}, {"n": 2.0, "x": {"y": [1.0, "z"]}})
    assert row["searched"] == ["lr"]


def test_every_file_has_the_columns_of_its_table(tmp_path: Path) -> None:
    store = filled(tmp_path, range(2))
    store.commit(trial(5, study="other", params={"tau": 2.0}, searched=["tau"]), [])
    store.compact("s")
    for path in (tmp_path / "trials").rglob("*.parquet"):
        assert pq.read_schema(path).equals(TRIALS)


def test_a_lost_value_is_null_and_nan_is_never_invented(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.commit(trial(0, state="FAILED", reason="non-finite"), [])
    raw = pq.read_table(tmp_path / "trials" / "s" / f"{0:016x}-1.parquet")
    assert raw["value"].null_count == 1
    assert np.isnan(store.trials("s")["value"].iloc[0])


def test_columns_read_alone(tmp_path: Path) -> None:
    filled(tmp_path, range(2))
    frame = ResultStore(tmp_path).trials("s", ["trial_id", "state"])
    assert list(frame.columns) == ["trial_id", "state"]


class TestCompact:
    def test_merges_what_is_finished(self, tmp_path: Path) -> None:
        store = filled(tmp_path, range(5))
        store.start(trial(5, state="RUNNING"))
        before = store.trials("s").sort_values("number").reset_index(drop=True)
        assert store.compact("s") == 5
        assert len(list((tmp_path / "trials" / "s").glob("*.parquet"))) == 2
        assert len(list((tmp_path / "epochs" / "s").glob("*.parquet"))) == 1
        after = ResultStore(tmp_path).trials("s").sort_values("number").reset_index(drop=True)
        pd.testing.assert_frame_equal(before, after)
        assert len(store.epochs("s")) == 10
        store.commit(trial(5), epochs())
        assert numbers(tmp_path) == list(range(6))

    def test_again_and_again(self, tmp_path: Path) -> None:
        store = filled(tmp_path, range(3))
        assert store.compact("s") == 3
        assert store.compact("s") == 0
        store.commit(trial(3), epochs())
        assert store.compact("s") == 2
        assert numbers(tmp_path) == [0, 1, 2, 3]
        assert len(ResultStore(tmp_path).epochs("s")) == 8

    def test_parts_merge_by_themselves(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(results, "MERGE_AT", 4)
        filled(tmp_path, range(10))
        names = sorted(path.name for path in (tmp_path / "trials" / "s").glob("*.parquet"))
        assert [name for name in names if name.startswith("all-")] == [
            "all-000001.parquet",
            "all-000002.parquet",
        ]
        assert len(names) == 4
        assert numbers(tmp_path) == list(range(10))

    def test_parts_of_earlier_drivers_merge_as_well(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Drivers that each end before a merge must not leave ten thousand files."""
        monkeypatch.setattr(results, "MERGE_AT", 4)
        for start in range(0, 12, 3):
            filled(tmp_path, range(start, start + 3))
        assert len(list((tmp_path / "trials" / "s").glob("*.parquet"))) < 6
        assert numbers(tmp_path) == list(range(12))


class TestCrash:
    """A crash between writing a merged file and deleting what it stands for counts nothing twice."""

    @staticmethod
    def compact_without(
        monkeypatch: pytest.MonkeyPatch, store: ResultStore, allowed: int, table: str = "trials"
    ) -> None:
        """Compact, and die after some deletions in a table."""
        delete, left = store.files.delete, [allowed]

        def dying(name: str) -> None:
            if name.startswith(table):
                if left[0] == 0:
                    raise KeyboardInterrupt
                left[0] -= 1
            delete(name)

        with monkeypatch.context() as patch:
            patch.setattr(store.files, "delete", dying)
            with pytest.raises(KeyboardInterrupt):
                store.compact("s")

    @pytest.mark.parametrize("table", ["trials", "epochs"])
    @pytest.mark.parametrize("allowed", [0, 1, 3])
    def test_parts_left_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: int, table: str
    ) -> None:
        store = filled(tmp_path, range(5))
        self.compact_without(monkeypatch, store, allowed, table)
        assert numbers(tmp_path) == list(range(5))
        assert len(ResultStore(tmp_path).epochs("s")) == 10

    @pytest.mark.parametrize("table", ["trials", "epochs"])
    def test_a_merged_file_left_behind_by_a_later_merge(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
    ) -> None:
        store = filled(tmp_path, range(3))
        store.compact("s")
        store.commit(trial(3), epochs())
        self.compact_without(monkeypatch, store, 0, table)
        assert numbers(tmp_path) == [0, 1, 2, 3]
        assert len(ResultStore(tmp_path).epochs("s")) == 8

    @pytest.mark.parametrize("table", ["trials", "epochs"])
    def test_parts_left_behind_and_then_merged_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
    ) -> None:
        store = filled(tmp_path, range(4))
        self.compact_without(monkeypatch, store, 1, table)
        again = ResultStore(tmp_path)
        again.commit(trial(4), epochs())
        again.compact("s")
        assert numbers(tmp_path) == list(range(5))
        assert len(ResultStore(tmp_path).epochs("s")) == 10
        again.compact("s")
        assert len(list((tmp_path / "trials" / "s").glob("*.parquet"))) == 1
        assert len(list((tmp_path / "epochs" / "s").glob("*.parquet"))) == 1

    def test_a_file_written_aside_is_no_file(self, tmp_path: Path) -> None:
        filled(tmp_path, range(2))
        (tmp_path / "trials" / "s" / ".x.parquet.12345678.tmp").write_bytes(b"half")
        assert numbers(tmp_path) == [0, 1]
        assert len(pd.read_parquet(tmp_path / "trials")) == 2


@pytest.mark.parametrize("scheme", ["path", "file", "mock"])
def test_any_root_that_pyarrow_knows(tmp_path: Path, scheme: str) -> None:
    """``mock`` is pyarrow's file system in memory: it takes the way of every remote root."""
    root = {"path": str(tmp_path / "r"), "file": f"file://{tmp_path}/r", "mock": "mock:///r"}[scheme]
    store = filled(root, range(3))
    store.start(trial(3, state="RUNNING"))
    assert store.study_names() == ["s"]
    assert store.compact("s") == 3
    store.commit(trial(3), epochs())
    store.launch(launch(number=2))
    assert sorted(store.trials("s")["number"]) == [0, 1, 2, 3]
    assert len(store.epochs()) == 8
    assert store.studies("s")["launch"].tolist() == [1, 2]
    assert store.close_stale("s", "driver") == 0
    with StudyLock(store.files, "s"), pytest.raises(LockedError, match="is being run by pid"):
        StudyLock(store.files, "s").__enter__()
    with StudyLock(store.files, "s"):
        pass
    if scheme != "mock":
        assert numbers(root) == [0, 1, 2, 3]
        assert len(pd.read_parquet(tmp_path / "r" / "trials")) == 4


def test_close_stale(tmp_path: Path) -> None:
    store = filled(tmp_path, range(2))
    store.start(trial(2, state="RUNNING"))
    assert store.close_stale("s", "driver") == 1
    rows = ResultStore(tmp_path).trials("s").set_index("number")
    assert rows.loc[2, "state"] == "INTERRUPTED"
    assert rows.loc[2, "reason"] == "driver"
    assert rows.loc[2, "value"] is None or np.isnan(rows.loc[2, "value"])


def test_rows_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some trials' epochs over row groups, parts and merged files equal those of the whole table."""
    monkeypatch.setattr(tables, "GROUP_ROWS", 7)
    store = filled(tmp_path, range(12))
    store.compact("s")
    store.commit(trial(20), epochs())
    whole = store.epochs("s")
    ids = [f"{number:016x}" for number in (0, 5, 11, 20)]
    found = store.epochs("s", only={"trial_id": ids, "metric": ["accuracy"]})
    expected = whole[whole["trial_id"].isin(ids)].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected)
    assert len(found) == 8
    narrow = store.epochs("s", ["trial_id", "value"], only={"trial_id": ids})
    pd.testing.assert_frame_equal(narrow, expected[["trial_id", "value"]])
    assert store.epochs("s", only={"metric": ["no such"]}).empty
    assert store.epochs("s", only={"trial_id": []}).empty


@pytest.mark.parametrize("compact", [False, True])
def test_files_from_before_a_column_came_are_read_beside_new_ones(tmp_path: Path, compact: bool) -> None:
    store = filled(tmp_path, range(2))
    for table in ("trials", "epochs"):
        old = tmp_path / table / "s" / f"{0:016x}-1.parquet"
        without = pq.read_table(old, partitioning=None).drop_columns(["data_wait_s"])
        old.write_bytes(tables.to_bytes(without))
    store.commit(trial(5, data_wait_s=0.25), epochs())
    if compact:
        store.compact("s")
    again = ResultStore(tmp_path)
    waits = again.trials("s").set_index("number")["data_wait_s"]
    assert waits.isna().tolist() == [True, True, False]
    assert waits[5] == 0.25
    assert len(again.epochs("s", ["epoch", "data_wait_s"])) == 6
    assert again.problems == []
