"""Mirrors that never hold up a study: a queue and a thread each, one warning, then ``harness sync``."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from harness.errors import HarnessError, UnknownNameError
from harness.guard import one_line
from harness.trackers.files import CsvTracker, TensorBoardTracker
from harness.trackers.run import Run, Tracker, run_of
from harness.trackers.services import MlflowTracker, WandbTracker
from harness.trial import FINAL_STATES

TRACKERS: Mapping[str, Callable[[str], Tracker]] = {
    "tensorboard": TensorBoardTracker,
    "mlflow": MlflowTracker,
    "wandb": WandbTracker,
    "csv": CsvTracker,
}
WAITING = 256
"""Runs that may wait for a tracker; further ones are left to ``harness sync``."""
CLOSE_S = 20.0
_log = logging.getLogger("harness")


class Mirror:
    """One tracker behind a queue. :meth:`put` returns at once, whatever the tracker does."""

    def __init__(self, name: str, root: str, study: str) -> None:
        self.name, self._root, self._study = name, root, study
        self._queue: queue.Queue[Run | None] = queue.Queue(WAITING)
        self._warned = False
        self._thread = threading.Thread(target=self._work, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def put(self, run: Run) -> None:
        """Hand a run over; one that finds the queue full, or the tracker given up, is left out."""
        try:
            self._queue.put_nowait(run)
        except queue.Full:
            self._warn("it is slower than the study")

    def close(self, wait_s: float = CLOSE_S) -> None:
        """Wait for what is queued, but not for long."""
        until = time.monotonic() + wait_s
        while self._thread.is_alive() and time.monotonic() < until:
            try:
                self._queue.put(None, timeout=0.1)
                break
            except queue.Full:
                continue
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            self._warn(f"it did not take everything within {wait_s:g} s")

    def _work(self) -> None:
        try:
            tracker = open_tracker(self.name, self._root)
        except Exception as error:  # a tracker is code of strangers, and a mirror is not worth a study
            self._give_up(error)
            return
        while (run := self._queue.get()) is not None:
            try:
                tracker.write(run)
            except Exception as error:
                self._give_up(error)
                return

    def _give_up(self, error: Exception) -> None:
        said = one_line(str(error) or type(error).__name__)[:200]
        self._warn(said.removeprefix(f"tracker {self.name}: ").rstrip("."))

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            again = f"harness sync {self._study} --results {self._root}"
            _log.warning(f"tracker {self.name}: {why}. The study goes on; afterwards: {again}")


@contextmanager
def mirrored(
    names: Sequence[str], root: str, study: str
) -> Iterator[Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], None]]:
    """A function that mirrors an ended row with its epoch records to every tracker while inside."""
    mirrors = [Mirror(name, root, study) for name in names]

    def put(row: Mapping[str, Any], epochs: Sequence[Mapping[str, Any]]) -> None:
        if mirrors and row["state"] in FINAL_STATES:
            run = run_of(row, epochs)
            for mirror in mirrors:
                mirror.put(run)

    try:
        yield put
    finally:
        for mirror in mirrors:
            mirror.close()


def open_tracker(name: str, root: str) -> Tracker:
    """A tracker by name. Raises UnknownNameError, and HarnessError where its package is missing."""
    if name not in TRACKERS:
        raise UnknownNameError("tracker", name, TRACKERS)
    try:
        return TRACKERS[name](root)
    except ImportError as error:
        wanted = error.name or name
        raise HarnessError(f"tracker {name}: {error}. Get it: pip install {wanted}.") from None


def backfill(tracker: Tracker, runs: Iterable[Run]) -> int:
    """Write the runs that a tracker does not have; how many these were. Raises what the tracker raises."""
    written = 0
    for run in runs:
        if not tracker.has(run):
            tracker.write(run)
            written += 1
    return written
