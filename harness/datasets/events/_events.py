"""Event recordings of the shared files: `x`, `y`, `p`, `dt_us` and `offset` to times and units."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError


def times_from_differences(dt_us: NDArray[Any], offset: NDArray[np.int64]) -> NDArray[np.int32]:
    """Times (N,) in microseconds since each recording's start.

    `dt_us` (N,) is the difference to the event before in the same recording, the first one
    absolute; recording i is `[offset[i], offset[i + 1])`.
    """
    total = np.cumsum(dt_us, dtype=np.int64)
    before = np.concatenate([[0], total])[offset[:-1]]
    times: NDArray[np.int32] = (total - np.repeat(before, np.diff(offset))).astype(np.int32)
    return times


def flat_units(
    polarity: NDArray[Any],
    row: NDArray[Any],
    col: NDArray[Any],
    shape: tuple[int, int, int],
    what: str,
) -> NDArray[Any]:
    """The address `(p * H + row) * W + col` of each event, uint16 where it fits.

    Raises DataError where an event is outside `shape` (channels, H, W); `what` names its place.
    """
    channels, height, width = shape
    for name, values, limit in (
        ("polarity", polarity, channels),
        ("row", row, height),
        ("column", col, width),
    ):
        if len(values) and not (values.min() >= 0 and values.max() < limit):
            raise DataError(
                f"{what}: {name} {values.min()}..{values.max()} is outside the canvas: allowed 0..{limit - 1}"
            )
    dtype = np.uint16 if channels * height * width <= 1 << 16 else np.uint32
    units = (polarity.astype(np.int64) * height + row) * width + col
    small: NDArray[Any] = units.astype(dtype)
    return small
