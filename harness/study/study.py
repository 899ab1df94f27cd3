"""Study: run what is missing, say where it stands. ``resume`` is ``launch`` again."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness import __version__
from harness.contracts import registry
from harness.engine.base import Capacity, Engine
from harness.errors import ResourceError, ResumeError
from harness.store.checkpoints import Checkpoints
from harness.store.columns import flat_texts
from harness.store.lock import StudyLock
from harness.store.models import Models
from harness.store.results import ResultStore
from harness.study import fingerprint as prints
from harness.study import notices
from harness.study.director import DRIVER, StudyDirector, protocol
from harness.study.fork import Forked, copy_matching
from harness.study.ledger import read_ledger, retry_failures
from harness.study.trial_rows import now
from harness.studyfile.values import StudySpec
from harness.trackers.mirror import mirrored
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
    forked: Forked = field(default_factory=Forked)
    stopped: bool = False


class Study:
    """One study over one store."""

    def __init__(self, spec: StudySpec, root: str | Path) -> None:
        self.spec = spec
        self.store = ResultStore(root)
        self._director: StudyDirector | None = None

    def before(self) -> list[str]:
        """What a user should know before this run: rows of several versions, test to be read again."""
        return notices.notices(self.spec, self.store)

    def run(
        self, engine: Engine, *, fork_of: str | None = None, retry: str = "", watch: Watch | None = None
    ) -> StudySummary:
        """Run every planned trial that has not ended.

        ``fork_of`` copies the finished search trials of another study that are trials of this one as well,
        made by the same code of the same data and plug-ins. ``retry`` is ``failed`` or the id of a failed
        trial: such trials run again, as new attempts.
        Raises LockedError, ResumeError, ResourceError, StoreError; KeyboardInterrupt after the running
        attempts are closed.
        """
        require_capacity(self.spec, engine.capacity())
        with StudyLock(self.store.files, self.spec.name, self._wind_down):
            found = prints.parts(self.spec)
            launches = self.store.studies(self.spec.name)
            if len(launches):
                before = launches.sort_values("launch")["parts"].iloc[-1]
                prints.validate_unchanged(self.spec.name, before, flat_texts(found))
            earlier = self.store.trials(self.spec.name, ["trial_id", "state", "fingerprint"])
            self.store.require_readable(self.spec.name)
            if launches.empty:  # a broken launch row was set aside: the trials still say what they are of
                prints.validate_trials(self.spec.name, set(earlier["fingerprint"]), prints.digest(found))
            self._record_launch(found, launches)
            forked = Forked()
            if fork_of is not None and launches.empty:
                forked = copy_matching(self.store, fork_of, self.spec, prints.digest(found))
            return replace(self._drive(engine, prints.digest(found), retry, watch), forked=forked)

    def _wind_down(self) -> None:
        if self._director is not None:
            self._director.wind_down()

    def _drive(self, engine: Engine, fingerprint: str, retry: str, watch: Watch | None) -> StudySummary:
        self.store.close_stale(self.spec.name, DRIVER)
        ledger = read_ledger(self.store, self.spec)
        if retry:
            retry_failures(ledger, retry)
        self.store.require_readable(self.spec.name)
        root = self.store.files.root
        with mirrored(self.spec.report_to, root, self.spec.name) as mirror:
            director = self._director = StudyDirector(
                self.spec, self.store, ledger, fingerprint, mirror=mirror
            )
            gc.freeze()  # modules and past trials: collecting through them stalls the driver
            try:
                with watch(director) if watch is not None else nullcontext():
                    engine.run(director)
            finally:
                director.close()
        self._drop_checkpoints(director)
        self._drop_models(director)
        snapshot = director.snapshot()
        return StudySummary(
            self.spec.name,
            director.committed,
            snapshot.finished,
            snapshot.failed,
            snapshot.planned,
            stopped=director.winding_down,
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

    def _drop_models(self, director: StudyDirector) -> None:
        """With ``keep: best``, leave of each cell the final trial that is best on validation."""
        if self.spec.keep != "best":
            return
        models = Models(self.store.files.root, self.spec.name)
        kept = set(models.trials())
        for run in director.cells.values():
            for trial_id in kept & run.finals() - {run.best_final()}:
                models.delete(trial_id)

    def _record_launch(self, found: dict[str, Any], launches: pd.DataFrame) -> None:
        self.store.launch(
            {
                "study": self.spec.name,
                "launch": 1 + (int(launches["launch"].max()) if len(launches) else 0),
                "launched_at": now(),
                "fingerprint": prints.digest(found),
                "parts": flat_texts(found),
                "cells": [describe_cell(self.spec, index) for index in range(len(self.spec.cells))],
                "protocol": protocol(self.spec),
                "text": self.spec.text,
                "folder": str(Path(self.spec.path).absolute().parent),
                "overrides": list(self.spec.overrides),
                "plugins": dict(self.spec.plugins),
                "host": socket.gethostname(),
                "harness": __version__,
                "code": metadata.code_version(),
                "git": metadata.git_state(self.spec.path),
                "packages": metadata.packages(),
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
        "class_names": list(card.class_names),
        "notes": list(card.said),
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
