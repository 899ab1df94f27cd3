"""Attempts that tests drive by hand."""

from __future__ import annotations

from harness.train.attempt import run_attempt
from harness.train.task import Task
from harness.trial import EpochRow, TrialEnd


def run(task: Task, stop_after: int | None = None) -> tuple[list[EpochRow], TrialEnd | None]:
    """All rows and the end; None where it is abandoned after some reports, as a killed worker would."""
    attempt = run_attempt(task)
    rows: list[EpochRow] = []
    seen = 0
    try:
        report = next(attempt)
        while True:
            rows += report.rows
            seen += 1
            if seen == stop_after:
                attempt.close()
                return rows, None
            report = attempt.send(True)
    except StopIteration as stop:
        end: TrialEnd = stop.value
        return rows, end
