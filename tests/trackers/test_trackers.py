"""Mirrors of ended trials: the same numbers in every tracker, nothing twice, and a study that never waits."""

from __future__ import annotations

import csv
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine.local import LocalEngine
from harness.errors import HarnessError, StudyFileError
from harness.store.results import ResultStore
from harness.study import Study
from harness.trackers import mirror
from harness.trackers.files import CsvTracker
from harness.trackers.mirror import Mirror, backfill, open_tracker
from harness.trackers.run import Run, run_of
from tests.cli.conftest import Cli, cli  # noqa: F401 - a fixture
from tests.conftest import MakeStudy
from tests.tables import assert_same

SMALL = ("search.trials=2", "confirm.seeds=0", "final.seeds=1", "search.pruner=none")
PLANNED = 6


def a_run(key: str = "0123456789abcdef-1") -> Run:
    return Run(
        key, "s", "d/p", {"lr": 0.1}, {"phase": "search"}, (("valid/accuracy", 1, 0.5),), {"value": 0.5}
    )


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    logger = logging.getLogger("harness")
    before, logger.propagate = logger.propagate, True
    with caplog.at_level(logging.WARNING, "harness"):
        yield caplog
    logger.propagate = before


def test_csv_and_tensorboard_as_a_study_runs(make_study: MakeStudy, tmp_path: Path) -> None:
    root = tmp_path / "results"
    Study(make_study(*SMALL, "report_to=[csv, tensorboard]"), root).run(LocalEngine())
    store = ResultStore(root)
    rows, epochs = store.trials("toy"), store.epochs("toy")
    assert len(rows) == PLANNED
    for row in rows.to_dict("records"):
        place = root / "trackers/csv/toy" / row["cell"].replace("/", "-") / f"{row['trial_id']}-1.csv"
        with place.open() as file:
            found = [(r["metric"], int(r["epoch"]), float(r["value"])) for r in csv.DictReader(file)]
        own = epochs[epochs["trial_id"] == row["trial_id"]]
        names = own["split"] + "/" + own["metric"]
        wanted = list(zip(names, own["epoch"], own["value"], strict=True))
        assert sorted(found) == sorted(wanted)
        rest = json.loads(place.with_suffix(".json").read_text())
        assert rest["params"] == row["params"]
        assert rest["results"]["value"] == row["value"]
        assert rest["tags"]["phase"] == row["phase"]
    events = list((root / "trackers/tensorboard/toy").glob("*/*/events.*"))
    assert len(events) == PLANNED


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    open_tracker("tensorboard", str(tmp_path)).write(a_run())
    folder = tmp_path / "trackers/tensorboard/s/d-p/0123456789abcdef-1"
    events = reader.EventAccumulator(str(folder))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("valid/accuracy")] == [(1, 0.5)]
    assert events.Scalars("result/value")[0].value == 0.5


def test_mlflow_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracker = open_tracker("mlflow", str(tmp_path))
    assert backfill(tracker, [a_run(), a_run("f" * 16 + "-1")]) == 2
    assert backfill(tracker, [a_run()]) == 0
    client = tracker._client  # type: ignore[attr-defined]
    experiment = client.get_experiment_by_name("s")
    found = client.search_runs([experiment.experiment_id])
    assert len(found) == 2
    assert found[0].data.params == {"lr": "0.1"}
    assert found[0].data.metrics["valid/accuracy"] == 0.5
    assert found[0].data.tags["phase"] == "search"


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    tracker = open_tracker("wandb", str(tmp_path))
    assert backfill(tracker, [a_run()]) == 1
    assert backfill(tracker, [a_run()]) == 0
    assert list((tmp_path / "trackers/wandb/wandb").glob("offline-run-*/run-*.wandb"))


class Hanging(CsvTracker):
    """A service that never answers."""

    released = threading.Event()

    def write(self, run: Run) -> None:
        self.released.wait(30)


class Broken(CsvTracker):
    """A service that is down."""

    def write(self, run: Run) -> None:
        raise ConnectionError("no route to host\nsecond line")


def test_a_tracker_that_hangs_delays_no_trial(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(mirror.TRACKERS, "csv", Hanging)  # type: ignore[arg-type]
    monkeypatch.setattr(mirror, "WAITING", 2)
    monkeypatch.setattr(mirror, "CLOSE_S", 0.2)
    monkeypatch.setattr(mirror.Mirror.close, "__defaults__", (0.2,))
    Study(make_study(*SMALL), tmp_path / "plain").run(LocalEngine())
    begun = time.monotonic()
    summary = Study(make_study(*SMALL, "report_to=[csv]"), tmp_path / "mirrored").run(LocalEngine())
    assert (summary.finished, summary.failed) == (PLANNED, 0)
    assert time.monotonic() - begun < 20
    assert_same(tmp_path / "plain", tmp_path / "mirrored")
    assert len(warned.records) == 1
    assert "tracker csv: it is slower than the study" in warned.text
    assert "harness sync toy" in warned.text
    Hanging.released.set()


def test_a_tracker_that_is_down_costs_one_warning_and_sync_fills_up(
    cli: Cli,  # noqa: F811
    make_study: MakeStudy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    warned: pytest.LogCaptureFixture,
) -> None:
    root = tmp_path / "results"
    with monkeypatch.context() as down:
        down.setitem(mirror.TRACKERS, "csv", Broken)  # type: ignore[arg-type]
        assert Study(make_study(*SMALL, "report_to=[csv]"), root).run(LocalEngine()).failed == 0
        assert [record.getMessage() for record in warned.records] == [
            "tracker csv: no route to host second line. The study goes on; afterwards: "
            f"harness sync toy --results {root}"
        ]
        said = cli("sync", "toy", "--results", root)
        assert said.code == 1
        assert "tracker csv: no route to host" in said.err
    assert f"csv: {PLANNED} trials of 'toy' mirrored" in cli("sync", "toy", "--results", root).out
    assert "csv: 0 trials" in cli("sync", "toy", "--results", root).out
    assert f"tensorboard: {PLANNED}" in cli("sync", "toy", "--results", root, "--to", "tensorboard").out
    assert len(list((root / "trackers/csv").rglob("*.csv"))) == PLANNED


def test_unknown_and_missing_trackers(
    cli: Cli,  # noqa: F811
    make_study: MakeStudy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    warned: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(
        StudyFileError, match=r"report_to.*unknown value 'tensorbord'. Did you mean 'tensorboard'"
    ):
        make_study("report_to=[tensorbord]")
    Study(make_study(*SMALL), tmp_path / "r").run(LocalEngine())
    assert "reports to no tracker: name one" in cli("sync", "toy", "--results", tmp_path / "r").line
    line = cli("sync", "toy", "--results", tmp_path / "r", "--to", "neptune").line
    assert "unknown tracker 'neptune'" in line

    def absent(root: str) -> CsvTracker:
        raise ModuleNotFoundError("No module named 'mlflow'", name="mlflow")

    monkeypatch.setitem(mirror.TRACKERS, "mlflow", absent)  # type: ignore[arg-type]
    with pytest.raises(HarnessError, match="pip install mlflow"):
        open_tracker("mlflow", str(tmp_path))
    logging.getLogger("harness").propagate = True  # the command turned it off
    one = Mirror("mlflow", str(tmp_path), "s")
    one.put(a_run())
    one.close()
    assert "tracker mlflow: No module named 'mlflow'. Get it: pip install mlflow. The study" in warned.text


def test_what_is_no_number_is_left_out() -> None:
    row = {
        "trial_id": "a",
        "attempt": 1,
        "study": "s",
        "cell": "c",
        "value": float("nan"),
        "test": {"r2": 0.5},
    }
    epochs = [{"split": "valid", "metric": "loss", "epoch": 1, "value": float("inf")}]
    run = run_of(row, epochs)
    assert run.curves == ()
    assert run.results == {"test/r2": 0.5}
