"""The one protocol between an engine and an attempt: ``begin`` a task, then ``send`` whether it goes on.

A :class:`Session` is the attempt's side; :func:`hear` is the director's. Every engine puts the two together,
in one process or over a cluster, so that an attempt ends the same way wherever it ran.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.trial import Report, State, TrialEnd

if TYPE_CHECKING:
    from harness.engine.base import Director
    from harness.train.task import Task


@dataclass(frozen=True, slots=True)
class Message:
    """What an attempt says at once: epochs in order, and its end if it is over."""

    reports: tuple[Report, ...] = ()
    end: TrialEnd | None = None


class Session:
    """One attempt after another in one process; each starts clean (:func:`run_attempt`).

    ``batch_s``: epochs that take less together are said in one message (0: an epoch a message).
    """

    def __init__(self, batch_s: float = 0.0) -> None:
        self._batch_s = batch_s
        self._attempt: Generator[Report, bool, TrialEnd] | None = None

    def begin(self, task: Task) -> Message:
        """The first message of an attempt; what still ran is stopped first."""
        from harness.train.attempt import run_attempt  # imports torch: a worker's business, not a driver's

        self.stop()
        self._attempt = run_attempt(task)
        return self._message(None)

    def send(self, go_on: bool) -> Message:
        """The next message (an empty one after the end); ``go_on`` False: write a checkpoint and end."""
        return self._message(go_on) if self._attempt is not None else Message()

    def stop(self) -> None:
        """Stop what still runs, as :meth:`send` False does, and drop what it says."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            with suppress(StopIteration):
                attempt.send(False)
            attempt.close()

    def _message(self, go_on: bool | None) -> Message:
        attempt = self._attempt
        assert attempt is not None, "no attempt has begun"
        reports: list[Report] = []
        until = time.monotonic() + self._batch_s
        try:
            reports.append(next(attempt) if go_on is None else attempt.send(go_on))
            while time.monotonic() < until:
                reports.append(attempt.send(True))
        except StopIteration as stop:
            self._attempt = None
            return Message(tuple(reports), stop.value)
        return Message(tuple(reports))


def hear(director: Director, task: Task, message: Message) -> bool:
    """Pass a message on; whether the attempt goes on. One that does not has ended, its row committed.

    Raises what the director raises.
    """
    for report in message.reports:
        if not director.report(task, report.rows):
            director.end(task, replace(report.so_far, state=State.PRUNED, reason="pruned"))
            return False
    if message.end is None:
        return True
    director.end(task, message.end)
    return False
