"""What every series has in common: read, normalise, cut into windows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from harness.contracts.data import Arrays, Dataset, DatasetCard, Split, SplitName
from harness.datasets.series.series_frame import time_features
from harness.datasets.series.series_gaps import Series
from harness.datasets.series.series_windows import (
    WindowOptions,
    WindowSplit,
    last_known,
    normalized,
    training_rows,
    window_starts,
)
from harness.errors import DataError

MASKED = (
    "values of {:g} are missing (null_value): they count in no statistic, loss or metric, and enter a "
    "window as the last value before them"
)


class SeriesDataset(Dataset):
    """A multivariate series in windows: x (L, C + time features), y (H, C).

    A subclass says how many rows and variates there are without reading them, and reads them.
    ``prepare`` stores the normalised series once; every window of every trial is a view on it.
    """

    Options: ClassVar[type[BaseModel]] = WindowOptions
    licence: ClassVar[str] = "the user's own"
    citation: ClassVar[str] = "the user's own"
    timed: ClassVar[bool] = True
    """Whether rows have time stamps."""

    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Rows and variates before ``columns``. Raises MissingDataError where the file is absent."""

    @abstractmethod
    def read(self) -> Series:
        """The series with the chosen columns. Raises DataError where the file is wrong."""

    @abstractmethod
    def provenance(self) -> tuple[str, str, str]:
        """Revision, sha256 (or "") and origin of the data."""

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError, and DataError where windows do not fit."""
        options: WindowOptions = self.options
        rows, variates = self.size()
        variates = len(options.columns) or variates
        if options.time_features and not self.timed:
            raise DataError(f"data set '{self.name}' has no time stamps: time_features must be false.")
        starts = window_starts(rows, options, self.name)
        revision, sha256, origin = self.provenance()
        return DatasetCard(
            name=self.name,
            revision=revision,
            task="forecasting",
            layout="nlc",
            shape=(options.window, variates + 5 * options.time_features),
            counts=(len(starts["train"]), len(starts["valid"]), len(starts["test"])),
            horizon=options.horizon,
            variates=variates,
            sha256=sha256,
            licence=self.licence,
            citation=self.citation,
            origin=origin,
            notes=describe(rows, options, self.name),
            masked=options.null_value is not None,
            remarks=() if options.null_value is None else (MASKED.format(options.null_value),),
        )

    def prepare(self) -> Arrays:
        """`values` (n, C) normalised, `time` (n, 5) if asked for, `shift` and `scale` (C,)."""
        options: WindowOptions = self.options
        series = self.read()
        there = None if options.null_value is None else series.values != options.null_value
        raw = series.values if there is None else np.where(there, series.values, np.nan)
        values, shift, scale = normalized(raw, series.names, options, self.name)
        filled = np.array([series.filled, series.inserted], dtype=np.int64)
        arrays: dict[str, NDArray[Any]] = {
            "values": values,
            "shift": shift,
            "scale": scale,
            "filled": filled,
            "names": np.array(series.names, dtype=np.str_),
        }
        if there is not None:
            arrays |= {"values": last_known(values), "there": there}
        if options.time_features:
            if series.times is None:
                raise DataError(
                    f"data set '{self.name}': no column of time stamps was found, so time_features "
                    "must be false. Name the column with time: .."
                )
            arrays["time"] = time_features(series.times)
        return arrays

    def metadata(self, arrays: Arrays) -> Mapping[str, Any]:
        """How the series became windows, defaults included, and what was filled.

        ``statistics`` says which rows the normalisation saw: the papers' whole-series rules leak the test
        rows into it. ``filled`` counts filled values, ``inserted`` the steps that had no row.
        """
        options: WindowOptions = self.options
        rows = len(arrays["values"])
        filled, inserted = (int(n) for n in arrays["filled"])
        return {
            "rows": rows,
            "variates": int(arrays["values"].shape[1]),
            "time_inputs": 5 * options.time_features,
            "window": options.window,
            "horizon": options.horizon,
            "stride": options.stride,
            "eval_stride": options.eval_stride,
            "split": list(options.borders) or {"train": options.train, "test": options.test},
            "normalize": options.normalize,
            "statistics": statistics(rows, options, self.name),
            "missing": options.missing,
            "null_value": options.null_value,
            "filled": filled,
            "inserted": inserted,
        }

    def applied(self, arrays: Arrays) -> Mapping[str, Any]:
        """Names of the variates, and how each was shifted and scaled: (value - shift) / scale."""
        names = {"variates": "names", "shift": "shift", "scale": "scale"}
        return {key: arrays[name].tolist() for key, name in names.items() if name in arrays}

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The windows of one split."""
        options: WindowOptions = self.options
        values = arrays["values"]
        index = window_starts(len(values), options, self.name)[name]
        return WindowSplit(values, index, options, arrays.get("time"), arrays.get("there"))


def statistics(rows: int, options: WindowOptions, name: str) -> str:
    """The rows that the normalisation looks at, in words."""
    if options.normalize == "none":
        return "no row"
    if options.normalize == "train":
        return f"training rows 0..{training_rows(rows, options, name) - 1}"
    return f"all rows 0..{rows - 1}, the test rows too"


def describe(rows: int, options: WindowOptions, name: str) -> str:
    """What was done to the series, in words, for the card."""
    parts = [
        f"{rows} rows; window {options.window}, horizon {options.horizon}",
        f"stride {options.stride}, {options.eval_stride} in evaluation",
        f"split by rows {list(options.borders)}"
        if options.borders
        else f"split {options.train:g} train, {options.test:g} test of the windows",
        f"normalize {options.normalize}, statistics of {statistics(rows, options, name)}",
        f"missing: {options.missing}",
    ]
    return "; ".join(parts)
