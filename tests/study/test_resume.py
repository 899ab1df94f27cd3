"""Cut a study anywhere and launch it again: the tables equal those of an uninterrupted run, times apart."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.engine.local import LocalEngine
from harness.store import results
from harness.store.results import ResultStore
from harness.study import Study
from harness.study.director import StudyDirector
from harness.train.task import Task
from harness.trial import EpochRow
from tests.conftest import MakeStudy
from tests.tables import FINAL, assert_same, assert_whole

PLANNED = 2 * (4 + 2 + 2)


class Cut(KeyboardInterrupt):
    """The driver is stopped."""


class CutAfter(LocalEngine):
    """Stops as Ctrl-C does after a number of reported epochs."""

    def __init__(self, events: int) -> None:
        super().__init__()
        self.left = events

    def run(self, director: StudyDirector) -> None:  # type: ignore[override]
        report = director.report

        def counted(task: Task, rows: Sequence[EpochRow]) -> bool:
            if self.left == 0:
                raise Cut
            self.left -= 1
            return report(task, rows)

        director.report = counted  # type: ignore[method-assign]
        super().run(director)


@pytest.fixture
def whole(make_study: MakeStudy, tmp_path: Path) -> Path:
    """The uninterrupted run."""
    Study(make_study(), tmp_path / "whole").run(LocalEngine())
    assert_whole(tmp_path / "whole", PLANNED)
    return tmp_path / "whole"


@pytest.mark.parametrize("events", [0, 1, 6, 7, 8, 20])
def test_cut_after_some_epochs(whole: Path, make_study: MakeStudy, tmp_path: Path, events: int) -> None:
    root = tmp_path / "cut"
    with pytest.raises(Cut):
        Study(make_study(), root).run(CutAfter(events))
    assert "RUNNING" not in set(ResultStore(root).trials("toy")["state"])
    Study(make_study(), root).run(LocalEngine())
    assert_whole(root, PLANNED)
    assert_same(root, whole)


@pytest.mark.parametrize("merge_at", [2, 256])
def test_cut_again_and_again(
    whole: Path, make_study: MakeStudy, tmp_path: Path, merge_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epochs as well as the trials, however often parts are merged in between."""
    monkeypatch.setattr(results, "MERGE_AT", merge_at)
    root = tmp_path / "cut"
    for events in (3, 5, 2, 9, 4):
        with pytest.raises(Cut):
            Study(make_study(), root).run(CutAfter(events))
    Study(make_study(), root).run(LocalEngine())
    assert_whole(root, PLANNED)
    assert_same(root, whole)


def drive(file: Path, root: Path, engine: str) -> subprocess.Popen[bytes]:
    """A driver of its own process."""
    command = [
        sys.executable,
        "-m",
        "harness",
        "launch",
        str(file),
        "--results",
        str(root),
        "--engine",
        engine,
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_when(process: subprocess.Popen[bytes], ready: Callable[[], bool], extra_s: float) -> None:
    """SIGKILL a driver some time after a condition holds; it may end first."""
    until = time.monotonic() + 120
    while process.poll() is None and not ready() and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(extra_s)
    process.send_signal(signal.SIGKILL)
    process.wait(30)


@pytest.mark.kill
@pytest.mark.parametrize("engine", ["local", "ray", "tune"])
def test_sigkill_of_the_driver_at_random_moments(
    study_text: Callable[..., str], tmp_path: Path, engine: str
) -> None:
    """Five kills, then a last run: every planned trial once, interrupted ones with their parameters."""
    file = tmp_path / "toy.yaml"
    file.write_text(study_text().replace("batch_size: 8", "batch_size: 8, pause_s: 0.05"))
    root, chance = tmp_path / "killed", random.Random(engine)
    open_params: dict[str, str] = {}

    def rows_now() -> int:
        return sum(1 for _ in (root / "trials" / "toy").glob("[0-9a-f]*.parquet"))

    for _ in range(5):
        before = rows_now()
        kill_when(drive(file, root, engine), lambda seen=before: rows_now() > seen, chance.uniform(0.0, 0.6))
        rows = ResultStore(root).trials("toy")
        ended = set(rows[rows["state"].isin(FINAL)]["trial_id"])
        begun = rows[~rows["trial_id"].isin(ended)]
        open_params |= dict(zip(begun["trial_id"], begun["params"], strict=True))
    assert drive(file, root, engine).wait(300) == 0
    assert_whole(root, PLANNED)
    rows = ResultStore(root).trials("toy")
    ended = rows[rows["state"].isin(FINAL)].set_index("trial_id")["params"]
    for trial_id, params in open_params.items():
        assert ended[trial_id] == params
    if engine == "local":
        from harness.studyfile.load import load_study

        Study(load_study(file), tmp_path / "whole").run(LocalEngine())
        assert_same(root, tmp_path / "whole")
