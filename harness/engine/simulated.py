"""Virtual time: trials that replay curves through the real director, on as many slots as one likes.

Nothing is trained. A :class:`CurveSource` says what a trial would have measured and how long an epoch would
have taken; the engine hands the rows to the director in the order in which that many slots would have.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.engine.base import Capacity, Director
from harness.train.task import Task
from harness.trial import EpochRow, Phase, State, TrialEnd

SIMULATED = "simulated"
"""The hardware class of simulated rows: no board compares their times with measured ones."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a trial would do: the first objective on validation by epoch, and the seconds of one epoch."""

    values: tuple[float, ...]
    epoch_s: float
    stage: str = "train"


class CurveSource(Protocol):
    """Where curves come from."""

    def replay(self, task: Task) -> Replay:
        """The curve of a trial; ``values`` has one entry a planned epoch."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One epoch of a simulated trial, in the order of virtual time (seconds from the start)."""

    at_s: float
    cell: str
    trial_id: str
    epoch: int
    value: float


@dataclass(slots=True)
class _Running:
    task: Task
    replay: Replay
    rows: list[EpochRow] = field(default_factory=list)


class SimulatedEngine:
    """Runs a director on ``slots`` slots in virtual time.

    ``trace`` remembers every search epoch if asked; after ``limit`` epochs the run ends where it stands.
    """

    def __init__(
        self, source: CurveSource, *, slots: int = 1, keep_trace: bool = False, limit: int | None = None
    ) -> None:
        self._source, self._slots = source, slots
        self._keep_trace, self._limit = keep_trace, limit
        self.trace: list[Measured] = []
        self.virtual_s = 0.0
        self.reports = 0

    def capacity(self) -> Capacity:
        """As much as anyone asks: slots are counted, not devices."""
        return Capacity(((math.inf, math.inf),))

    def run(self, director: Director) -> None:
        """Run until the director is finished."""
        queue: list[tuple[float, int, _Running]] = []
        started = 0
        while True:
            while len(queue) < self._slots and (task := director.next_task()) is not None:
                running = _Running(task, self._source.replay(task))
                started += 1
                heapq.heappush(queue, (self.virtual_s + running.replay.epoch_s, started, running))
            if not queue or self.reports == self._limit:
                return
            self.virtual_s, number, running = heapq.heappop(queue)
            if self._epoch(director, running):
                heapq.heappush(queue, (self.virtual_s + running.replay.epoch_s, number, running))

    def _epoch(self, director: Director, running: _Running) -> bool:
        """The next epoch of a trial; whether it goes on."""
        task, replay = running.task, running.replay
        row = _row(task, replay, len(running.rows))
        running.rows.append(row)
        self.reports += 1
        if self._keep_trace and task.spec.phase is Phase.SEARCH:
            self.trace.append(Measured(self.virtual_s, task.cell, task.spec.id, row.epoch, row.value))
        go_on = director.report(task, (row,))
        if go_on and len(running.rows) < len(replay.values):
            return True
        director.end(task, _end(task, running.rows, State.COMPLETE if go_on else State.PRUNED))
        return False


def _row(task: Task, replay: Replay, index: int) -> EpochRow:
    spent = replay.epoch_s * (index + 1)
    return EpochRow(
        epoch=index + 1,
        stage=replay.stage,
        split="valid",
        metric=task.spec.objectives[0].metric,
        value=replay.values[index],
        train_s=spent,
        train_cpu_s=spent,
        eval_s=0.0,
        wall_s=spent,
    )


def _end(task: Task, rows: Sequence[EpochRow], state: State) -> TrialEnd:
    objective = task.spec.objectives[0]
    best = (max if objective.maximize else min)(rows, key=lambda row: row.value)
    final = task.spec.phase is Phase.FINAL
    return TrialEnd(
        state=state,
        reason="" if state is State.COMPLETE else "pruned",
        epochs=len(rows),
        best_epoch=best.epoch,
        values=(best.value,) if state is State.COMPLETE else (),
        test=((objective.metric, best.value),) if final and state is State.COMPLETE else (),
        train_s=rows[-1].train_s,
        train_cpu_s=rows[-1].train_cpu_s,
        wall_s=rows[-1].wall_s,
        metadata={
            "device": SIMULATED,
            "device_name": SIMULATED,
            "best_train_s": best.train_s,
            "best_total_s": best.train_s,
        },
    )
