"""What a study refuses, extends and copies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.engine.local import LocalEngine
from harness.errors import ForeignFileError, LockedError, ResumeError, StoreError
from harness.store.lock import StudyLock
from harness.store.results import ResultStore
from harness.study import Study
from harness.study.director import StudyDirector
from harness.studyfile.plan_rendering import describe_plan
from harness.studyfile.values import StudySpec
from harness.trial import Phase, TrialSpec
from tests.conftest import MakeStudy
from tests.tables import assert_whole

SMALL = ("search.trials=2", "search.epochs=2", "confirm.seeds=0", "final.seeds=1", "search.pruner=none")


def run(spec: StudySpec, root: Path) -> int:
    return Study(spec, root).run(LocalEngine()).ran


def test_changed_settings_are_refused_with_the_difference(make_study: MakeStudy, tmp_path: Path) -> None:
    run(make_study(*SMALL), tmp_path / "r")
    with pytest.raises(ResumeError) as refusal:
        run(make_study(*SMALL, "search.epochs=3", "fixed.batch_size=4"), tmp_path / "r")
    text = str(refusal.value)
    assert "search.epochs: 2 -> 3" in text
    assert "batch_size" in text
    assert "--fork" in text


@pytest.mark.parametrize(
    "change", ["final.seeds=2", "resources={cpus: 1}", "checkpoint_every=1", "target=0.9"]
)
def test_what_changes_no_numbers_may_change(make_study: MakeStudy, tmp_path: Path, change: str) -> None:
    run(make_study(*SMALL), tmp_path / "r")
    run(make_study(*SMALL, change), tmp_path / "r")


def test_fork_keeps_the_trials_that_still_fit(make_study: MakeStudy, tmp_path: Path) -> None:
    run(make_study(*SMALL), tmp_path / "r")
    narrower = make_study(*SMALL, "space.lr={float: [0.001, 0.9], log: true}", "name=toy2")
    summary = Study(narrower, tmp_path / "r").run(LocalEngine(), fork_of="toy")
    assert summary.finished == 6
    assert summary.ran < 6
    assert_whole(tmp_path / "r", 6, "toy2")
    assert_whole(tmp_path / "r", 6, "toy")


def test_fork_of_nothing(make_study: MakeStudy, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no study 'absent'"):
        Study(make_study(*SMALL), tmp_path / "r").run(LocalEngine(), fork_of="absent")


def test_a_second_driver_is_refused_and_a_dead_one_is_taken_over(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    store = ResultStore(tmp_path / "r")
    with (
        StudyLock(store.files, "toy"),
        pytest.raises(LockedError, match="is being run by pid"),
    ):
        run(make_study(*SMALL), tmp_path / "r")
    lock = tmp_path / "r" / "studies" / "toy" / ".lock.json"
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 1, "heartbeat": 0.0}))
    assert run(make_study(*SMALL), tmp_path / "r") == 6


def test_truncated_rows_are_named_and_run_again_after_verify(make_study: MakeStudy, tmp_path: Path) -> None:
    root = tmp_path / "r"
    run(make_study(*SMALL), root)
    part = sorted((root / "trials" / "toy").glob("*.parquet"))[0]
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(ForeignFileError, match=part.name):
        run(make_study(*SMALL), root)
    assert [problem.name for problem in ResultStore(root).quarantine()] == [f"trials/toy/{part.name}"]
    assert run(make_study(*SMALL), root) == 1
    assert_whole(root, 6)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_row_of_the_search_is_run_again_and_nothing_else(
    make_study: MakeStudy, tmp_path: Path, lost: int
) -> None:
    """Its number is asked again, so it is the same trial, the winner stays, and test is not read again."""
    spec = make_study(*SMALL, "search.trials=4")
    run(spec, tmp_path / "r")
    store = ResultStore(tmp_path / "r")
    before = store.trials("toy")
    gone = before[(before["phase"] == "search") & (before["number"] == lost)]
    for trial_id in gone["trial_id"]:
        (found,) = (tmp_path / "r" / "trials" / "toy").glob(f"{trial_id}-1.parquet")
        found.unlink()
    assert run(spec, tmp_path / "r") == len(gone) == 2
    after = ResultStore(tmp_path / "r").trials("toy")
    assert sorted(after["trial_id"]) == sorted(before["trial_id"])


def test_all_cells_get_the_same_final_seeds(make_study: MakeStudy, tmp_path: Path) -> None:
    run(make_study(*SMALL, "final.seeds=3"), tmp_path / "r")
    rows = ResultStore(tmp_path / "r").trials("toy")
    final = rows[rows["phase"] == "final"]
    seeds = final.groupby("cell")["seed"].agg(sorted).tolist()
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 3
    assert not set(seeds[0]) & set(rows[rows["phase"] == "search"]["seed"])


def test_a_limit_on_what_a_network_has_not_is_kept(make_study: MakeStudy, tmp_path: Path) -> None:
    """A network without spiking neurons fires no spikes; a study with one beside others goes on."""
    summary = Study(make_study(*SMALL, "limits={spikes: 1.0e5}"), tmp_path / "r").run(LocalEngine())
    assert (summary.finished, summary.failed, summary.planned) == (6, 0, 6)


def test_one_configuration_is_planned_as_it_runs(make_study: MakeStudy, tmp_path: Path) -> None:
    changes = (*SMALL, "space.lr=null", "confirm={top: 3, seeds: 2}")
    spec = make_study(*changes)
    snapshots = []

    @contextmanager
    def watch(director: StudyDirector) -> Iterator[None]:
        snapshots.append(director.snapshot())
        yield

    summary = Study(spec, tmp_path / "r").run(LocalEngine(), watch=watch)
    assert describe_plan(spec).trials == snapshots[0].planned == summary.planned == summary.finished == 4


def test_a_launch_row_set_aside_hides_no_other_settings(make_study: MakeStudy, tmp_path: Path) -> None:
    root = tmp_path / "r"
    run(make_study(*SMALL), root)
    (launch,) = (root / "studies" / "toy").glob("*.parquet")
    launch.write_bytes(launch.read_bytes()[:50])
    assert len(ResultStore(root).quarantine()) == 1
    with pytest.raises(ResumeError, match="trials of other settings"):
        run(make_study(*SMALL, "fixed.batch_size=4"), root)
    assert run(make_study(*SMALL), root) == 0


def test_an_id_is_pinned(make_study: MakeStudy) -> None:
    cell = make_study(*SMALL).cells[0]
    spec = TrialSpec(
        dataset=cell.dataset,
        pipeline="toy",
        params=(("lr", 0.1), ("width", 2)),
        seed=1,
        phase=Phase.SEARCH,
        epochs=2,
        objectives=make_study(*SMALL).objectives,
    )
    assert spec.id == "8786f269e2fb6897"


def test_a_search_that_goes_on_counts_the_trials_of_earlier_winners(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    root, counts = tmp_path / "r", set()

    @contextmanager
    def watch(director: StudyDirector) -> Iterator[None]:
        yield
        now = director.snapshot()
        counts.add((now.finished, now.planned))

    Study(make_study(*SMALL, "confirm={top: 2, seeds: 1}"), root).run(LocalEngine(), watch=watch)
    longer = make_study(*SMALL, "confirm={top: 2, seeds: 1}", "search.trials=9")
    summary = Study(longer, root).run(LocalEngine(), watch=watch)
    assert all(finished == planned for finished, planned in counts)
    assert summary.finished == len(ResultStore(root).trials("toy")) > 9 * 2 + 4 + 2
