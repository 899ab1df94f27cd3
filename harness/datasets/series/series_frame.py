"""A series from a file: csv, text matrix, parquet, HDF5; every error is one line with its location.

Axes: n rows in time, C variates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.datasets.series.series_gaps import Location, Missing, Series, filled, regular
from harness.datasets.series.series_hdf import read_hdf
from harness.errors import DataError, UnknownNameError

# Decimals to the nearest double: what pandas does from 3.1 on, and where naming it is deprecated.
_OLD = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
_EXACT: dict[str, Any] = {"float_precision": "round_trip"} if _OLD else {}
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    ``columns`` are the variates to keep (none: all), ``time`` the column of time stamps (None: the
    first one if it is not a number; "": none), ``separator`` " " any run of blanks, ``decimal`` the mark
    before a number's fraction, ``header`` whether the first line holds names (None: if it is not all
    numbers), ``key`` the table inside an HDF5 file.
    """

    columns: tuple[str, ...] = ()
    time: str | None = None
    separator: str = ","
    decimal: str = "."
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
    first: int | None = None
    try:
        if kind in (".h5", ".hdf5", ".hdf"):
            frame = read_hdf(path, reading.key, where)
        elif kind in (".parquet", ".pq"):
            frame = _with_index(pd.read_parquet(path))
        elif kind in (".csv", ".txt", ".tsv"):
            frame, first = _read_text(path, reading, where)
        else:
            raise DataError(f"{where}: known are .csv, .txt, .parquet and .h5, csv and txt also .gz")
    except (OSError, ValueError) as error:  # pandas and pyarrow raise many kinds of ValueError
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        more = " Save it as UTF-8." if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"{where}: cannot be read: {line}.{more}") from None
    frame.columns = [str(column) for column in frame.columns]
    location = Location(where, first)
    times, frame = _take_times(frame, reading, location)
    frame = _chosen(frame, reading.columns, where)
    values = _numbers(frame, location)
    series = Series(values, tuple(frame.columns), times)
    if times is not None:
        series = regular(series, reading.missing, location)
    return filled(series, reading.missing, location)


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
    cells = str(head).split(None if reading.separator == " " else reading.separator)
    cells = [cell.replace(reading.decimal, ".") for cell in cells]
    header = reading.header if reading.header is not None else not all(map(_is_number, cells))
    frame = pd.read_csv(
        path,
        sep=r"\s+" if reading.separator == " " else reading.separator,
        decimal=reading.decimal,
        header=0 if header else None,
        low_memory=False,
        **_EXACT,
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
    frame: pd.DataFrame, reading: Reading, location: Location
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
        raise DataError(f"{location.where}: {UnknownNameError('column', column, frame.columns)}")
    if pd.api.types.is_numeric_dtype(frame[column]):
        raise DataError(
            f"{location.where}: column '{column}' holds numbers, not time stamps such as 2020-01-31 13:00. "
            'Write dates, or set time: "" and choose the variates with columns: [..].'
        )
    stamps = pd.to_datetime(frame[column], errors="coerce", utc=True, format="mixed")
    if stamps.isna().any():
        row = int(np.flatnonzero(stamps.isna())[0])
        raise DataError(
            f"{location.row(row)}: column '{column}': '{frame[column].iloc[row]}' is no time stamp. "
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


def _numbers(frame: pd.DataFrame, location: Location) -> NDArray[np.float64]:
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
            found = str(cells.iloc[row])
            comma = 'Set decimal: ",". ' if _is_number(found.replace(",", ".")) else ""
            raise DataError(
                f"{location.row(row)}: column '{column}': '{found}' is not a number. "
                f"{comma or 'Correct it, '}"
                + ("" if comma else "or choose the numeric columns with columns: [..].")
            )
    values: Any = frame.apply(pd.to_numeric).to_numpy(dtype=np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        row, at = (int(i[0]) for i in np.nonzero(infinite))
        raise DataError(
            f"{location.row(row)}: column '{frame.columns[at]}' is infinite. Correct the cell, or empty it "
            "and set missing: ffill, interpolate or zero."
        )
    return np.ascontiguousarray(values)


def time_features(times: NDArray[np.datetime64]) -> NDArray[np.float32]:
    """Minute of hour, hour, weekday, day of month, day of year, each in [-.5, .5]: (n, 5).

    Source: SeqSNN's released code (arXiv 2402.01533), which takes them from GluonTS.
    """
    index = pd.DatetimeIndex(times)
    parts = [
        index.minute / 59.0,
        index.hour / 23.0,
        index.day_of_week / 6.0,
        (index.day - 1) / 30.0,
        (index.day_of_year - 1) / 365.0,
    ]
    return np.stack([np.asarray(part, dtype=np.float32) - 0.5 for part in parts], axis=1)
