"""Study: run what is missing, say where it stands. ``resume`` is ``launch`` again."""

from __future__ import annotations

import gc
import json
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.contracts import registry
from harness.engine.base import Capacity, Engine
from harness.errors import ResourceError, ResumeError
from harness.store.checkpoints import Checkpoints
from harness.store.lock import StudyLock
from harness.store.results import ResultStore
from harness.study import fingerprint as prints
from harness.study.director import DRIVER, StudyDirector, protocol
from harness.study.fork import copy_matching
from harness.study.ledger import read_ledger
from harness.study.trial_rows import now
from harness.studyfile.values import StudySpec
from harness.train import metadata
from harness.trial import State

Watch = Callable[[StudyDirector], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class StudySummary:
    """What a run did and what stands in the store now."""

    study: str
    ran: int
    finished: int
    failed: int
    planned: int


class Study:
    """One study over one store."""

    def __init__(self, spec: StudySpec, root: str | Path) -> None:
        self.spec = spec
        self.store = ResultStore(root)

    def run(self, engine: Engine, *, fork_of: str | None = None, watch: Watch | None = None) -> StudySummary:
        """Run every planned trial that has not ended.

        ``fork_of`` copies the finished search trials of another study that are trials of this one as well.
        Raises LockedError, ResumeError, ResourceError, StoreError; KeyboardInterrupt after the running
        attempts are closed.
        """
        require_capacity(self.spec, engine.capacity())
        with StudyLock(self.store.files, self.spec.name):
            found = prints.parts(self.spec)
            launches = self.store.studies(self.spec.name)
            if len(launches):
                before = json.loads(str(launches.sort_values("launch")["parts"].iloc[-1]))
                prints.validate_unchanged(self.spec.name, before, found)
            earlier = self.store.trials(self.spec.name, ["trial_id", "state", "fingerprint"])
            self.store.require_readable(self.spec.name)
            if launches.empty:  # a broken launch row was set aside: the trials still say what they are of
                prints.validate_trials(self.spec.name, set(earlier["fingerprint"]), prints.digest(found))
            self._record_launch(found, launches)
            if fork_of is not None and launches.empty:
                copy_matching(self.store, fork_of, self.spec, prints.digest(found))
            return self._drive(engine, prints.digest(found), watch)

    def _drive(self, engine: Engine, fingerprint: str, watch: Watch | None) -> StudySummary:
        self.store.close_stale(self.spec.name, DRIVER)
        ledger = read_ledger(self.store, self.spec)
        self.store.require_readable(self.spec.name)
        director = StudyDirector(self.spec, self.store, ledger, fingerprint)
        gc.freeze()  # modules and past trials: collecting through them stalls the driver
        try:
            with watch(director) if watch is not None else nullcontext():
                engine.run(director)
        finally:
            director.close()
        self._drop_checkpoints(director)
        snapshot = director.snapshot()
        return StudySummary(
            self.spec.name, director.committed, snapshot.finished, snapshot.failed, snapshot.planned
        )

    def _drop_checkpoints(self, director: StudyDirector) -> None:
        checkpoints = Checkpoints(self.store.files.root, self.spec.name)
        ended = {
            trial_id
            for run in director.cells.values()
            for trial_id, trial in run.trials.items()
            if trial.state in (State.COMPLETE, State.FAILED)
        }
        for trial_id in checkpoints.trial_ids() & ended:
            checkpoints.delete(trial_id)

    def _record_launch(self, found: dict[str, Any], launches: pd.DataFrame) -> None:
        self.store.launch(
            {
                "study": self.spec.name,
                "launch": 1 + (int(launches["launch"].max()) if len(launches) else 0),
                "launched_at": now(),
                "fingerprint": prints.digest(found),
                "parts": json.dumps(found, sort_keys=True),
                "cells": json.dumps(
                    [describe_cell(self.spec, index) for index in range(len(self.spec.cells))]
                ),
                "protocol": json.dumps(protocol(self.spec)),
                "text": self.spec.text,
                "host": socket.gethostname(),
                "git": metadata.git_state(self.spec.path),
                "packages": json.dumps(metadata.packages(), sort_keys=True),
            }
        )


def describe_cell(spec: StudySpec, index: int) -> dict[str, Any]:
    """What a report needs to know of a cell."""
    cell = spec.cells[index]
    kind = registry.dataset(cell.dataset.name)
    card = kind(kind.Options(**dict(cell.dataset.options))).card()
    chance = 1.0 / card.classes if card.classes else 0.0
    return {
        "cell": cell.name,
        "label": cell.label,
        "dataset": card.name,
        "dataset_revision": card.revision,
        "pipeline": cell.pipeline,
        "task": card.task,
        "objectives": [str(objective) for objective in cell.objectives],
        "chance": chance,
        "classes": card.classes,
        "horizon": card.horizon,
        "counts": list(card.counts),
    }


def require_capacity(spec: StudySpec, capacity: Capacity) -> None:
    """Raise ResourceError if no node could ever hold one trial of the study."""
    asked = spec.resources
    final_gpus = max(1.0, asked.gpus) if asked.gpus > 0 else 0.0
    for cpus, gpus in capacity.nodes:
        if cpus >= asked.cpus and gpus >= final_gpus:
            return
    have = "; ".join(f"{cpus:g} CPUs, {gpus:g} GPUs" for cpus, gpus in capacity.nodes)
    raise ResourceError(
        f"study '{spec.name}' asks {asked.cpus} CPUs and {asked.gpus:g} GPUs a trial "
        f"(whole GPUs in the final phase), and no node has them: {have}. "
        "Lower resources: in the study or choose another --cluster."
    )


__all__ = ["ResumeError", "Study", "StudySummary"]
