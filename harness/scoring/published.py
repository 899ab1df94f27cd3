"""Published rows beside ours: same data set name, same horizon, marked with how they were selected."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import ForeignFileError
from harness.scoring.values import PublishedRow
from harness.shipped import shipped_folders

COLUMNS = (
    *("paper", "year", "table", "dataset", "task", "method", "family", "neuron", "backbone", "horizon"),
    *("metric", "value", "unit", "spread", "spread_kind", "n_seeds", "selection", "provenance"),
    *("source", "note"),
)
LOWER_IS_BETTER = ("rse", "mae", "mse", "loss")


def load_published(folder: str | Path) -> pd.DataFrame:
    """All ``*.csv`` of a folder with the published columns; others are left alone.

    Raises ForeignFileError for a csv that cannot be parsed.
    """
    parts = []
    for path in sorted(Path(folder).glob("*.csv")):
        try:
            part = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise ForeignFileError(f"{path}: not a csv of published numbers: {error}") from None
        if set(COLUMNS) <= set(part.columns):
            parts.append(part[list(COLUMNS)])
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS), dtype=str)
    for name in ("value", "spread"):
        table[name] = pd.to_numeric(table[name], errors="coerce").astype("float64")
    return table


def default_folder() -> Path | None:
    """``results/published`` of the package, else of the working folder; None where neither is there."""
    return next(reversed(shipped_folders("results/published")), None)


def beside(
    table: pd.DataFrame | None, *, dataset: str, metrics: Iterable[str], horizon: int | None = None
) -> tuple[PublishedRow, ...]:
    """The published rows of a data set's exact name, best first within each metric."""
    if table is None or len(table) == 0 or not dataset:
        return ()
    order = list(metrics)
    own = table[(table["dataset"] == dataset) & table["metric"].isin(order) & table["value"].notna()]
    if horizon is not None:
        own = own[own["horizon"].isin((str(horizon), ""))]
    rows = [_row(values) for values in own.to_dict("records")]

    def place(row: PublishedRow) -> tuple[int, float, str, str]:
        sign = 1.0 if row.metric in LOWER_IS_BETTER else -1.0
        return order.index(row.metric), sign * row.value, row.method, row.selection

    return tuple(sorted(rows, key=place))


def _row(values: Mapping[Hashable, Any]) -> PublishedRow:
    return PublishedRow(**{f.name: values[f.name] for f in fields(PublishedRow)})
