"""Stores of several users or clusters become one: nothing lost, nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ForeignFileError, LockedError, StoreError
from harness.store.joining import join
from harness.store.lock import StudyLock
from harness.store.results import ResultStore
from harness.store.verify import verify
from tests.store.made import epochs, filled, launch, numbers, trial


def merge(into: Path, *sources: Path) -> int:
    return join(ResultStore(into), [ResultStore(source) for source in sources]).copied


def test_into_an_empty_store_and_twice(tmp_path: Path) -> None:
    filled(tmp_path / "a", range(3))
    assert merge(tmp_path / "b", tmp_path / "a") == 3
    assert merge(tmp_path / "b", tmp_path / "a") == 0
    left, right = ResultStore(tmp_path / "a"), ResultStore(tmp_path / "b")
    assert numbers(tmp_path / "b") == [0, 1, 2]
    assert right.trials("s").sort_values("number").equals(left.trials("s").sort_values("number"))
    assert len(right.epochs("s")) == len(left.epochs("s")) == 6
    assert right.studies("s")["fingerprint"].tolist() == ["f"]


def test_the_halves_of_a_study(tmp_path: Path) -> None:
    filled(tmp_path / "a", range(4))
    filled(tmp_path / "b", range(2, 6))
    assert merge(tmp_path / "a", tmp_path / "b") == 2
    assert numbers(tmp_path / "a") == list(range(6))
    assert len(ResultStore(tmp_path / "a").epochs("s")) == 12


def test_another_fingerprint_is_refused_and_nothing_copied(tmp_path: Path) -> None:
    filled(tmp_path / "a", range(2))
    filled(tmp_path / "b", range(2, 4), fingerprint="g")
    with pytest.raises(StoreError, match="another fingerprint"):
        merge(tmp_path / "a", tmp_path / "b")
    assert numbers(tmp_path / "a") == [0, 1]


def test_a_trial_that_ended_there_and_was_cut_here(tmp_path: Path) -> None:
    here = filled(tmp_path / "a", range(1))
    here.commit(trial(1, state="INTERRUPTED", reason="driver"), epochs(1))
    filled(tmp_path / "b", range(2))
    assert merge(tmp_path / "a", tmp_path / "b") == 1
    assert merge(tmp_path / "a", tmp_path / "b") == 0
    rows = ResultStore(tmp_path / "a").trials("s")
    mine = rows[rows["number"] == 1].set_index("attempt")["state"].to_dict()
    assert mine == {1: "INTERRUPTED", 2: "COMPLETE"}
    counts = (
        ResultStore(tmp_path / "a").epochs("s").query(f"trial_id == '{1:016x}'").groupby("attempt").size()
    )
    assert counts.to_dict() == {1: 1, 2: 2}


def test_other_trials_under_the_same_numbers_get_free_ones(tmp_path: Path) -> None:
    """Two clusters asked for themselves: both their trials count, each with a number of its own."""
    filled(tmp_path / "a", range(3))
    there = ResultStore(tmp_path / "b")
    there.launch(launch())
    for number in range(3):
        there.commit(trial(number, trial_id=f"{100 + number:016x}"), epochs())
    there.commit(trial(0, phase="final", trial_id="f" * 16), epochs())
    assert merge(tmp_path / "a", tmp_path / "b") == 4
    rows = ResultStore(tmp_path / "a").trials("s")
    assert not rows.duplicated(["cell", "phase", "number"]).any()
    assert sorted(rows.query("phase == 'search'")["number"]) == list(range(6))


def test_running_attempts_stay_where_they_run(tmp_path: Path) -> None:
    there = filled(tmp_path / "b", range(1))
    there.start(trial(1, state="RUNNING"))
    assert merge(tmp_path / "a", tmp_path / "b") == 1


def test_a_merge_that_was_cut_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path / "b", range(3))
    here = ResultStore(tmp_path / "a")
    write = here.files.write

    def cut(name: str, data: bytes, *, durable: bool = True) -> None:
        if name.startswith("trials/"):
            raise KeyboardInterrupt
        write(name, data, durable=durable)

    monkeypatch.setattr(here.files, "write", cut)
    with pytest.raises(KeyboardInterrupt):
        join(here, [ResultStore(tmp_path / "b")])
    assert ResultStore(tmp_path / "a").epochs("s").empty  # no rows of attempts that are not there
    assert merge(tmp_path / "a", tmp_path / "b") == 3
    assert len(ResultStore(tmp_path / "a").epochs("s")) == 6


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no study of the harness"):
        merge(tmp_path / "a", tmp_path / "absent")


def test_an_unreadable_file_here_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "a", range(2))
    filled(tmp_path / "b", range(4))
    bad = tmp_path / "a" / "trials" / "s" / f"{1:016x}-1.parquet"
    bad.write_bytes(b"PAR1")
    with pytest.raises(ForeignFileError, match=bad.name):
        merge(tmp_path / "a", tmp_path / "b")
    assert numbers(tmp_path / "a") == [0]


def test_not_into_a_study_that_runs(tmp_path: Path) -> None:
    store = filled(tmp_path / "a", range(1))
    filled(tmp_path / "b", range(2))
    with StudyLock(store.files, "s"), pytest.raises(LockedError, match="is being run by pid"):
        merge(tmp_path / "a", tmp_path / "b")
    assert merge(tmp_path / "a", tmp_path / "b") == 1


def test_stores_that_disagree_say_so_and_neither_is_taken_silently(tmp_path: Path) -> None:
    here = filled(tmp_path / "a", range(3))
    there = filled(tmp_path / "b", range(2))
    there.commit(trial(2, value=0.25, values=[0.25]), epochs())
    done = join(here, [there])
    assert done.copied == 0
    (line,) = done.disagreements
    assert f"trial {2:016x} of 's' is COMPLETE 0.5" in line
    assert f"and COMPLETE 0.25 (0 epochs) in {tmp_path / 'b'}: the first stays" in line
    assert ResultStore(tmp_path / "a").trials("s").set_index("number").loc[2, "value"] == 0.5


def test_a_failure_here_and_a_result_there_disagree(tmp_path: Path) -> None:
    here, there = filled(tmp_path / "a", range(1)), filled(tmp_path / "b", range(2))
    here.commit(trial(1, state="FAILED", reason="error"), epochs(1))
    (line,) = join(here, [there]).disagreements
    assert "is FAILED (0 epochs) in" in line
    assert ResultStore(tmp_path / "a").trials("s").set_index("number").loc[1, "state"] == "FAILED"


def test_the_launches_of_a_merge_that_was_cut_come_at_the_next(tmp_path: Path) -> None:
    there = filled(tmp_path / "b", range(1))
    there.launch(launch(number=2))
    ResultStore(tmp_path / "a").launch(launch())
    merge(tmp_path / "a", tmp_path / "b")
    assert ResultStore(tmp_path / "a").studies("s")["launch"].tolist() == [1, 2]


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("table", ["trials", "epochs"])
def test_one_bad_file_there_costs_what_it_held(tmp_path: Path, table: str, merged: bool) -> None:
    """The rest comes over, the file is named; set aside there, it leaves trials without their curves."""
    there = ResultStore(tmp_path / "b")
    there.launch(launch())
    for number in range(4):
        there.commit(trial(number, epochs=2), epochs())
        if merged and number == 1:
            there.compact("s")
    bad = next((tmp_path / "b" / table / "s").glob("all-*" if merged else f"{2:016x}-1.parquet"))
    bad.write_bytes(b"PAR1 no")
    done = join(ResultStore(tmp_path / "a"), [ResultStore(tmp_path / "b")])
    left = [2, 3] if merged else [0, 1, 3]
    assert numbers(tmp_path / "a") == left
    assert done.copied == len(left)
    (line,) = done.unread
    assert bad.name in line
    assert "left out" in line
    assert len(ResultStore(tmp_path / "a").epochs("s")) == 2 * len(left)
    verify(ResultStore(tmp_path / "b"))
    assert merge(tmp_path / "a", tmp_path / "b") == (0 if table == "trials" else 4 - len(left))


def test_a_study_whose_launches_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    there = filled(tmp_path / "b", range(2))
    there.launch(launch(study="t"))
    there.commit(trial(7, study="t"), [])
    (bad,) = (tmp_path / "b" / "studies" / "s").iterdir()
    bad.write_bytes(b"")
    done = join(ResultStore(tmp_path / "a"), [ResultStore(tmp_path / "b")])
    assert done.copied == 1
    assert ResultStore(tmp_path / "a").study_names() == ["t"]
    assert [bad.name in line for line in done.unread] == [True]
