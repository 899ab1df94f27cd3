"""One trial after another in this process; Ray is never imported."""

from __future__ import annotations

import os

import torch

from harness.engine.base import Capacity, Director
from harness.train.attempt import run_attempt
from harness.train.task import Task


class LocalEngine:
    """The simplest engine, and the one whose tables are reproducible to the bit (times apart)."""

    def capacity(self) -> Capacity:
        """This machine."""
        return Capacity(((float(os.cpu_count() or 1), float(torch.cuda.device_count())),))

    def run(self, director: Director) -> None:
        """Run until the director is finished."""
        while not director.finished():
            task = director.next_task()
            if task is None:  # nothing runs here, so nothing will change
                return
            self._attempt(director, task)

    def _attempt(self, director: Director, task: Task) -> None:
        attempt = run_attempt(task)
        try:
            report = next(attempt)
            while True:
                report = attempt.send(director.report(task, report.rows))
        except StopIteration as stop:
            director.end(task, stop.value)
        finally:
            attempt.close()
