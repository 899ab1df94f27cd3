"""One contract for both engines: however a trial ends, it ends in one row with a state and a reason."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from harness.engine.base import Engine
from harness.engine.local import LocalEngine
from harness.engine.pool import RayEngine
from harness.engine.tune import TuneEngine
from harness.errors import ResourceError
from harness.store.results import ResultStore
from harness.study import Study
from tests.conftest import MakeStudy
from tests.tables import assert_whole

ONE = ("search.pruner=none", "confirm.seeds=0", "final.seeds=1", "search.trials=2", "search.epochs=3")


@pytest.fixture(params=["local", "ray", "tune"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine; the two on Ray share a cluster."""
    if request.param == "local":
        return LocalEngine()
    pool: RayEngine = request.getfixturevalue("ray_engine")
    return pool if request.param == "ray" else over_tune(pool)


def over_tune(pool: RayEngine) -> TuneEngine:
    """Ray Tune on the cluster of a pool."""
    engine = TuneEngine(pool.cluster.spec)
    engine.cluster = pool.cluster
    return engine


def rows_of(root: Path) -> pd.DataFrame:
    return ResultStore(root).trials("toy")


def handlers() -> list[object]:
    """What signals of this process do."""
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]


class TestContract:
    def test_completes(self, engine: Engine, make_study: MakeStudy, tmp_path: Path) -> None:
        before = handlers()
        summary = Study(make_study(*ONE), tmp_path / "r").run(engine)
        assert handlers() == before
        assert summary.finished == summary.planned == 6
        assert_whole(tmp_path / "r", 6)
        rows = rows_of(tmp_path / "r")
        assert set(rows["state"]) == {"COMPLETE"}
        final = rows[rows["phase"] == "final"]
        assert final["test_value"].notna().all()
        assert rows[rows["phase"] == "search"]["test_value"].isna().all()
        assert final["exclusive"].all()
        assert (rows["train_s"] > 0).all()

    @pytest.mark.parametrize(
        ("mode", "reason", "words"),
        [
            ("raise", "error", "RuntimeError: a toy broke"),
            ("nan", "non-finite", "in step 1 of epoch 1"),
            ("oom", "out-of-memory", "no room for a toy"),
        ],
    )
    def test_failures_are_rows_with_a_reason(
        self, engine: Engine, make_study: MakeStudy, tmp_path: Path, mode: str, reason: str, words: str
    ) -> None:
        summary = Study(make_study(*ONE, f"fixed.mode={mode}"), tmp_path / "r").run(engine)
        rows = rows_of(tmp_path / "r")
        assert summary.failed == 4
        assert set(rows["reason"]) == {reason}
        again = rows[rows["state"] == "INTERRUPTED"]  # what had no room ran once more alone
        assert len(again) == (4 if reason == "out-of-memory" else 0)
        rows = rows[rows["state"] != "INTERRUPTED"]
        assert set(rows["state"]) == {"FAILED"}
        assert (rows["exclusive"] == (reason == "out-of-memory")).all()
        assert (rows["peak_mib"] >= 0).all()
        assert rows["detail"].str.contains(words, regex=False).all()
        assert rows["value"].isna().all()

    def test_a_slow_trial_is_stopped(self, engine: Engine, make_study: MakeStudy, tmp_path: Path) -> None:
        Study(make_study(*ONE, "fixed.mode=slow", "timeout_s=0.4"), tmp_path / "r").run(engine)
        rows = rows_of(tmp_path / "r")
        assert set(rows["reason"]) == {"timeout"}

    def test_pruned_trials_keep_their_curve_and_have_no_value(
        self, engine: Engine, make_study: MakeStudy, tmp_path: Path
    ) -> None:
        spec = make_study("search.trials=8", "search.epochs=8", "search.pruner=halving", "confirm.seeds=0")
        Study(spec, tmp_path / "r").run(engine)
        rows = rows_of(tmp_path / "r")
        pruned = rows[rows["state"] == "PRUNED"]
        assert len(pruned)
        assert pruned["value"].isna().all()
        assert (pruned["epochs"] < 8).all()
        assert (pruned["epochs"] > 0).all()
        epochs = ResultStore(tmp_path / "r").epochs("toy")
        last = epochs.groupby("trial_id")["epoch"].max()
        assert (pruned.set_index("trial_id")["epochs"] == last[pruned["trial_id"]]).all()

    def test_launched_twice_does_nothing_and_a_larger_budget_extends(
        self, engine: Engine, make_study: MakeStudy, tmp_path: Path
    ) -> None:
        Study(make_study(*ONE), tmp_path / "r").run(engine)
        assert Study(make_study(*ONE), tmp_path / "r").run(engine).ran == 0
        more = (*ONE, "search.trials=4")
        summary = Study(make_study(*more), tmp_path / "r").run(engine)
        assert summary.ran >= 4
        search = rows_of(tmp_path / "r").query("phase == 'search'")
        assert search.groupby("cell").size().tolist() == [4, 4]

    def test_more_than_there_is_says_so_at_once(
        self, engine: Engine, make_study: MakeStudy, tmp_path: Path
    ) -> None:
        with pytest.raises(ResourceError, match="no node has them"):
            Study(make_study(*ONE, "resources={cpus: 999}"), tmp_path / "r").run(engine)


def test_a_killed_worker_runs_again_from_its_checkpoint(
    ray_engine: Engine, make_study: MakeStudy, tmp_path: Path
) -> None:
    marker = tmp_path / "killed"
    spec = make_study(
        "search.trials=1",
        "search.epochs=4",
        "confirm.seeds=0",
        "final.seeds=0",
        "fixed.mode=die",
        f"fixed.marker={marker}",
        "checkpoint_every=1",
    )
    Study(spec, tmp_path / "r").run(ray_engine)
    rows = rows_of(tmp_path / "r")
    assert_whole(tmp_path / "r", 2)
    lost = rows[rows["state"] == "INTERRUPTED"]
    assert len(lost) == 1
    assert lost["reason"].tolist() == ["worker"]
    again = rows[(rows["trial_id"] == lost["trial_id"].iloc[0]) & (rows["attempt"] == 2)]
    assert again["state"].tolist() == ["COMPLETE"]
    assert again["params"].tolist() == lost["params"].tolist()
    assert not _alive(int(marker.read_text()))


def test_a_trial_that_kills_every_worker_fails_in_the_end(
    ray_engine: Engine, make_study: MakeStudy, tmp_path: Path
) -> None:
    spec = make_study(
        *("search.trials=1", "confirm.seeds=0", "final.seeds=0", "fixed.mode=die"),
        f"fixed.marker={tmp_path / 'absent' / 'x'}",
    )
    Study(spec, tmp_path / "r").run(ray_engine)
    rows = rows_of(tmp_path / "r")
    assert set(rows["state"]) <= {"FAILED", "INTERRUPTED"}
    assert_whole(tmp_path / "r", 2)


@pytest.mark.parametrize("share", ["0.5", "1"])
def test_gpu_shares_and_whole_devices_in_the_final_phase(
    ray_engine: Engine, make_study: MakeStudy, tmp_path: Path, share: str
) -> None:
    spec = make_study(*ONE, f"resources={{cpus: 1, gpus: {share}}}")
    Study(spec, tmp_path / "r").run(ray_engine)
    rows = rows_of(tmp_path / "r")
    assert_whole(tmp_path / "r", 6)
    by_phase = rows.groupby("phase")["gpu_share"].unique().map(list).to_dict()
    assert by_phase == {"search": [float(share)], "final": [1.0]}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
