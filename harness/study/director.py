"""The study as an engine sees it: hands out attempts, takes rows, commits ends. The only writer of tables."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.contracts import registry
from harness.contracts.choices import plain
from harness.engine.base import WORKER_DIED
from harness.errors import HarnessError
from harness.store.results import ResultStore
from harness.store.writer import Then, Writer
from harness.study import trial_rows as make
from harness.study.cell_phases import CellRun, Trial
from harness.study.curve import curve_of, main_stages
from harness.study.ledger import Ledger, Open
from harness.studyfile.values import StudySpec
from harness.train.task import OUT_OF_MEMORY, Task
from harness.trial import NO_SPIKES, EpochRow, Phase, Resources, State, TrialEnd

FLUSH_S = 10.0
MAX_WORKER_DEATHS = 3
DRIVER = "driver"


@dataclass(slots=True)
class _Running:
    task: Task
    trial: Trial
    row: dict[str, Any]
    stages: frozenset[str]
    rows: list[EpochRow] = field(default_factory=list)
    flushed: float = field(default_factory=time.monotonic)
    deaths: int = 0
    alone: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a running study stands, for a progress display."""

    finished: int
    planned: int
    running: tuple[str, ...]
    failed: int
    best: tuple[tuple[str, float], ...]


class StudyDirector:
    """Implements :class:`harness.engine.base.Director` over the cells of one study."""

    def __init__(
        self,
        study: StudySpec,
        store: ResultStore,
        ledger: Ledger,
        fingerprint: str,
        *,
        mirror: Then | None = None,
    ) -> None:
        self.study, self.store, self.fingerprint = study, store, fingerprint
        self.cells = {cell.name: CellRun(study, cell) for cell in study.cells}
        for name, run in self.cells.items():
            run.load(ledger.trials.get(name, ()))
        self._redo = deque(ledger.open)
        self._choices = ledger.choices
        self._running: dict[str, _Running] = {}
        self._begun = time.monotonic()
        self.committed = 0
        self.winding_down = False
        self._writer = Writer(store, mirror)

    # -- Director -------------------------------------------------------------------------------------

    def next_task(self) -> Task | None:
        """The next attempt: interrupted trials first, then the cell that has had the fewest."""
        if self.winding_down:
            return None
        if self._redo:
            again = self._redo.popleft()
            return self._start(again)
        order = sorted(self.cells, key=lambda name: len(self.cells[name].trials))
        for name in order:
            trial = self.cells[name].next_trial(context=self._asking())
            if trial is not None:
                return self._start(Open(name, trial, 0, 0))
        return None

    def finished(self) -> bool:
        """Whether nothing runs and no cell has anything left, or nothing more is to begin."""
        if self._running:
            return False
        if self.winding_down:
            return True
        if self._redo:
            return False
        context = self._asking()
        return all(run.search_over(context=context) and run.done() for run in self.cells.values())

    def report(self, task: Task, rows: Sequence[EpochRow]) -> bool:
        """Take the rows of an epoch; False if the pruner stops the trial."""
        running = self._running[task.spec.id]
        running.rows.extend(rows)
        if time.monotonic() - running.flushed > FLUSH_S:
            self._writer.flush(running.row, _records(running.rows))
            running.flushed = time.monotonic()
        if task.spec.phase is not Phase.SEARCH or self.study.search.pruner == "none":
            return True
        curve = self._curve(running)
        if not curve:
            return True
        search = self.cells[task.cell].search
        return not search.prune(task.number, dict(running.trial.searched), curve)

    def end(self, task: Task, end: TrialEnd) -> None:
        """Commit how an attempt ended; an INTERRUPTED one is handed out again."""
        running = self._running.pop(task.spec.id)
        self._choices = plain(end.metadata.get("choices")) | self._choices
        end = self._judge(running, end)
        constraints = self._constraints(running, end) if end.state is State.COMPLETE else ()
        row = make.end_row(running.row, end, constraints)
        row["test_value"] = make.test_value(task.spec.phase, dict(end.test), task.spec.objectives[0].metric)
        if end.state is State.PRUNED and running.rows:
            row["epochs"] = running.rows[-1].epoch
        self._writer.commit(row, _records(running.rows))
        if end.state.final:
            self.committed += 1
            self.cells[task.cell].finish(
                replace(
                    running.trial,
                    state=end.state,
                    values=end.values if end.state is State.COMPLETE else (),
                    constraints=constraints,
                    curve=self._curve(running),
                )
            )
        else:
            deaths = running.deaths + (end.reason == WORKER_DIED)
            full = end.reason == OUT_OF_MEMORY
            alone = str(end.metadata.get("memory", "host")) if full else running.alone
            self._redo.append(Open(task.cell, running.trial, task.attempt, deaths, alone))

    def wind_down(self) -> None:
        """Begin nothing more; what runs ends. Safe to call from another thread."""
        self.winding_down = True

    def close(self) -> None:
        """Close what still runs (it runs again at the next launch) and wait for the last write.

        Raises StoreError if something could not be written.
        """
        for trial_id in list(self._running):
            running = self._running.pop(trial_id)
            row = make.end_row(running.row, TrialEnd(State.INTERRUPTED, DRIVER), ())
            self._writer.commit(row, _records(running.rows))
        self._writer.close()

    # -- helpers --------------------------------------------------------------------------------------

    def _asking(self) -> bool:
        hours = self.study.search.hours
        return not hours or time.monotonic() - self._begun < hours * 3600

    def _start(self, again: Open) -> Task:
        study, cell, trial = self.study, again.cell, again.trial
        final = trial.spec.phase is Phase.FINAL
        task = Task(
            study=study.name,
            cell=cell,
            spec=trial.spec,
            number=trial.number,
            attempt=again.attempts + 1,
            root=self.store.files.root if self.store.files.local is None else str(self.store.files.local),
            resources=self._resources(final, again.alone),
            exclusive=final or bool(again.alone),
            checkpoint_every=study.checkpoint_every,
            timeout_s=study.timeout_s,
            legacy_test_curve=study.final.legacy_test_curve,
            plugins=study.plugins,
            keep=final and study.keep != "none",
            fingerprint=self.fingerprint,
            choices=tuple(self._choices.items()),
        )
        label = self.cells[cell].cell.label
        row = make.start_row(
            task, label=label, searched=self._columns(cell, trial), fingerprint=self.fingerprint
        )
        self._writer.start(row)
        stages = main_stages(trial.spec)
        deaths, alone = again.worker_deaths, again.alone
        self._running[trial.spec.id] = _Running(task, trial, row, stages, deaths=deaths, alone=alone)
        return task

    def _columns(self, cell: str, trial: Trial) -> dict[str, Any]:
        chosen = dict(trial.searched)
        return {name: chosen.get(name) for name in self.cells[cell].cell.space.names}

    def _resources(self, final: bool, alone: str) -> Resources:
        asked = self.study.resources
        if not final and not alone:
            return asked
        node = alone == "host" or (final and self.study.exclusive == "node")
        return Resources(asked.cpus, max(1.0, asked.gpus) if asked.gpus > 0 else 0.0, node)

    def _judge(self, running: _Running, end: TrialEnd) -> TrialEnd:
        """Failures that deserve another try, and tries that deserve no further one."""
        if end.reason == OUT_OF_MEMORY:
            state = State.FAILED if running.alone else State.INTERRUPTED
            peak = end.metadata.get("peak_mib")
            said = f"; alone it reached {peak:.0f} MiB" if running.alone and peak else ""
            return replace(end, state=state, detail=f"{end.detail}{said}")
        if end.reason == WORKER_DIED and running.deaths + 1 >= MAX_WORKER_DEATHS:
            detail = f"its worker died {MAX_WORKER_DEATHS} times: {end.detail}"
            return replace(end, state=State.FAILED, detail=detail)
        return end

    def _curve(self, running: _Running) -> tuple[tuple[int, float], ...]:
        """(epoch, first objective) on validation in the stages that count, epochs from 1."""
        metric = running.trial.spec.objectives[0].metric
        mine = (row for row in running.rows if row.metric == metric and row.split == "valid")
        return curve_of(((row.stage, row.value) for row in mine), running.stages)

    def _constraints(self, running: _Running, end: TrialEnd) -> tuple[float, ...]:
        """Measured minus limit at the best epoch, then the pipeline's own; feasible where all <= 0."""
        at_best: dict[str, float] = {
            row.metric: row.value
            for row in running.rows
            if row.epoch == end.best_epoch and row.split == "valid"
        }
        at_best["train_s"] = float(end.metadata.get("best_train_s", 0.0))
        at_best["total_s"] = float(end.metadata.get("best_total_s", 0.0))
        if (peak_mib := end.metadata.get("peak_mib")) is not None:
            at_best["peak_mib"] = float(peak_mib)
        at_best, found = {**NO_SPIKES, **at_best}, []
        for name, bound in self.study.limits:
            if name not in at_best:
                raise HarnessError(f"limits: {name} was not measured. Measured: {', '.join(sorted(at_best))}")
            found.append(at_best[name] - bound)
        pipeline = registry.pipeline(running.trial.spec.pipeline)()
        params = pipeline.build_params(running.trial.spec.param_values())
        return (*found, *pipeline.constraints(params))

    def snapshot(self) -> Snapshot:
        """Where the study stands now; safe to call from another thread."""
        trials = [trial for run in list(self.cells.values()) for trial in list(run.trials.values())]
        ended = [trial for trial in trials if trial.state.final]
        best: list[tuple[str, float]] = []
        for name, run in list(self.cells.items()):
            values = [t.values[0] for t in list(run.trials.values()) if t.values]
            if values:
                best.append((name, (max if run.cell.objectives[0].maximize else min)(values)))
        return Snapshot(
            finished=len(ended),
            planned=sum(run.planned() for run in list(self.cells.values())),
            running=tuple(
                f"{r.task.cell} {r.task.spec.phase.value} #{r.task.number}"
                for r in list(self._running.values())
            ),
            failed=sum(trial.state is State.FAILED for trial in ended),
            best=tuple(best),
        )


def _records(rows: Sequence[EpochRow]) -> Callable[[], list[dict[str, Any]]]:
    """The rows so far as records, made by whoever writes them."""
    now = tuple(rows)
    return lambda: make.epoch_records(now)


def protocol(study: StudySpec) -> Mapping[str, Any]:
    """What a report needs of a study, as JSON values."""
    return {
        "objectives": [str(objective) for objective in study.objectives],
        "limits": dict(study.limits),
        "target": study.target,
        "baseline": study.baseline,
        "search": {
            "sampler": study.search.sampler,
            "pruner": study.search.pruner,
            "trials": study.search.trials,
            "epochs": study.search.epochs,
        },
        "confirm": {"top": study.confirm.top, "seeds": study.confirm.seeds},
        "final": {"seeds": study.final.seeds, "epochs": study.epochs(Phase.FINAL)},
        "seed": study.seed,
        "exclusive": study.exclusive,
        "path": study.path,
    }
