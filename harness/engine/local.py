"""One trial after another in this process; Ray is never imported."""

from __future__ import annotations

import os
from contextlib import closing

import torch

from harness.engine.base import Capacity, Director
from harness.engine.conversation import Message, Session, hear
from harness.errors import ResourceError
from harness.train.fused import run_fused
from harness.train.task import ENVIRONMENT, Task
from harness.trial import Phase, TrialEnd

MOST_WAITING = 64


class LocalEngine:
    """The simplest engine, and the one whose tables are reproducible to the bit (times apart)."""

    def __init__(self) -> None:
        self._waiting: list[Task] = []

    def capacity(self) -> Capacity:
        """This machine."""
        return Capacity(((float(os.cpu_count() or 1), float(torch.cuda.device_count())),))

    def run(self, director: Director) -> None:
        """Run until the director is finished. Raises ResourceError where this machine is at fault."""
        while not director.finished():
            tasks = self._next(director)
            if not tasks:  # nothing runs here, so nothing will change
                return
            if len(tasks) > 1:
                self._fused(director, tasks)
            else:
                self._attempt(director, tasks[0])

    def _next(self, director: Director) -> list[Task]:
        """The next attempt, or as many search trials of its cell as the study fuses; others wait."""
        task = self._waiting.pop(0) if self._waiting else director.next_task()
        if task is None:
            return []
        tasks, wanted = [task], task.resources.fused
        if wanted < 2 or task.spec.phase is not Phase.SEARCH:
            return tasks

        def suits(other: Task) -> bool:
            return other.cell == task.cell and other.spec.phase is Phase.SEARCH

        for other in [other for other in self._waiting if suits(other)][: wanted - 1]:
            self._waiting.remove(other)
            tasks.append(other)
        while len(tasks) < wanted and len(self._waiting) < MOST_WAITING:
            following = director.next_task()
            if following is None:
                break
            (tasks if suits(following) else self._waiting).append(following)
        return tasks

    def _fused(self, director: Director, tasks: list[Task]) -> None:
        run, answer = run_fused(tasks), None
        over: set[str] = set()
        with closing(run):
            while True:
                try:
                    task, said = run.send(answer)  # type: ignore[arg-type]
                except StopIteration:
                    return
                if task.spec.id in over:  # pruned: its last word is known
                    continue
                message = Message((), said) if isinstance(said, TrialEnd) else Message((said,))
                answer = hear(director, task, message)
                if not answer:
                    over.add(task.spec.id)
                if message.end is not None and message.end.reason == ENVIRONMENT:
                    raise ResourceError(message.end.detail)

    def _attempt(self, director: Director, task: Task) -> None:
        session = Session()
        try:
            message = session.begin(task)
            while hear(director, task, message):
                message = session.send(True)
        finally:
            session.stop()
        if message.end is not None and message.end.reason == ENVIRONMENT:
            raise ResourceError(message.end.detail)
