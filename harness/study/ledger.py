"""From tables to trials: what has ended, what was interrupted, and how often."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any

from harness.contracts.choices import plain
from harness.engine.base import WORKER_DIED
from harness.errors import UnknownNameError
from harness.space import Scalar
from harness.store.results import ResultStore
from harness.study.cell_phases import Trial
from harness.study.curve import StageValue, curve_of, main_stages
from harness.studyfile.values import StudySpec
from harness.train.task import OUT_OF_MEMORY
from harness.trial import Phase, State, TrialSpec

FAILED = "failed"
_COLUMNS = (
    "cell",
    "trial_id",
    "number",
    "attempt",
    "seed",
    "phase",
    "params",
    "state",
    "reason",
    "values",
    "constraints",
    "epochs_planned",
    "metadata",
)


@dataclass(frozen=True, slots=True)
class Open:
    """A trial that was handed out and has not ended: it runs again with the same parameters.

    ``alone`` is what had no room for it (``host``, ``device``): it runs with nothing beside it there.
    """

    cell: str
    trial: Trial
    attempts: int
    worker_deaths: int
    alone: str = ""


@dataclass(slots=True)
class Ledger:
    """The trials of a study by cell, and the open ones in the order they were begun."""

    trials: dict[str, list[Trial]] = field(default_factory=lambda: defaultdict(list))
    open: list[Open] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)  # the last one's number, by trial
    choices: dict[str, str] = field(
        default_factory=dict
    )  # of measured alternatives: the first of each stands


def read_ledger(store: ResultStore, study: StudySpec, *, with_curves: bool = False) -> Ledger:
    """Everything the tables tell of a study. Cells that the study no longer has are left alone.

    Curves are read where a pruner needs them, or if asked.
    """
    rows = store.trials(study.name, _COLUMNS)
    ledger = Ledger()
    if rows.empty:
        return ledger
    cells = {cell.name: cell for cell in study.cells}
    curves = _curves(store, study) if with_curves or study.search.pruner != "none" else {}
    names = {cell.name: set(cell.space.names) for cell in study.cells}
    groups: dict[tuple[str, str], list[dict[str, object]]] = defaultdict(list)
    for record in rows.to_dict("records"):
        if record["cell"] in cells:
            key = (str(record["cell"]), str(record["trial_id"]))
            groups[key].append({str(k): v for k, v in record.items()})
    ordered = sorted(groups.items(), key=lambda item: _order(item[1][0]))
    for (cell_name, trial_id), attempts in ordered:
        attempts.sort(key=lambda row: int(str(row["attempt"])))
        row = attempts[-1]
        for one in attempts:
            ledger.choices = plain(_map(one["metadata"]).get("choices")) | ledger.choices
        params: dict[str, Scalar] = _map(row["params"])
        cell = cells[cell_name]
        spec = TrialSpec(
            dataset=cell.dataset,
            pipeline=cell.pipeline,
            params=tuple(sorted(params.items())),
            seed=int(str(row["seed"])),
            phase=Phase(str(row["phase"])),
            epochs=int(str(row["epochs_planned"])),
            objectives=cell.objectives,
            variant=cell.variant,
        )
        searched = tuple(sorted((k, v) for k, v in params.items() if k in names[cell_name]))
        state = State(str(row["state"]))
        trial = Trial(
            spec=spec,
            number=int(str(row["number"])),
            searched=searched,
            state=state if state.final else State.RUNNING,
            values=_floats(row["values"]) if state is State.COMPLETE else (),
            constraints=_floats(row["constraints"]) if state is State.COMPLETE else (),
        )
        points = curves.pop((trial_id, int(str(row["attempt"]))), None)  # freed while the trials grow
        if points:
            trial = replace(trial, curve=curve_of(points, main_stages(trial.spec)))
        ledger.trials[cell_name].append(trial)
        ledger.attempts[trial_id] = int(str(row["attempt"]))
        if not trial.state.final:
            deaths = sum(row["reason"] == WORKER_DIED for row in attempts)
            full = [row for row in attempts if row["reason"] == OUT_OF_MEMORY]
            alone = str(_map(full[-1]["metadata"]).get("memory", "host")) if full else ""
            ledger.open.append(Open(cell_name, trial, int(str(attempts[-1]["attempt"])), deaths, alone))
    return ledger


def retry_failures(ledger: Ledger, which: str) -> int:
    """Open failed trials again, all of them (``failed``) or the one with this id; how many.

    Raises UnknownNameError if no failed trial has this id, or none failed.
    """
    failed = {
        trial.spec.id: (cell, at, trial)
        for cell, trials in ledger.trials.items()
        for at, trial in enumerate(trials)
        if trial.state is State.FAILED
    }
    chosen = list(failed) if which == FAILED else [which]
    for trial_id in chosen:
        if trial_id not in failed:
            raise UnknownNameError("failed trial", trial_id, failed)
        cell, at, trial = failed[trial_id]
        again = replace(trial, state=State.RUNNING, values=(), constraints=(), curve=())
        ledger.trials[cell][at] = again
        ledger.open.append(Open(cell, again, ledger.attempts[trial_id], 0))
    return len(chosen)


def _map(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _floats(value: object) -> tuple[float, ...]:
    return tuple(float(one) for one in value) if isinstance(value, list) else ()


def _order(row: dict[str, object]) -> tuple[int, str, int]:
    phases = [phase.value for phase in Phase]
    return phases.index(str(row["phase"])), str(row["cell"]), int(str(row["number"]))


def _curves(store: ResultStore, study: StudySpec) -> dict[tuple[str, int], list[StageValue]]:
    """(stage, first objective on validation) by (trial, attempt), epochs in order."""
    only = {"split": ["valid"], "metric": sorted({cell.objectives[0].metric for cell in study.cells})}
    mine = store.epochs(study.name, ["trial_id", "attempt", "epoch", "stage", "value"], only=only)
    mine = mine.sort_values(["trial_id", "attempt", "epoch"], kind="stable")
    found: dict[tuple[str, int], list[StageValue]] = defaultdict(list)
    lists = (mine[name].tolist() for name in ("trial_id", "attempt", "stage", "value"))
    for trial_id, attempt, stage, value in zip(*lists, strict=True):
        found[(trial_id, attempt)].append((intern(stage), value))
    return found
