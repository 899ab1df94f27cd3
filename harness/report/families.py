"""Families of metrics: one name with a number behind it, such as ``delay_histogram/7`` or ``accuracy@T8``."""

from __future__ import annotations

import re

import pandas as pd

from harness.report import stats
from harness.report.curves import Line, LineSet, Point
from harness.report.frames import KEY, last_attempts, study_view
from harness.report.leaderboard import tables_of
from harness.report.rows import FORECAST_METRICS, CellRows

HISTOGRAM = "delay_histogram"
NAMES = ("accuracy", "loss", HISTOGRAM, *FORECAST_METRICS)
FAMILY = re.compile(r"^(?P<name>.+)[/@](?P<unit>[A-Za-z_]*)=?(?P<x>-?\d+(?:\.\d+)?)$")
UNITS = {
    "": "",
    "t": "timesteps",
    "T": "timesteps",
    "steps": "timesteps",
    "missing": "missing share",
}
Key = tuple[str, str]


def families(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    studies: pd.DataFrame,
    *,
    study: str,
    dataset: str | None = None,
) -> tuple[LineSet, ...]:
    """Every family of :data:`NAMES` at the best epoch on validation, mean and interval over seeds.

    The histogram of learned delays, accuracy by timesteps or a forecast's R2 by share of missing values
    arrive this way. One set for each data set and family; raises as the leaderboard does.
    """
    view = study_view(studies, study)
    made: list[LineSet] = []
    for table in tables_of(view, last_attempts(trials, study), epochs, dataset=dataset):
        found: dict[Key, list[Line]] = {}
        for data in table.cells:
            for key, points in _of_cell(data).items():
                found.setdefault(key, []).append(Line(data.cell.label, points))
        for (name, unit), lines in found.items():
            scale = 100.0 if name.startswith("accuracy") else 1.0
            x_name = "delay (timesteps)" if name.startswith(HISTOGRAM) else UNITS.get(unit, unit)
            made.append(LineSet(table.cells[0].cell.place, x_name, name, "validation", scale, tuple(lines)))
    return tuple(made)


def _of_cell(data: CellRows) -> dict[Key, tuple[Point, ...]]:
    good = data.scored[data.scored["state"] == "COMPLETE"]
    own = data.curves[data.curves["split"] == "valid"]
    matches = {str(name): FAMILY.match(str(name)) for name in own["metric"].unique()}
    known = {name: m for name, m in matches.items() if m and re.split("[/_]", m["name"])[0] in _FIRST}
    if not known or len(good) == 0:
        return {}
    keys = good[[*KEY, "best_epoch"]].rename(columns={"best_epoch": "epoch"})
    keys = keys.assign(epoch=pd.to_numeric(keys["epoch"]).astype("int64"))
    own = own[own["metric"].isin(known)]
    own = own.assign(epoch=own["epoch"].astype("int64")).merge(keys, on=[*KEY, "epoch"])
    found: dict[Key, list[Point]] = {}
    for metric, values in own.groupby("metric", sort=False)["value"]:
        match, summary = known[str(metric)], stats.summarize(values)
        point = Point(float(match["x"]), summary.mean, summary.half, summary.n)
        found.setdefault((match["name"], match["unit"]), []).append(point)
    return {key: tuple(sorted(points, key=lambda p: p.x)) for key, points in found.items()}


_FIRST = {name.split("_")[0] for name in NAMES}
