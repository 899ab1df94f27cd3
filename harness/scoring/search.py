"""The search of a study as values: its history, and how much each parameter's rank says of the objective."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.scoring.tables import CellInfo, StudyView, parse
from harness.trial import FINAL_STATES

SHOWN = 2000
Floats = NDArray[np.float64]
Importance = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class History:
    """The search trials of one cell in the order of asking (thinned to 2,000 if there are more).

    ``best`` is the best value so far among complete trials, NaN before the first.
    """

    cell: str
    label: str
    number: tuple[int, ...]
    value: tuple[float, ...]
    best: tuple[float, ...]
    state: tuple[str, ...]
    total: int


def histories(view: StudyView, own: pd.DataFrame) -> tuple[History, ...]:
    """The search history of each cell. ``own`` are the study's last attempts."""
    found = [history(cell, own[own["cell"] == cell.name]) for cell in view.cells]
    return tuple(one for one in found if one.total)


def history(cell: CellInfo, own: pd.DataFrame) -> History:
    """One cell's search history."""
    rows = own[(own["phase"] == "search") & own["state"].isin(FINAL_STATES)].sort_values(
        "number", kind="stable"
    )
    value = pd.to_numeric(rows["value"], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    maximize = cell.objectives[0][1]
    worst = -math.inf if maximize else math.inf
    usable = np.where((rows["state"] == "COMPLETE").to_numpy() & np.isfinite(value), value, worst)
    best = (np.maximum if maximize else np.minimum).accumulate(usable) if len(usable) else usable
    best = np.where(np.isinf(best), math.nan, best)
    keep = np.unique(np.linspace(0, max(len(rows) - 1, 0), min(SHOWN, len(rows))).round().astype(int))
    return History(
        cell.name,
        cell.label,
        tuple(int(n) for n in rows["number"].to_numpy()[keep]),
        tuple(value[keep].tolist()),
        tuple(best[keep].tolist()),
        tuple(str(s) for s in rows["state"].to_numpy()[keep]),
        len(rows),
    )


def rank_correlations(view: StudyView, own: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Per cell the squared Spearman correlation of each searched parameter with the objective.

    A stand-in where nobody gives importances: it sees monotonic effects of one parameter alone. Text and
    booleans are ranked by the mean objective of each value. Cells with fewer than five complete trials: none.
    """
    found: dict[str, dict[str, float]] = {}
    for cell in view.cells:
        rows = own[(own["cell"] == cell.name) & (own["phase"] == "search") & (own["state"] == "COMPLETE")]
        rows = rows[rows["value"].notna()]
        if len(rows) < 5:
            continue
        target = rows["value"].astype("float64")
        names = dict.fromkeys(name for searched in rows["searched"] for name in parse(searched, []))
        scores = {name: _squared(_values(rows, name), target) for name in names}
        kept = {name: score for name, score in scores.items() if math.isfinite(score)}
        if kept:
            found[cell.name] = dict(sorted(kept.items(), key=lambda item: -item[1]))
    return found


def _values(rows: pd.DataFrame, name: str) -> pd.Series:
    """A searched parameter's values, null in trials that have none."""
    return pd.Series([parse(params, {}).get(name) for params in rows["params"]], index=rows.index)


def _squared(values: pd.Series, target: pd.Series) -> float:
    """Squared rank correlation over the trials that have the parameter; NaN if it never varied."""
    there = values.notna()
    values, target = values[there], target[there]
    if len(values) < 5 or values.nunique() < 2 or target.nunique() < 2:
        return math.nan
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        values = target.groupby(values.astype(str)).transform("mean")
        if values.nunique() < 2:
            return 0.0
    return float(np.corrcoef(_ranks(values), _ranks(target))[0, 1]) ** 2


def _ranks(values: pd.Series) -> Floats:
    return np.asarray(values.astype("float64").rank(), dtype=np.float64)
