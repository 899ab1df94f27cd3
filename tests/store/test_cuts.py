"""A driver, a compact and a merge that die after any file operation: nothing lost, nothing there twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from harness.store import results
from harness.store.files import Files
from harness.store.joining import join
from harness.store.results import ResultStore
from tests.store.made import epochs, filled, launch, trial

OPERATIONS = ("write", "delete", "move")
Act = Callable[[Path], None]


class Died(BaseException):
    """What a killed process raises: nothing catches it."""


class Dying:
    """Counts file operations and dies before one of them, or in the middle of a write."""

    def __init__(self, patch: pytest.MonkeyPatch, left: int) -> None:
        self.left, self.done = left, 0
        for name in OPERATIONS:
            patch.setattr(Files, name, self._counted(getattr(Files, name)))

    def _counted(self, operation: Callable[..., None]) -> Callable[..., None]:
        def counted(files: Files, name: str, *args: object, **more: object) -> None:
            if self.left == 0:
                if operation.__name__ == "write" and files.local is not None:
                    aside = files.local / name
                    aside.parent.mkdir(parents=True, exist_ok=True)
                    aside.with_name(f".{aside.name}.0123abcd.tmp").write_bytes(b"half")
                raise Died
            self.left -= 1
            self.done += 1
            operation(files, name, *args, **more)

        return counted


def drive(root: Path) -> None:
    """A driver that merges as it goes, and runs again what has not ended."""
    store = ResultStore(root)
    store.launch(launch())
    store.close_stale("s", "driver")
    there = store.trials("s")
    for number in range(6):
        mine = there[there["number"] == number]
        if "COMPLETE" not in set(mine["state"]):
            attempt = 1 + int(mine["attempt"].max() if len(mine) else 0)
            store.start(trial(number, state="RUNNING", attempt=attempt))
            store.commit(trial(number, attempt=attempt), epochs())


def compact(root: Path) -> None:
    ResultStore(root).compact("s")


def merge(root: Path) -> None:
    there = ResultStore(root.with_name("there"))
    if not there.study_names():
        there.launch(launch())
        for number in range(5, 9):
            there.commit(trial(number), epochs())
    join(ResultStore(root), [there])


def cuts(root: Path, act: Act, begin: Act) -> Iterator[Path]:
    """A fresh store for each operation of ``act``, cut before it."""
    for at in range(1000):
        place = root / str(at) / "here"
        begin(place)
        try:
            with pytest.MonkeyPatch.context() as patch:
                Dying(patch, at)
                act(place)
        except Died:
            yield place
        else:
            assert at > 2, "nothing was cut"
            return


def half(root: Path) -> None:
    """A store with parts and a merged file of each table, before a compact or a merge."""
    filled(root, range(5))
    ResultStore(root).start(trial(20, state="RUNNING"))
    ResultStore(root).flush(trial(20, state="RUNNING"), epochs(1))
    if not root.with_name("there").exists():
        merge(root.with_name("unused"))


def rows(root: Path, table: str) -> pd.DataFrame:
    store = ResultStore(root)
    frame = getattr(store, table)("s")
    assert store.problems == []
    keys = ["trial_id", "attempt"] + (["epoch", "metric"] if table == "epochs" else [])
    assert not frame.duplicated(keys).any()
    return frame.sort_values(keys).reset_index(drop=True)


def ended(root: Path, table: str) -> pd.DataFrame:
    """What a board reads: the attempts that completed, whichever they were."""
    trials, found = rows(root, "trials"), rows(root, table)
    found = found.merge(trials[trials["state"] == "COMPLETE"][["trial_id", "attempt"]])
    columns = ["trial_id", "value"] + (["epoch", "metric"] if table == "epochs" else [])
    return found[columns].reset_index(drop=True)


@pytest.fixture(autouse=True)
def _merge_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MERGE_AT", 2)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a killed process needs none, and each takes a while


@pytest.mark.parametrize("act", [drive, compact, merge])
def test_whatever_the_moment(tmp_path: Path, act: Act) -> None:
    """The cut store, gone on with, equals one that was never cut."""
    begin: Act = (lambda _: None) if act is drive else half
    whole = tmp_path / "whole" / "here"
    begin(whole)
    for step in (act, drive, merge, compact):
        step(whole)
    expected = {table: ended(whole, table) for table in ("trials", "epochs")}
    for at, place in enumerate(cuts(tmp_path, act, begin)):
        then = (drive, compact, merge)[at % 3]
        for step in (lambda _: None, then, drive, merge, compact):
            step(place)
            rows(place, "trials")  # whole and once after every step, not after the last alone
            rows(place, "epochs")
        for table, frame in expected.items():
            pd.testing.assert_frame_equal(ended(place, table), frame)
        assert not list(place.glob("*/s/.*.tmp"))
        assert not list(place.glob("*/s/.pending*"))
