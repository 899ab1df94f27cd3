"""A series from a file: csv, text matrix, parquet, HDF5; every fault is one line with its place.

Axes: n rows in time, C variates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.datasets.series_hdf import read_hdf
from harness.errors import DataError, UnknownNameError

Missing = Literal["error", "ffill", "interpolate", "zero", "keep"]
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}


@dataclass(frozen=True)
class Series:
    """Values (n, C), the variates' names, time stamps (n,) in seconds or None, and what was filled."""

    values: NDArray[np.float64]
    names: tuple[str, ...]
    times: NDArray[np.datetime64] | None = None
    filled: int = 0
    inserted: int = 0


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    ``columns`` are the variates to keep (none: all), ``time`` the column of time stamps (None: the
    first one if it is not a number; "": none), ``header`` whether the first line holds names (None:
    if it is not all numbers), ``key`` the table inside an HDF5 file.
    """

    columns: tuple[str, ...] = ()
    time: str | None = None
    separator: str = ","
    header: bool | None = None
    key: str = ""
    missing: Missing = "error"


def read_series(path: Path, reading: Reading, name: str) -> Series:
    """The series of a file, checked: numbers, sorted unique times, gaps treated as asked.

    Raises DataError: a cell that is no number, a missing value or step where ``missing`` is error,
    time stamps that are unsorted, doubled or of uneven step, another separator, an unknown column.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((s for s in reversed(suffixes) if s != ".gz"), "")
    where = f"data set '{name}': {path.name}"
    try:
        if kind in (".h5", ".hdf5", ".hdf"):
            frame, first = read_hdf(path, reading.key, where), 0
        elif kind in (".parquet", ".pq"):
            frame, first = _with_index(pd.read_parquet(path)), 0
        elif kind in (".csv", ".txt", ".tsv"):
            frame, first = _read_text(path, reading, where)
        else:
            raise DataError(f"{where}: known are .csv, .txt, .parquet and .h5, csv and txt also .gz")
    except (OSError, ValueError) as error:  # pandas and pyarrow raise many kinds of ValueError
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{where}: cannot be read: {line}") from None
    frame.columns = [str(column) for column in frame.columns]
    times, frame = _take_times(frame, reading, where, first)
    frame = _chosen(frame, reading.columns, where)
    values = _numbers(frame, where, first)
    series = Series(values, tuple(frame.columns), times)
    if times is not None:
        series = _regular(series, reading.missing, where, first)
    return _filled(series, reading.missing, where, first)


def _read_text(path: Path, reading: Reading, where: str) -> tuple[pd.DataFrame, int]:
    """The table and the line number of its first row."""
    head = pd.read_csv(path, sep="\0", header=None, nrows=1, dtype=str, engine="c").iloc[0, 0]
    if reading.separator not in str(head):
        other = next((s for s in _SEPARATORS if s != reading.separator and s in str(head)), None)
        if other is not None:
            text = "\\t" if other == "\t" else other
            raise DataError(
                f"{where}: the first line has no '{reading.separator}' but has "
                f"'{text}' ({_SEPARATORS[other]}). Set separator: \"{text}\"."
            )
    cells = str(head).split(reading.separator)
    header = reading.header if reading.header is not None else not all(map(_is_number, cells))
    frame = pd.read_csv(
        path,
        sep=reading.separator,
        header=0 if header else None,
        float_precision="round_trip",
        low_memory=False,
    )
    return frame, 2 if header else 1


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """A time index becomes the first column."""
    if isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.copy()
        frame.insert(0, str(frame.index.name or "time"), frame.index)
    return frame.reset_index(drop=True)


def _take_times(
    frame: pd.DataFrame, reading: Reading, where: str, first: int
) -> tuple[NDArray[np.datetime64] | None, pd.DataFrame]:
    """Time stamps in seconds (UTC where they carry a zone), and the table without them."""
    column = reading.time
    if column == "":
        return None, frame
    if column is None:
        if not len(frame.columns) or pd.api.types.is_numeric_dtype(frame.iloc[:, 0]):
            return None, frame
        column = str(frame.columns[0])
    if column not in frame.columns:
        raise DataError(f"{where}: {UnknownNameError('column', column, frame.columns)}")
    stamps = pd.to_datetime(frame[column], errors="coerce", utc=True, format="mixed")
    if stamps.isna().any():
        row = int(np.flatnonzero(stamps.isna())[0])
        raise DataError(
            f"{where}:{first + row}: column '{column}': '{frame[column].iloc[row]}' is no time stamp. "
            'Name the column of time stamps with time: .., or set time: "" where there is none.'
        )
    times = stamps.dt.tz_localize(None).to_numpy().astype("datetime64[s]")
    return times, frame.drop(columns=[column])


def _chosen(frame: pd.DataFrame, columns: tuple[str, ...], where: str) -> pd.DataFrame:
    for column in columns:
        if column not in frame.columns:
            raise DataError(f"{where}: {UnknownNameError('column', column, frame.columns)}")
    frame = frame[list(columns)] if columns else frame
    if not len(frame.columns) or not len(frame):
        raise DataError(f"{where}: no values: {len(frame)} rows of {len(frame.columns)} columns.")
    return frame


def _numbers(frame: pd.DataFrame, where: str, first: int) -> NDArray[np.float64]:
    """The cells as numbers, NaN where one is missing. Raises DataError with the first other cell."""
    for column in frame.columns:
        cells = frame[column]
        if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
            continue
        bad = pd.to_numeric(cells, errors="coerce").isna() & cells.notna()
        if pd.api.types.is_bool_dtype(cells):
            bad[:] = True
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"{where}:{first + row}: column '{column}': '{cells.iloc[row]}' is not a number. "
                "Correct it, or choose the numeric columns with columns: [..]."
            )
    values: Any = frame.apply(pd.to_numeric).to_numpy(dtype=np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        row, at = (int(i[0]) for i in np.nonzero(infinite))
        raise DataError(f"{where}:{first + row}: column '{frame.columns[at]}' is infinite.")
    return np.ascontiguousarray(values)


def _regular(series: Series, missing: Missing, where: str, first: int) -> Series:
    """Time stamps sorted, unique and of one step; missing steps become NaN rows (error, keep: not)."""
    times = series.times
    if times is None or len(times) < 2:
        return series
    steps = np.diff(times).astype(np.int64)
    if (steps <= 0).any():
        row = int(np.flatnonzero(steps <= 0)[0]) + 1
        what = "is there twice" if steps[row - 1] == 0 else f"comes after {times[row - 1]}"
        raise DataError(
            f"{where}:{first + row}: time stamp {times[row]} {what}. Sort the rows by time and keep "
            "one row a time stamp."
        )
    if missing == "keep":
        return series
    step = int(np.median(steps))
    if (steps % step).any():
        row = int(np.flatnonzero(steps % step)[0]) + 1
        raise DataError(
            f"{where}:{first + row}: {steps[row - 1]} s after the row before; the usual step is "
            f"{step} s. Resample the series to one step."
        )
    if (steps == step).all():
        return series
    row = int(np.flatnonzero(steps != step)[0]) + 1
    total = int((times[-1] - times[0]).astype(np.int64)) // step + 1
    inserted = total - len(times)
    if missing == "error":
        raise DataError(
            f"{where}:{first + row}: {steps[row - 1] // step - 1} steps are missing before "
            f"{times[row]} ({inserted} in all). Set missing: ffill, interpolate or zero to fill them."
        )
    at = (times - times[0]).astype(np.int64) // step
    values = np.full((total, series.values.shape[1]), np.nan)
    values[at] = series.values
    grid = times[0] + np.arange(total) * np.timedelta64(step, "s")
    return replace(series, values=values, times=grid, inserted=inserted)


def _filled(series: Series, missing: Missing, where: str, first: int) -> Series:
    """NaN filled as asked; leading ones take the first value that follows."""
    gaps = np.isnan(series.values)
    if not gaps.any():
        return series
    row, column = (int(i[0]) for i in np.nonzero(gaps))
    label = series.names[column]
    if missing in ("error", "keep"):
        raise DataError(
            f"{where}:{first + row}: column '{label}' has no value ({int(gaps.sum())} missing in all). "
            "Set missing: ffill, interpolate or zero to fill them."
        )
    empty = gaps.all(axis=0)
    if empty.any() and missing != "zero":
        raise DataError(f"{where}: column '{series.names[int(np.argmax(empty))]}' has no value at all.")
    frame = pd.DataFrame(series.values)
    if missing == "zero":
        frame = frame.fillna(0.0)
    else:
        frame = frame.interpolate() if missing == "interpolate" else frame
        frame = frame.ffill().bfill()
    return replace(series, values=frame.to_numpy(dtype=np.float64), filled=int(gaps.sum()))


def time_features(times: NDArray[np.datetime64]) -> NDArray[np.float32]:
    """Minute of hour, hour, weekday, day of month, day of year, each in [-.5, .5]: (n, 5).

    Source: SeqSNN's released code (arXiv 2402.01533), which takes them from GluonTS.
    """
    index = pd.DatetimeIndex(times)
    parts = [
        index.minute / 59.0,
        index.hour / 23.0,
        index.dayofweek / 6.0,
        (index.day - 1) / 30.0,
        (index.dayofyear - 1) / 365.0,
    ]
    return np.stack([np.asarray(part, dtype=np.float32) - 0.5 for part in parts], axis=1)
