"""A series and what is wrong with its time stamps and cells: order, doubles, gaps, and how they are filled.

Axes: n rows in time, C variates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import DataError

Missing = Literal["error", "ffill", "interpolate", "zero", "keep"]


@dataclass(frozen=True)
class Series:
    """Values (n, C), the variates' names, time stamps (n,) in seconds or None, and what was filled."""

    values: NDArray[np.float64]
    names: tuple[str, ...]
    times: NDArray[np.datetime64] | None = None
    filled: int = 0
    inserted: int = 0


@dataclass(frozen=True)
class Location:
    """A file in words, and the line that its first row stands in (None: it has no lines)."""

    where: str
    first: int | None

    def row(self, row: int) -> str:
        """Where a row is, rows counted from 0: a line of a text file, or the number of the row."""
        return (
            f"{self.where}: row {row} (from 0)" if self.first is None else f"{self.where}:{self.first + row}"
        )


def regular(series: Series, missing: Missing, location: Location) -> Series:
    """Time stamps sorted, unique and of one step; missing steps become NaN rows (error, keep: not).

    Raises DataError with the first time stamp that is not, and what to do.
    """
    times = series.times
    if times is None or len(times) < 2:
        return series
    steps = np.diff(times).astype(np.int64)
    if (steps <= 0).any():
        row = int(np.flatnonzero(steps <= 0)[0]) + 1
        what = "is there twice" if steps[row - 1] == 0 else f"comes after {times[row - 1]}"
        raise DataError(
            f"{location.row(row)}: time stamp {times[row]} {what}. Sort the rows by time and keep "
            "one row a time stamp."
        )
    if missing == "keep":
        return series
    step = int(np.median(steps))
    if (steps % step).any():
        row = int(np.flatnonzero(steps % step)[0]) + 1
        raise DataError(
            f"{location.row(row)}: {steps[row - 1]} s after the row before; the usual step is "
            f"{step} s. Resample the series to one step."
        )
    if (steps == step).all():
        return series
    row = int(np.flatnonzero(steps != step)[0]) + 1
    total = int((times[-1] - times[0]).astype(np.int64)) // step + 1
    inserted = total - len(times)
    if missing == "error":
        raise DataError(
            f"{location.row(row)}: {steps[row - 1] // step - 1} steps are missing before "
            f"{times[row]} ({inserted} in all). Set missing: ffill, interpolate or zero to fill them."
        )
    at = (times - times[0]).astype(np.int64) // step
    values = np.full((total, series.values.shape[1]), np.nan)
    values[at] = series.values
    grid = times[0] + np.arange(total) * np.timedelta64(step, "s")
    return replace(series, values=values, times=grid, inserted=inserted)


def filled(series: Series, missing: Missing, location: Location) -> Series:
    """NaN filled as asked; leading ones take the first value that follows.

    Raises DataError with the first missing value where ``missing`` is error or keep.
    """
    gaps = np.isnan(series.values)
    if not gaps.any():
        return series
    row, column = (int(i[0]) for i in np.nonzero(gaps))
    label = series.names[column]
    if missing in ("error", "keep"):
        raise DataError(
            f"{location.row(row)}: column '{label}' has no value ({int(gaps.sum())} missing in all). "
            "Set missing: ffill, interpolate or zero to fill them."
        )
    empty = gaps.all(axis=0)
    if empty.any() and missing != "zero":
        raise DataError(
            f"{location.where}: column '{series.names[int(np.argmax(empty))]}' has no value at all."
        )
    frame = pd.DataFrame(series.values)
    if missing == "zero":
        frame = frame.fillna(0.0)
    else:
        frame = frame.interpolate() if missing == "interpolate" else frame
        frame = frame.ffill().bfill()
    return replace(series, values=frame.to_numpy(dtype=np.float64), filled=int(gaps.sum()))
