"""A study read once: its last launch, the trials that are scored and the targets, by data set."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pandas as pd

from harness.errors import HarnessError
from harness.scoring import stats
from harness.scoring.cell_rows import FORECAST_METRICS, CellRows, measured, pick
from harness.scoring.hardware import hardware_of
from harness.scoring.scoring import Table, baseline_of
from harness.scoring.tables import KEY, CellInfo, StudyView, curves_of, last_attempts, parse, study_view
from harness.studyfile.values import TRIVIAL


@dataclass(frozen=True)
class StudyRows:
    """A study as read once: its last launch, the last attempts of its trials, what is scored by data set."""

    view: StudyView
    own: pd.DataFrame
    tables: tuple[Table, ...]


def read_study(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    studies: pd.DataFrame,
    *,
    study: str,
    dataset: str | None = None,
    target: float | None = None,
) -> StudyRows:
    """Read the three tables, once for every board, curve and family; raises as a leaderboard does."""
    view = study_view(studies, study)
    own = last_attempts(trials, study)
    return StudyRows(view, own, tables_of(view, own, epochs, dataset=dataset, target=target))


def tables_of(
    view: StudyView,
    own: pd.DataFrame,
    epochs: pd.DataFrame,
    *,
    dataset: str | None = None,
    target: float | None = None,
) -> tuple[Table, ...]:
    """What is scored, by data set: the cells' chosen trials with their curves; raises as leaderboard does.

    ``own`` are the study's last attempts.
    """
    metrics = {cells[0].objectives[0][0] for cells in view.groups(dataset).values()}
    if target is not None and len(metrics) > 1:
        raise HarnessError(
            f"study '{view.study}': target {target:g} is for one metric, its boards are judged by "
            f"{' and '.join(sorted(metrics))}; name a data set as well"
        )
    picked = [_pick_all(view.of(cells), cells, own) for cells in view.groups(dataset).values()]
    keys = pd.concat([data.scored[KEY] for found in picked for data in found])
    curves = curves_of(epochs, view.study, keys)
    by_cell = {str(name): part for name, part in curves.groupby("cell", sort=False)}
    filled = [
        tuple(replace(data, curves=by_cell.get(data.cell.name, curves.iloc[:0])) for data in cells)
        for cells in picked
    ]
    return tuple(_table(view.of([data.cell for data in cells]), cells, target) for cells in filled)


def _pick_all(view: StudyView, cells: tuple[CellInfo, ...], own: pd.DataFrame) -> tuple[CellRows, ...]:
    _validate_baselines(view, cells)
    names = {cell.name for cell in cells}
    here = own[own["cell"].isin(names)]
    provisional = not bool(((here["phase"] == "final") & here["final"]).any())
    parts = dict(iter(here.groupby("cell", sort=False)))
    return tuple(
        pick(view, cell, parts.get(cell.name, here.iloc[:0]), provisional=provisional) for cell in cells
    )


def _validate_baselines(view: StudyView, cells: tuple[CellInfo, ...]) -> None:
    if cells[0].task != "forecasting":
        return
    missing = [name for name in TRIVIAL if name not in {cell.pipeline for cell in cells}]
    if missing:
        raise HarnessError(
            f"study '{view.study}', data set '{cells[0].place}': a forecasting board needs its trivial "
            f"baselines beside it; add to the data set's pipelines: {', '.join(missing)}"
        )


def _table(view: StudyView, cells: tuple[CellRows, ...], target: float | None) -> Table:
    provisional = not any(data.final for data in cells)
    timed = [data.scored for data in cells if data.trained] or [data.scored for data in cells]
    value, origin = _targets(view, cells, target)
    hardware = hardware_of(view, pd.concat(timed))
    return Table(view, cells, provisional, hardware, value, origin, _floors(cells))


def _floors(cells: tuple[CellRows, ...]) -> dict[str, float]:
    """What a failed forecasting seed scores in each metric: the train mean's value on this table."""
    found: dict[str, float] = {}
    for data in cells:
        if data.cell.pipeline == "train-mean" and data.final:
            tests = [parse(text, {}) for text in data.scored["test"]]
            for name in FORECAST_METRICS:
                mean = stats.summarize([test.get(name, math.nan) for test in tests]).mean
                if not math.isnan(mean):
                    found[name] = mean
    return found


def _targets(
    view: StudyView, cells: tuple[CellRows, ...], target: float | None
) -> tuple[tuple[float, ...], str]:
    """The target: the argument, the protocol's number, or the baseline's median best validation value.

    The last is reached by half of the baseline's own seeds; for an accuracy a second target one point
    below it says more.
    """
    if target is not None:
        return (target,), "given"
    if view.protocol.get("target") is not None:
        return (float(view.protocol["target"]),), "fixed in the study"
    data = baseline_of(view, cells)
    if data is None:
        return (), ""
    median = stats.spread(measured(data.scored, "value")).median
    if math.isnan(median):
        return (), ""
    point = 0.01 if median <= 1 else 1.0
    easier = (median - point,) if view.metric.endswith("accuracy") else ()
    return (median, *easier), f"median best validation of {data.cell.label}"
