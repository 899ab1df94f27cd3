"""Curves as values: validation against training time, metrics against a parameter, families of metrics.

A curve over seeds is the median of step functions: a seed keeps its last validation value until the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.scoring import stats
from harness.scoring.cell_rows import CellRows
from harness.scoring.reading import StudyRows, read_study
from harness.scoring.scoring import Table
from harness.scoring.tables import KEY, number

POINTS = 400
Floats = NDArray[np.float64]
Series = tuple[Floats, Floats]


@dataclass(frozen=True, slots=True)
class Steps:
    """A step curve over seeds: at each ``x`` the median, smallest and largest value from there on."""

    x: tuple[float, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TimeCurve:
    """One cell: ``total`` against seconds with pretraining, ``snn`` without, ``by_epoch`` against epochs.

    ``best`` and ``best_snn`` are (median seconds, median value) at the best epoch. ``comparable`` is false
    where the times are of a shared device or another hardware class; ``failed`` seeds are in the curve
    at chance level where chance is known. What is not ``trained`` (a forecast that costs nothing) has a value
    and no time.
    """

    cell: str
    label: str
    total: Steps
    snn: Steps
    by_epoch: Steps
    train_loss: Steps
    best: tuple[float, float]
    best_snn: tuple[float, float]
    seeds: int
    failed: int
    comparable: bool
    trained: bool = True


@dataclass(frozen=True, slots=True)
class CurveSet:
    """The curves of one data set on one clock, with the targets of the leaderboard."""

    study: str
    dataset: str
    name: str
    metric: str
    maximize: bool
    scale: float
    clock: str
    device_name: str
    targets: tuple[float, ...]
    provisional: bool
    curves: tuple[TimeCurve, ...]

    @property
    def pretrained(self) -> bool:
        """Whether any cell spends time on pretraining."""
        return any(curve.total != curve.snn for curve in self.curves)


@dataclass(frozen=True, slots=True)
class LinePoint:
    """A value at ``x``; ``half`` is its 95 % interval over ``n`` values, NaN where there is none."""

    x: float
    value: float
    half: float
    n: int


@dataclass(frozen=True, slots=True)
class Line:
    """Points of one series, by growing x."""

    label: str
    points: tuple[LinePoint, ...]


@dataclass(frozen=True, slots=True)
class LineSet:
    """Lines of one data set: ``y_name`` (on ``split``) against ``x_name``."""

    dataset: str
    name: str
    x_name: str
    y_name: str
    split: str
    scale: float
    lines: tuple[Line, ...]
    note: str = ""


def time_curves(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    studies: pd.DataFrame,
    *,
    study: str,
    dataset: str | None = None,
    target: float | None = None,
) -> tuple[CurveSet, ...]:
    """Time-accuracy curves of what the leaderboard scores, a set for each data set; raises as it does."""
    return curves_of_study(read_study(trials, epochs, studies, study=study, dataset=dataset, target=target))


def curves_of_study(rows: StudyRows) -> tuple[CurveSet, ...]:
    """The time-accuracy curves of a study that has been read."""
    found = []
    for table in rows.tables:
        curves = _level([_curve(table, data) for data in table.cells if len(data.scored)])
        found.append(
            CurveSet(
                study=rows.view.study,
                dataset=table.cells[0].cell.place,
                name=table.cells[0].cell.short,
                metric=table.view.metric,
                maximize=table.view.maximize,
                scale=_scale(table.view.metric, curves),
                clock=table.hardware.clock,
                device_name=table.hardware.device_name,
                targets=table.targets,
                provisional=table.provisional,
                curves=tuple(curve for curve in curves if curve.total.x),
            )
        )
    return tuple(found)


def _level(curves: list[TimeCurve]) -> list[TimeCurve]:
    """What is not trained has its value from 0 seconds to the end of the longest curve, and no best epoch.

    A point stands where the first curve begins: a logarithmic axis has no 0.
    """
    trained = [curve.total.x for curve in curves if curve.trained and curve.total.x]
    ends = (0.0, min((x[0] for x in trained), default=0.5), max((x[-1] for x in trained), default=1.0))
    never = (math.nan, math.nan)
    return [
        replace(
            curve, total=_flat(curve.total, ends), snn=_flat(curve.total, ends), best=never, best_snn=never
        )
        if not curve.trained and curve.total.x
        else curve
        for curve in curves
    ]


def _flat(steps: Steps, x: tuple[float, ...]) -> Steps:
    n = len(x)
    return Steps(x, steps.median[-1:] * n, steps.low[-1:] * n, steps.high[-1:] * n)


def _curve(table: Table, data: CellRows) -> TimeCurve:
    """One cell's curves over the seeds whose times count and the failed ones."""
    timing = table.timings[data.cell.name]
    failed = int((data.scored["state"] != "COMPLETE").sum())
    parts = [part for _, part in timing.curve.groupby("trial_id", sort=True)]
    lost = [] if math.isnan(data.cell.chance) else [data.cell.chance] * failed

    def against(x: str) -> Steps:
        return over_seeds([(_floats(p[x]), _floats(p["value"])) for p in parts], lost)

    value = stats.spread(_floats(timing.chosen.rows["value"])).median
    return TimeCurve(
        cell=data.cell.name,
        label=data.cell.label,
        total=against("total"),
        snn=against("snn"),
        by_epoch=against("epoch"),
        train_loss=_train_loss(data, timing.chosen.rows),
        best=(stats.spread(timing.table["best"]).median, value),
        best_snn=(stats.spread(timing.best_snn).median, value),
        seeds=len(parts),
        failed=failed,
        comparable=timing.chosen.comparable or table.provisional,
        trained=data.trained,
    )


def _train_loss(data: CellRows, rows: pd.DataFrame) -> Steps:
    own = data.curves[(data.curves["split"] == "train") & (data.curves["metric"] == "loss")]
    own = own.merge(rows[KEY], on=KEY)
    parts = [part for _, part in own.groupby(KEY, sort=True)]
    return over_seeds([(_floats(p["epoch"]), _floats(p["value"])) for p in parts])


def over_seeds(series: Sequence[Series], constants: Sequence[float] = ()) -> Steps:
    """The median, smallest and largest of step functions, from where all have begun.

    ``constants`` are seeds that stayed at one value (failed ones). A seed that ended keeps its last value.
    """
    series = [(x, y) for x, y in series if len(x)]
    if not series:
        return Steps((), (), (), ())
    start = max(float(x[0]) for x, _ in series)
    grid = np.unique(np.concatenate([x for x, _ in series]))
    grid = grid[grid >= start]
    if len(grid) > POINTS:
        grid = grid[np.unique(np.linspace(0, len(grid) - 1, POINTS).round().astype(int))]
    held = [y[np.searchsorted(x, grid, side="right") - 1] for x, y in series]
    held += [np.full(len(grid), value) for value in constants]
    stack = np.stack(held)
    middle = np.median(stack, axis=0)
    return Steps(*(tuple(row.tolist()) for row in (grid, middle, stack.min(0), stack.max(0))))


def _scale(metric: str, curves: Sequence[TimeCurve]) -> float:
    tops = [value for curve in curves for value in curve.total.high]
    return 100.0 if metric.endswith("accuracy") and all(v <= 1 for v in tops) else 1.0


def _floats(column: pd.Series) -> Floats:
    return np.asarray([number(v) for v in column], dtype=np.float64)
