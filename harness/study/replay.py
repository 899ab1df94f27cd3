"""Curves for simulated studies: those of a finished study, or a synthetic family."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.engine.simulated import CurveSource, Replay
from harness.errors import HarnessError
from harness.ids import derive_seed
from harness.space import Choice, Parameter, Params, Scalar
from harness.store.results import ResultStore
from harness.study.curve import main_stages
from harness.study.ledger import read_ledger
from harness.studyfile.values import Cell, StudySpec
from harness.train.task import Task
from harness.trial import Phase, State

EPOCH_S = 1.0
NOISE = 0.003
RATE, SPREAD = 0.25, 0.5  # of the approach, an epoch; how far points differ in it (in the logarithm)
FAR = 1.0  # the distance between values of a choice, and of a parameter that only one of two points has


def check(spec: StudySpec) -> None:
    """Raise HarnessError for a study whose trials one curve does not describe."""
    if any(len(cell.objectives) > 1 for cell in spec.cells) or spec.limits:
        raise HarnessError(
            f"study '{spec.name}' has several objectives or limits; a simulation replays one curve a trial. "
            "Give one objective and no limits."
        )


class StoredCurves:
    """The curves of a finished study: a trial replays that of the nearest configuration that ran there.

    Nearest in the unit cube of the searched space (:func:`distances`). A curve that was stopped early
    keeps its last value for the epochs that it never had: it was stopped because it was behind.
    Raises HarnessError if a cell of ``spec`` has no search trial with a curve in the store.
    """

    def __init__(self, store: ResultStore, name: str, spec: StudySpec) -> None:
        check(spec)
        ledger = read_ledger(store, replace(spec, name=name), with_curves=True)
        seconds = _epoch_seconds(store, name)
        self._cells: dict[str, _Cell] = {}
        for cell in spec.cells:
            trials = [
                (dict(trial.searched), [value for _, value in trial.curve])
                for trial in ledger.trials.get(cell.name, ())
                if trial.spec.phase is Phase.SEARCH
                and trial.state.final
                and trial.curve
                and trial.state is not State.FAILED
            ]
            if not trials:
                raise HarnessError(
                    f"study '{name}' has no search trial with a curve in cell '{cell.name}'. "
                    "Run its search first, or replay a synthetic family: --from synthetic."
                )
            self._cells[cell.name] = _Cell(cell, trials, seconds.get(cell.name, EPOCH_S))

    def replay(self, task: Task) -> Replay:
        """The curve of the nearest stored configuration, cut or held at the planned length."""
        cell = self._cells[task.cell]
        return Replay(cell.curve(task), cell.epoch_s, _stage(task))

    def best(self, cell: str) -> float:
        """The best value that any curve reaches."""
        known = self._cells[cell]
        values = [value for curve in known.curves for value in curve]
        return (max if known.cell.objectives[0].maximize else min)(values)


class _Cell:
    """The stored curves of one cell beside their points."""

    def __init__(self, cell: Cell, trials: Sequence[tuple[Params, list[float]]], epoch_s: float) -> None:
        self.cell, self.epoch_s = cell, epoch_s
        self.points = np.stack([units(cell, params) for params, _ in trials])
        self.curves = [curve for _, curve in trials]

    def curve(self, task: Task) -> tuple[float, ...]:
        away = distances(self.cell, self.points, units(self.cell, task.spec.param_values()))
        stored = self.curves[int(np.argmin(away))]
        return tuple(stored[min(epoch, len(stored) - 1)] for epoch in range(task.spec.epochs))


class SyntheticCurves:
    """A family of curves over any space: a bowl with few important parameters, saturating with epochs.

    The value after E epochs is ``top - sum w_i (u_i - o_i)^2`` for a point u of the unit cube, with weights w
    of which a few dominate; it is approached exponentially, slower for some points than others, so that
    early epochs mislead at times; every epoch has noise. All from named seeds.
    """

    TOP = 0.95
    WEIGHT = 1.2

    def __init__(self, spec: StudySpec, seed: int = 0) -> None:
        check(spec)
        self._spec, self._seed = spec, seed
        self._cells = {cell.name: cell for cell in spec.cells}
        self._shapes = {cell.name: self._shape(cell) for cell in spec.cells}

    def _shape(self, cell: Cell) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        rng = np.random.default_rng(derive_seed(self._seed, "family", cell.name))
        count = max(1, len(cell.space.names))
        weights = self.WEIGHT * 0.5 ** np.arange(count)
        slow = rng.normal(size=count)
        at = rng.uniform(0.25, 0.75, count)
        there = {
            parameter.name: parameter.domain.from_unit(float(unit))
            for parameter, unit in zip(cell.space, at, strict=False)
        }
        optimum = np.array([_coordinate(parameter, there[parameter.name]) for parameter in cell.space])
        optimum = optimum if len(optimum) else at  # nothing is searched
        return optimum, rng.permutation(weights), slow / np.linalg.norm(slow)

    def replay(self, task: Task) -> Replay:
        """The curve of a configuration and seed."""
        cell = self._cells[task.cell]
        optimum, weights, slow = self._shapes[task.cell]
        point = np.nan_to_num(units(cell, task.spec.param_values()), nan=0.5)
        if not len(point):
            point = optimum
        end = max(0.1, self.TOP - float(weights @ (point - optimum) ** 2))
        rate = RATE * float(np.exp(SPREAD * (slow @ (point - 0.5))))
        rng = np.random.default_rng(derive_seed(self._seed, "noise", task.spec.id))
        epochs = np.arange(1, task.spec.epochs + 1)
        rise = -np.expm1(-rate * epochs) / -np.expm1(-rate * task.spec.epochs)
        values = end * rise + rng.normal(0.0, NOISE, task.spec.epochs)
        sign = 1.0 if cell.objectives[0].maximize else -1.0
        return Replay(tuple((sign * values).tolist()), EPOCH_S, _stage(task))

    def best(self, cell: str) -> float:
        """The value of the best configuration, without noise."""
        return self.TOP if self._cells[cell].objectives[0].maximize else -self.TOP


def units(cell: Cell, params: Params) -> NDArray[np.float64]:
    """A point of the cell's space, one axis a parameter: in [0, 1], NaN where it does not exist."""
    return np.array([_unit(parameter, params) for parameter in cell.space], dtype=np.float64)


def _unit(parameter: Parameter, params: Params) -> float:
    value = params.get(parameter.name)
    if value is None or not parameter.active(params):
        return float("nan")
    return _coordinate(parameter, value)


def _coordinate(parameter: Parameter, value: Scalar) -> float:
    domain = parameter.domain
    if isinstance(domain, Choice):
        return domain.options.index(value) / max(1, len(domain.options) - 1)
    return float(np.clip(domain.to_unit(float(value)), 0.0, 1.0))


def distances(cell: Cell, points: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances (n,) of rows to a point. Values of a choice, and a parameter that one of two lacks,
    are as far apart as can be.
    """
    choices = np.array([isinstance(parameter.domain, Choice) for parameter in cell.space], dtype=bool)
    apart = np.abs(points - point)
    apart = np.where(choices & (apart > 0), FAR, apart)
    apart = np.where(np.isnan(points) & np.isnan(point), 0.0, np.where(np.isnan(apart), FAR, apart))
    return np.asarray((apart**2).sum(1))


def _stage(task: Task) -> str:
    return min(main_stages(task.spec))


def _epoch_seconds(store: ResultStore, name: str) -> dict[str, float]:
    """Seconds of one epoch by cell, over all finished attempts."""
    rows = store.trials(name, ["cell", "epochs", "train_s"])
    found: dict[str, list[float]] = defaultdict(list)
    for cell, epochs, train_s in zip(rows["cell"], rows["epochs"], rows["train_s"], strict=True):
        if epochs and train_s == train_s and train_s > 0:
            found[str(cell)].append(train_s / epochs)
    return {cell: float(np.median(values)) for cell, values in found.items()}


__all__ = ["CurveSource", "StoredCurves", "SyntheticCurves", "check", "units"]
