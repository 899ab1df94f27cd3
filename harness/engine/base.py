"""The seam between a study and an engine: the study decides, the engine executes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.train.task import Task
from harness.trial import EpochRow, TrialEnd

# Reasons of an INTERRUPTED attempt: it says nothing of the trial, which runs again.
WORKER_DIED = "worker"  # its process died; three times, and the trial is FAILED
NODE_LOST = "node"
ENGINE_FAILED = "engine"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the engine can hold at once; ``nodes`` are (cpus, gpus) of each. ``grows``: nodes may come."""

    nodes: tuple[tuple[float, float], ...]
    grows: bool = False

    @property
    def cpus(self) -> float:
        """All CPUs."""
        return sum(cpus for cpus, _ in self.nodes)

    @property
    def gpus(self) -> float:
        """All GPUs."""
        return sum(gpus for _, gpus in self.nodes)


class Director(Protocol):
    """What an engine asks; implemented by the study. Called from one thread only."""

    def next_task(self) -> Task | None:
        """The next attempt to start, already recorded as RUNNING; None if none can start now."""

    def finished(self) -> bool:
        """Whether nothing runs and nothing is left to start."""

    def report(self, task: Task, rows: Sequence[EpochRow]) -> bool:
        """Take the rows of an epoch; whether the attempt goes on."""

    def end(self, task: Task, end: TrialEnd) -> None:
        """Commit how an attempt ended; an INTERRUPTED one comes again from :meth:`next_task`."""


class Engine(Protocol):
    """Runs what a director hands out until it is finished. Raises ResourceError at once if it never could."""

    def capacity(self) -> Capacity:
        """What there is to run on."""

    def run(self, director: Director) -> None:
        """Run until the director is finished; KeyboardInterrupt leaves attempts for the study to close.

        Raises ResourceError where no usable machine remains.
        """
