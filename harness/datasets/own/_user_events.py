"""A user's event recordings: flat times and addresses, and where each recording begins."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.datasets.events._events import flat_units
from harness.datasets.own._user import NpzOptions
from harness.datasets.own._user_file import UserFile
from harness.errors import DataError

_MICROSECONDS: Final = {"us": 1, "ms": 1_000, "s": 1_000_000}


def samples(file: UserFile, options: NpzOptions) -> int:
    """The number of recordings, from the header of the offsets. Raises DataError."""
    shape, dtype = file.header(options.offset)
    if len(shape) != 1 or shape[0] < 2 or dtype.kind not in "iu":
        raise DataError(
            f"{file.path}: offsets '{options.offset}' are {dtype} {shape}: expected N + 1 integers"
        )
    return shape[0] - 1


def sensor(file: UserFile, options: NpzOptions) -> tuple[int, ...]:
    """The sensor's shape as the study gives it, (channels,) or (C, H, W). Raises DataError."""
    shape = options.shape
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise DataError(
            f"{file.path}: events need the sensor's shape, [channels] or [polarities, height, "
            f"width], not {list(shape)}"
        )
    return tuple(shape)


def duration_us(file: UserFile, options: NpzOptions, time_us: NDArray[np.int64] | None = None) -> int:
    """A recording's length: `duration_ms`, else up to the latest event of all. Raises DataError."""
    if options.duration_ms is not None:
        duration = round(options.duration_ms * 1000)
        if duration < 1:
            raise DataError(f"{file.path}: duration_ms {options.duration_ms}: must be > 0")
        return duration
    times = _times(file, options) if time_us is None else time_us
    return int(times.max(initial=0)) + 1


def _times(file: UserFile, options: NpzOptions) -> NDArray[np.int64]:
    key = options.times
    times = file.read(key)
    if times.ndim != 1 or times.dtype.kind not in "iuf":
        raise DataError(f"{file.path}: times '{key}' are {times.dtype} {times.shape}: expected (N,)")
    if not np.isfinite(times).all() or times.min(initial=0) < 0:
        raise DataError(f"{file.path}: times '{key}' must be finite and not negative")
    factor = _MICROSECONDS[options.time_unit]
    if times.dtype.kind in "iu":
        return times.astype(np.int64) * factor
    return np.rint(times.astype(np.float64) * factor).astype(np.int64)


def read(file: UserFile, options: NpzOptions) -> dict[str, NDArray[Any]]:
    """`time_us`, `unit`, `offset`, and the sensor and duration. Raises DataError."""
    shape = sensor(file, options)
    samples(file, options)
    time_us = _times(file, options)
    offset = file.read(options.offset)
    if offset[0] != 0 or offset[-1] != len(time_us) or (np.diff(offset.astype(int)) < 0).any():
        raise DataError(
            f"{file.path}: offsets '{options.offset}' must rise from 0 to the number of events, "
            f"{len(time_us)}"
        )
    unit = _units(file, options, shape)
    if len(unit) != len(time_us):
        raise DataError(f"{file.path}: {len(time_us)} times but {len(unit)} addresses")
    return {
        "time_us": time_us.astype(np.int32) if time_us.max(initial=0) < 2**31 else time_us,
        "unit": unit,
        "offset": offset.astype(np.int64),
        "sensor": np.array(shape, dtype=np.int64),
        "duration_us": np.array([duration_us(file, options, time_us)], dtype=np.int64),
    }


def _units(file: UserFile, options: NpzOptions, shape: tuple[int, ...]) -> NDArray[Any]:
    if options.rows is None and options.cols is None:
        unit = file.read(options.units)
        limit = int(np.prod(shape))
        if unit.dtype.kind not in "iu" or unit.min(initial=0) < 0 or unit.max(initial=0) >= limit:
            raise DataError(f"{file.path}: units '{options.units}' must be integers 0..{limit - 1}")
        return unit.astype(np.uint16 if limit <= 1 << 16 else np.uint32)
    if options.rows is None or options.cols is None or len(shape) != 3:
        raise DataError(f"{file.path}: a camera's events need rows, cols and a shape of 3 axes")
    rows, cols = file.read(options.rows), file.read(options.cols)
    polarity = file.read(options.polarity) if options.polarity else np.zeros(len(rows), np.uint8)
    if not len(rows) == len(cols) == len(polarity):
        raise DataError(f"{file.path}: {len(rows)} rows, {len(cols)} columns and {len(polarity)} polarities")
    return flat_units(polarity, rows, cols, (shape[0], shape[1], shape[2]), str(file.path))
