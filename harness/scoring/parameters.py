"""A metric against one parameter: delay range, timesteps, share of missing values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from harness.errors import HarnessError
from harness.scoring import stats
from harness.scoring.cell_rows import seed_scores, winner
from harness.scoring.curves import Line, LinePoint, LineSet
from harness.scoring.tables import CellInfo, StudyView, last_attempts, number, parse, study_view

BINS = 12
Settings = tuple[tuple[str, str], ...]


def parameter_curves(
    trials: pd.DataFrame, studies: pd.DataFrame, *, study: str, parameter: str, dataset: str | None = None
) -> tuple[LineSet, ...]:
    """The first objective against a numeric ``parameter``, a set for each data set.

    Final seeds are used where a line of them has two values of it: mean and interval over seeds, on test, a
    line over the cells that differ in it alone (see ``_final_lines``). Otherwise the search's: the best
    validation value at each value of the parameter (of each of 12 bins if there are more): no result.
    Raises HarnessError if no trial has the parameter as a number.
    """
    return parameter_lines(study_view(studies, study), last_attempts(trials, study), parameter, dataset)


def parameter_lines(
    view: StudyView, own: pd.DataFrame, parameter: str, dataset: str | None = None
) -> tuple[LineSet, ...]:
    """The same of a study that has been read; ``own`` are its last attempts."""
    own = own.assign(x=[_value(params, parameter) for params in own["params"]])
    own = own[np.isfinite(own["x"].to_numpy(dtype=np.float64)) & own["final"]]
    if len(own) == 0:
        raise HarnessError(f"study '{view.study}': no finished trial has a numeric parameter '{parameter}'")
    made = []
    for cells in view.groups(dataset).values():
        view = view.of(cells)
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
        place, short = cells[0].place, cells[0].short
        made.append(LineSet(place, short, parameter, view.metric, split, scale, lines, note))
    return tuple(made)


def swept(view: StudyView, own: pd.DataFrame) -> tuple[str, ...]:
    """The numeric settings in which variants of one data set differ. ``own`` are the last attempts."""
    final = own[(own["phase"] == "final") & own["final"]]
    found: dict[str, None] = {}
    for cells in view.groups().values():
        here = final[final["cell"].isin([cell.name for cell in cells])]
        variants = [parse(variant, {}) for variant in here["variant"]]
        for name in dict.fromkeys(key for variant in variants for key in variant):
            values = {v for variant in variants if math.isfinite(v := number(variant.get(name)))}
            found |= {name: None} if len(values) > 1 else {}
    return tuple(found)


def _final_lines(
    view: StudyView, cells: tuple[CellInfo, ...], final: pd.DataFrame, parameter: str
) -> tuple[Line, ...]:
    """Lines over cells, by the strictest of three groupings that draws most points in lines.

    Cells belong together if their variants agree but for the parameter; or but for it and switches (true,
    false); or if their labels agree up to a comma ("240 ms, timestep 5 ms").
    """
    current = {str(name): winner(rows) for name, rows in final.groupby("cell")}
    final = final[final["config"].fillna("") == final["cell"].map(current)]
    points = {str(name): _point(view, cells, rows) for name, rows in final.groupby("cell", sort=False)}
    variants = {
        str(name): parse(rows["variant"].iloc[0], {}) for name, rows in final.groupby("cell", sort=False)
    }
    groupings: list[dict[Settings, list[str]]] = [{}, {}, {}]
    for cell in (cell for cell in cells if cell.name in points):
        rest = {k: v for k, v in sorted(variants[cell.name].items()) if k != parameter}
        plain = {k: v for k, v in rest.items() if not isinstance(v, bool)}
        for grouping, key in zip(groupings, (rest, plain, {"label": cell.label.split(",")[0]}), strict=True):
            text = tuple((k, v if isinstance(v, str) else json.dumps(v)) for k, v in key.items())
            grouping.setdefault((("", cell.pipeline), *text), []).append(cell.name)
    labels = {cell.name: cell.label for cell in cells}
    candidates = [_lines_of(grouping, points, labels) for grouping in groupings]
    return max(candidates, key=lambda lines: sum(len(line.points) for line in lines if len(line.points) > 1))


def _lines_of(
    grouping: Mapping[Settings, list[str]], points: Mapping[str, LinePoint], labels: Mapping[str, str]
) -> tuple[Line, ...]:
    """The lines of a grouping; none if two cells of one line have the same value of the parameter."""
    lines: dict[Settings, tuple[LinePoint, ...]] = {}
    for key, names in grouping.items():
        own = sorted((points[name] for name in names if points[name].n), key=lambda p: p.x)
        if len({p.x for p in own}) < len(own):
            return ()
        lines[key] = tuple(own)
    if any(len(own) > 1 for own in lines.values()):
        lines = {key: own for key, own in lines.items() if len(own) > 1}
    shared = set.intersection(*map(set, lines)) if len(lines) > 1 else set()
    found = []
    for key, line in lines.items():
        named = dict(key)
        parts = [f"{k} {v}".strip() for k, v in key if (k, v) not in shared]
        single = labels[grouping[key][0]] if len(grouping[key]) == 1 else ""
        found.append(Line(single or named.get("label") or ", ".join(parts) or named[""], line))
    return tuple(line for line in found if line.points)


def _point(view: StudyView, cells: tuple[CellInfo, ...], rows: pd.DataFrame) -> LinePoint:
    """One cell's mean over seeds at its value of the parameter; failed seeds at chance."""
    chance = next(cell.chance for cell in cells if cell.name == rows["cell"].iloc[0])
    seeds = seed_scores(rows, "test_value", chance, maximize=view.maximize)
    summary = stats.summarize([seed.value for seed in seeds])
    return LinePoint(float(rows["x"].iloc[0]), summary.mean, summary.half, summary.n)


def _search_lines(view: StudyView, cells: tuple[CellInfo, ...], own: pd.DataFrame) -> tuple[Line, ...]:
    done = own[(own["phase"] == "search") & (own["state"] == "COMPLETE") & own["value"].notna()]
    lines = []
    for cell in cells:
        rows = done[done["cell"] == cell.name]
        groups = rows["value"].groupby(_binned(rows["x"]), sort=True)
        best = groups.agg(["max" if view.maximize else "min", "size"])
        points = [LinePoint(float(x), float(value), math.nan, int(n)) for x, value, n in best.itertuples()]
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
