"""A metric against one parameter: delay range, timesteps, share of missing values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from harness.errors import HarnessError
from harness.report import stats
from harness.report.curves import Line, LineSet, Point
from harness.report.frames import CellInfo, StudyView, last_attempts, number, parse, study_view
from harness.report.rows import seed_scores, winner

BINS = 12


def parameter_curves(
    trials: pd.DataFrame, studies: pd.DataFrame, *, study: str, parameter: str, dataset: str | None = None
) -> tuple[LineSet, ...]:
    """The first objective against a numeric ``parameter``, a set for each data set.

    Final seeds are used where a line of them has two values of it: mean and interval over seeds, on test, one
    line for each pipeline and arm (``parameter`` apart). Otherwise the search's: the best validation value
    at each value of the parameter (of each of 12 bins where there are more), which is no result.
    Raises HarnessError if no trial has the parameter as a number.
    """
    view = study_view(studies, study)
    own = last_attempts(trials, study)
    own = own.assign(x=[_value(params, parameter) for params in own["params"]])
    own = own[np.isfinite(own["x"].to_numpy(dtype=np.float64)) & own["final"]]
    if len(own) == 0:
        raise HarnessError(f"study '{study}': no finished trial has a numeric parameter '{parameter}'")
    made = []
    for cells in view.groups(dataset).values():
        here = own[own["cell"].isin([cell.name for cell in cells])]
        final = here[here["phase"] == "final"]
        lines = _final_lines(view, cells, final, parameter)
        use_final = any(len(line.points) > 1 for line in lines)
        lines = lines if use_final else _search_lines(view, cells, here)
        note = "" if use_final else "best search trial on validation: not a result"
        split = "test" if use_final else "validation"
        values = [p.value for line in lines for p in line.points]
        share = view.metric.endswith("accuracy") and all(v <= 1 for v in values)
        scale = 100.0 if share else 1.0
        made.append(LineSet(cells[0].place, parameter, view.metric, split, scale, lines, note))
    return tuple(made)


def _final_lines(
    view: StudyView, cells: tuple[CellInfo, ...], final: pd.DataFrame, parameter: str
) -> tuple[Line, ...]:
    current = {str(name): winner(rows) for name, rows in final.groupby("cell")}
    final = final[final["config"].fillna("") == final["cell"].map(current)]
    chance = {cell.name: cell.chance for cell in cells}
    labels = {cell.name: cell.label for cell in cells}
    arms = [_rest(arm, parameter) for arm in final["arm"]]
    series = [f"{name} {arm}".strip() for name, arm in zip(final["pipeline"], arms, strict=True)]
    lines = []
    for name, rows in final.assign(series=series).groupby("series", sort=True):
        points = []
        for x in sorted(rows["x"].unique()):
            at = rows[rows["x"] == x]
            floor = chance[str(at["cell"].iloc[0])]
            seeds = seed_scores(at, "test_value", floor, maximize=view.maximize)
            summary = stats.summarize([seed.value for seed in seeds])
            if summary.n:
                points.append(Point(float(x), summary.mean, summary.half, summary.n))
        names = rows["cell"].unique()
        label = labels[str(names[0])] if len(names) == 1 else str(name)
        lines.append(Line(label, tuple(points)))
    return tuple(line for line in lines if line.points)


def _search_lines(view: StudyView, cells: tuple[CellInfo, ...], own: pd.DataFrame) -> tuple[Line, ...]:
    done = own[(own["phase"] == "search") & (own["state"] == "COMPLETE") & own["value"].notna()]
    lines = []
    for cell in cells:
        rows = done[done["cell"] == cell.name]
        groups = rows["value"].groupby(_binned(rows["x"]), sort=True)
        best = groups.agg(["max" if view.maximize else "min", "size"])
        points = [Point(float(x), float(value), math.nan, int(n)) for x, value, n in best.itertuples()]
        if points:
            lines.append(Line(cell.label, tuple(points)))
    return tuple(lines)


def _binned(x: pd.Series) -> pd.Series:
    """The values themselves if they are few, else the median of each of :data:`BINS` equally filled bins."""
    if x.nunique() <= BINS:
        return x
    bins = pd.qcut(x, BINS, duplicates="drop", labels=False)
    found: pd.Series = x.groupby(bins).transform("median")
    return found


def _value(params: object, parameter: str) -> float:
    found = parse(params, {})
    return number(found.get(parameter)) if isinstance(found, Mapping) else math.nan


def _rest(arm: object, parameter: str) -> str:
    """An arm's settings without the parameter, as text."""
    rest = {key: value for key, value in parse(arm, {}).items() if key != parameter}
    return ", ".join(f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in sorted(rest.items()))
