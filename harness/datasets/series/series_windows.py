"""Windows over one series: options, splits, normalisation. A window is a view, a batch the only copy.

Axes: n rows in time, L window, H horizon, C variates.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from pydantic import Field, field_validator

from harness.contracts.data import Batch, Index, NoOptions, SplitName, index_digest
from harness.datasets.series.series_gaps import Missing
from harness.errors import DataError

Normalize = Literal["train", "leaky-max", "leaky-variate", "leaky-scalar", "none"]
Values = NDArray[np.float64]
Number = TypeVar("Number", np.float32, np.bool_)


class WindowOptions(NoOptions):
    """How a series becomes windows; recorded in every row.

    ``window`` past rows, ``horizon`` rows to forecast, ``stride`` rows between training windows and
    ``eval_stride`` between validation and test windows; one that divides the series' period sees some
    of its phases only (8 of an hourly series: persistence on ETTh1 gains .23 R2). ``train`` and
    ``test`` are shares of the windows, what remains between them is valid (SeqSNN's rule);
    ``borders`` are rows of train, valid and test instead (ETT: [8640, 2880, 2880]). ``normalize``:
    ``train`` is a z-score by variate from training rows alone; ``leaky-max``, ``leaky-variate``,
    ``leaky-scalar`` are the papers' 1, 2, 3, which look at the whole series, its test part included.
    ``time_features`` adds the papers' five as inputs. ``columns`` chooses variates by name.
    ``missing`` says what becomes of missing values
    and steps: error, or filled (ffill, interpolate, zero); keep leaves gaps between time stamps as
    they are and refuses missing values. ``null_value`` is what the series writes for a missing value
    (METR-LA: 0): such values count in no statistic, loss or metric, and enter a window as the last
    value before them.
    """

    window: int = 96
    horizon: int = 24
    stride: int = 1
    eval_stride: int = 1
    train: float = 0.6
    test: float = 0.2
    borders: tuple[int, ...] = ()
    normalize: Normalize = "train"
    time_features: bool = False
    columns: tuple[str, ...] = ()
    missing: Missing = "error"
    null_value: float | None = Field(default=None, allow_inf_nan=False)

    @field_validator("borders", "columns", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("window", "horizon", "stride", "eval_stride")
    @classmethod
    def _one_or_more(cls, value: int) -> int:
        if value < 1:
            raise ValueError(f"{value} is below 1; allowed are whole numbers from 1")
        return value

    @field_validator("train", "test")
    @classmethod
    def _share(cls, value: float) -> float:
        if not 0.0 < value < 1.0:
            raise ValueError(f"{value:g} is not a share between 0 and 1")
        return value

    @field_validator("borders")
    @classmethod
    def _three(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if value and (len(value) != 3 or min(value) < 1):
            raise ValueError("borders are three positive numbers of rows: train, valid, test")
        return value


def window_starts(rows: int, options: WindowOptions, name: str) -> dict[SplitName, Index]:
    """First rows of the windows of each split.

    By shares: of all n - L - H + 1 windows, in order of time; neighbouring splits overlap in rows, as
    in SeqSNN, but share no window. By borders: targets lie in the split's own rows. Raises DataError
    where a split has no window.
    """
    length = options.window + options.horizon
    if options.borders:
        train, valid, test = options.borders
        ends = (train, train + valid, train + valid + test)
        if ends[2] > rows:
            raise DataError(f"data set '{name}': borders need {ends[2]} rows, there are {rows}.")
        first = (0, ends[0] - options.window, ends[1] - options.window)
        last = tuple(end - length + 1 for end in ends)
    else:
        total = max(0, rows - length + 1)
        n_train, n_test = int(total * options.train), int(total * options.test)
        first, last = (0, n_train, total - n_test), (n_train, total - n_test, total)
    strides = (options.stride, options.eval_stride, options.eval_stride)
    starts = [
        np.arange(max(0, a), b, step, dtype=np.int64) for a, b, step in zip(first, last, strides, strict=True)
    ]
    if not all(len(found) for found in starts):
        raise DataError(
            f"data set '{name}': {rows} rows are too few for window {options.window} + horizon "
            f"{options.horizon}: train, valid and test get {', '.join(str(len(s)) for s in starts)} "
            "windows. Shorten window or horizon, or change train, test or borders."
        )
    return {"train": starts[0], "valid": starts[1], "test": starts[2]}


def normalized(
    values: Values, names: tuple[str, ...], options: WindowOptions, name: str
) -> tuple[NDArray[np.float32], Values, Values]:
    """(values - shift) / scale as float32, with shift and scale (C,); NaN is missing and stays.

    Raises DataError where a variate is constant, or never there, in the rows that the scale comes from.
    """
    variates = values.shape[1]
    shift, scale = np.zeros(variates), np.ones(variates)
    rows = values[: training_rows(len(values), options, name)]
    gone = np.isnan(rows).all(axis=0)
    if gone.any():
        first = names[int(np.flatnonzero(gone)[0])]
        raise DataError(
            f"data set '{name}': variate '{first}' has no value in the training rows but null_value "
            f"{options.null_value:g}. Leave it out with columns: [..]."
        )
    mean, std, most, least = (
        (np.nanmean, np.nanstd, np.nanmax, np.nanmin)
        if np.isnan(values).any()
        else (np.mean, np.std, np.max, np.min)
    )
    if options.normalize == "train":
        shift, scale = mean(rows, axis=0), std(rows, axis=0)
        constant = most(rows, axis=0) - least(rows, axis=0) == 0
    elif options.normalize == "leaky-scalar":
        shift, scale = np.full(variates, mean(values)), np.full(variates, std(values))
        constant = scale == 0
    else:
        if options.normalize == "leaky-max":
            scale = np.full(variates, most(values))
        elif options.normalize == "leaky-variate":
            scale = most(np.abs(values), axis=0)
        constant = scale == 0
    if constant.any():
        first = names[int(np.flatnonzero(constant)[0])]
        more = f" and {int(constant.sum()) - 1} more" if constant.sum() > 1 else ""
        raise DataError(
            f"data set '{name}': variate '{first}'{more} is constant in the rows that normalize: "
            f"{options.normalize} looks at; its scale and its R2 are undefined. Leave it out with "
            "columns: [..] or use normalize: none."
        )
    return ((values - shift) / scale).astype(np.float32), shift, scale


def last_known(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Missing values (NaN) by the last one before them in time, by 0 (the mean) where there is none."""
    rows = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    found = np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)
    return np.nan_to_num(found, nan=0.0)


def training_rows(rows: int, options: WindowOptions, name: str) -> int:
    """The number of rows that training windows cover, targets included."""
    last = int(window_starts(rows, options, name)["train"][-1])
    return last + options.window + options.horizon


class WindowSplit:
    """Windows of one split: views on the memory-mapped series, copied only into a batch.

    ``index`` (N,) are first rows. A batch has x (B, L, C + time features) and y (B, H, C); ``there``
    (n, C) says which values are not missing: y is NaN at the others.
    """

    def __init__(
        self,
        values: NDArray[np.float32],
        index: Index,
        options: WindowOptions,
        time_features: NDArray[np.float32] | None = None,
        there: NDArray[np.bool_] | None = None,
    ) -> None:
        self.values, self.index, self.options = values, index, options
        self.there = there
        self.known = None if there is None else _views(there, options.window + options.horizon)
        self.windows = _views(values, options.window + options.horizon)
        self.times = None if time_features is None else _views(time_features, options.window)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def digest(self) -> str:
        """A hash of the windows' first rows."""
        return index_digest(self.index)

    def past(self) -> NDArray[np.float32]:
        """The rows (n, C) up to the first target of the last window, NaN where they are missing.

        For training windows of stride 1 these are all rows before the first validation target.
        """
        first, last = int(self.index[0]), int(self.index[-1])
        part = slice(first, last + self.options.window + 1)
        rows = self.values[part]
        return rows if self.there is None else np.where(self.there[part], rows, np.float32("nan"))

    def batch(self, index: Index) -> Batch:
        """The windows at positions ``index``."""
        starts = self.index[index]
        both = torch.from_numpy(self.windows[starts])
        x, y = both[:, : self.options.window], both[:, self.options.window :]
        if self.known is not None:
            known = torch.from_numpy(self.known[starts][:, self.options.window :])
            y = y.masked_fill(~known, math.nan)
        if self.times is not None:
            x = torch.cat([x, torch.from_numpy(self.times[starts])], dim=2)
        return Batch(x, y)


def _views(values: NDArray[Number], length: int) -> NDArray[Number]:
    """Every window of ``length`` rows (n - length + 1, length, C), read-only views."""
    plain = np.asarray(values)  # a memory map as an array over the same pages
    row, column = plain.strides
    shape = (len(plain) - length + 1, length, plain.shape[1])
    return as_strided(plain, shape, (row, row, column), writeable=False)
