"""Families of metrics: one name with a number behind it, such as ``delay_share/07`` or ``accuracy_t8``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pandas as pd

from harness.scoring import stats
from harness.scoring.cell_rows import FORECAST_METRICS, CellRows
from harness.scoring.curves import Line, LinePoint, LineSet
from harness.scoring.reading import StudyRows, read_study
from harness.scoring.tables import number, parse

HISTOGRAMS = ("delay_histogram", "delay_share")
FIRST = ("accuracy", "loss", *FORECAST_METRICS)
FAMILY = re.compile(r"^(?P<name>.+?)(?:[/@]|_(?=t\d))(?P<unit>[A-Za-z_]*)=?(?P<x>-?\d+(?:\.\d+)?)$")
UNITS = {"": "", "t": "timesteps", "T": "timesteps", "missing": "share of missing inputs"}
Key = tuple[str, str]


def families(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    studies: pd.DataFrame,
    *,
    study: str,
    dataset: str | None = None,
) -> tuple[LineSet, ...]:
    """Every family of :data:`FIRST` and :data:`HISTOGRAMS`: mean and interval over seeds.

    The histogram of learned delays, accuracy by timesteps or a forecast's R2 by share of missing inputs
    arrive this way: from the test metrics where final seeds have them, else from validation at the best
    epoch (at the last one that has them). One set for each data set and family; raises as the leaderboard.
    """
    return families_of(read_study(trials, epochs, studies, study=study, dataset=dataset))


def families_of(rows: StudyRows) -> tuple[LineSet, ...]:
    """The families of a study that has been read."""
    made: list[LineSet] = []
    for table in rows.tables:
        for split, read in (("test", _tested), ("validation", _validated)):
            found: dict[Key, list[Line]] = {}
            for data in table.cells:
                for key, points in _of_cell(read(data)).items():
                    found.setdefault(key, []).append(Line(data.cell.label, points))
            known = {(one.name, one.y_name, one.x_name) for one in made}
            for (name, unit), lines in found.items():
                x_name = "delay (timesteps)" if is_histogram(name) else UNITS.get(unit, unit)
                first, scale = table.cells[0].cell, 100.0 if name.startswith("accuracy") else 1.0
                if (first.short, name, x_name) not in known:
                    made.append(LineSet(first.place, first.short, x_name, name, split, scale, tuple(lines)))
    return tuple(made)


def is_histogram(name: str) -> bool:
    """Whether a family is a histogram of delays."""
    return name.startswith(HISTOGRAMS)


def member(metric: str) -> re.Match[str] | None:
    """The match of a metric that belongs to a family, None for others (layers, learned constants)."""
    match = FAMILY.match(metric)
    if match is None or not (is_histogram(match["name"]) or match["name"] in FIRST):
        return None
    return match


def _tested(data: CellRows) -> dict[str, list[float]]:
    """The test metrics of the seeds that ended well, by name."""
    good = data.scored[data.scored["state"] == "COMPLETE"]
    found: dict[str, list[float]] = {}
    for text in good["test"] if data.final else ():
        for name, value in parse(text, {}).items():
            found.setdefault(name, []).append(number(value))
    return found


def _validated(data: CellRows) -> dict[str, list[float]]:
    """The validation metrics at each seed's best epoch, or the last one that has them, by name."""
    own = data.curves[data.curves["split"] == "valid"]
    names = [name for name in own["metric"].unique() if member(str(name))]
    good = data.scored[data.scored["state"] == "COMPLETE"]
    best = dict(zip(good["trial_id"], pd.to_numeric(good["best_epoch"], errors="coerce"), strict=True))
    own = own[own["metric"].isin(names) & own["trial_id"].isin(best)]
    own = own.assign(at_best=own["epoch"] == own["trial_id"].map(best))
    own = own.sort_values(["at_best", "epoch"], kind="stable")
    own = own.drop_duplicates(["trial_id", "metric"], keep="last")
    return {str(name): part.tolist() for name, part in own.groupby("metric", sort=False)["value"]}


def _of_cell(values: Mapping[str, Iterable[float]]) -> dict[Key, tuple[LinePoint, ...]]:
    found: dict[Key, list[LinePoint]] = {}
    for metric, seeds in values.items():
        match, summary = member(metric), stats.summarize(list(seeds))
        if match is not None and summary.n:
            point = LinePoint(float(match["x"]), summary.mean, summary.half, summary.n)
            found.setdefault((match["name"], match["unit"]), []).append(point)
    return {key: tuple(sorted(points, key=lambda p: p.x)) for key, points in found.items()}
