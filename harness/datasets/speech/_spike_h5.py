"""Reader of SHD's and SSC's own HDF5 layout (Cramer et al. 2022): spikes, units, labels, speakers."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.datasets._hdf5 import open_hdf5
from harness.errors import DataError

CHANNELS: Final = 700
LONGEST_S: Final = 60
"""Beyond a minute float16 milliseconds end; SHD's recordings last at most 1.37 s."""
_KEYS: Final = ("spikes/times", "spikes/units", "labels")


def heads(path: Path, classes: int | None) -> dict[str, NDArray[np.int64]]:
    """Labels `y` and `speaker` (N,) alone, -1 where the file names no speakers. Raises DataError."""
    with _open(path) as file:
        y = _labels(file, path, classes)
        return {"y": y, "speaker": _speakers(file, path, len(y))}


def read(path: Path, classes: int | None, channels: int = CHANNELS) -> dict[str, NDArray[Any]]:
    """All recordings of a file: `time_us`, `unit` (events,), `offset` (N + 1,), `y`, `speaker` (N,).

    Times are float16 seconds in the file; they become the float16 milliseconds that the released code
    computes, in whole microseconds. `speaker` is -1 where the file has none. Empty recordings are allowed.
    ``classes`` None takes any whole numbers from 0. Raises DataError for missing keys, units outside 0..699
    (or ``channels`` - 1), times that are not sorted, labels outside
    the classes, spikes beyond :data:`LONGEST_S`.
    """
    with _open(path) as file:
        y = _labels(file, path, classes)
        times, units = file["spikes/times"], file["spikes/units"]
        if not len(times) == len(units) == len(y):
            raise DataError(
                f"{path}: {len(times)} recordings of times, {len(units)} of units and {len(y)} labels; "
                "they must be as many."
            )
        count = np.zeros(len(y), dtype=np.int64)
        parts_t, parts_u = [], []
        for i in range(len(y)):
            time, unit = _recording(times[i], units[i], f"{path}: recording {i}", channels)
            count[i] = len(time)
            parts_t.append(time)
            parts_u.append(unit)
        speaker = _speakers(file, path, len(y))
    return {
        "time_us": np.concatenate([np.empty(0, np.int32), *parts_t]),
        "unit": np.concatenate([np.empty(0, np.uint16), *parts_u]),
        "offset": np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        "y": y,
        "speaker": speaker,
    }


def join(parts: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Files one after another, with `part` (N,) the number of each recording's file."""
    joined = {
        key: np.concatenate([part[key] for part in parts]) for key in ("time_us", "unit", "y", "speaker")
    }
    begin = np.cumsum([0] + [len(part["time_us"]) for part in parts])
    offsets = [part["offset"][:-1] + start for part, start in zip(parts, begin, strict=False)]
    joined["offset"] = np.concatenate([*offsets, begin[-1:]]).astype(np.int64)
    joined["part"] = np.repeat(np.arange(len(parts)), [len(part["y"]) for part in parts])
    return joined


def _open(path: Path) -> Any:
    try:
        file = open_hdf5(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read as HDF5: {error}") from None
    missing = [key for key in _KEYS if key not in file]
    if missing:
        held = ", ".join(sorted(file)) or "nothing"
        file.close()
        raise DataError(
            f"{path}: no {', '.join(missing)}; it holds {held}. Wanted spikes/times, spikes/units, labels."
        )
    return file


def _labels(file: Any, path: Path, classes: int | None) -> NDArray[np.int64]:
    labels = np.asarray(file["labels"])
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iuf":
        raise DataError(
            f"{path}: labels have shape {labels.shape} and type {labels.dtype}; wanted one number a "
            "recording, of at least one recording."
        )
    most = classes or 2**31
    wrong = np.flatnonzero(~((labels >= 0) & (labels < most) & (labels == np.floor(labels))))
    if len(wrong):
        allowed = f"0..{classes - 1}" if classes else "from 0 on"
        raise DataError(
            f"{path}: recording {wrong[0]} has label {labels[wrong[0]]}; allowed are whole numbers {allowed}."
        )
    return labels.astype(np.int64)


def _speakers(file: Any, path: Path, count: int) -> NDArray[np.int64]:
    if "extra/speaker" not in file:
        return np.full(count, -1, dtype=np.int64)
    speaker = np.asarray(file["extra/speaker"]).astype(np.int64)
    if len(speaker) != count:
        raise DataError(f"{path}: {len(speaker)} speakers for {count} recordings; they must be as many.")
    return speaker


def _recording(
    time: Any, unit: Any, where: str, channels: int
) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    seconds, units = np.asarray(time), np.asarray(unit)
    if len(seconds) != len(units):
        raise DataError(f"{where}: {len(seconds)} times and {len(units)} units; they must be as many.")
    if not len(seconds):
        return np.empty(0, np.int32), np.empty(0, np.uint16)
    if not np.isfinite(seconds).all() or seconds.min() < 0:
        raise DataError(f"{where}: times must be finite and not negative, in seconds.")
    if seconds.max() > LONGEST_S:
        raise DataError(
            f"{where}: a spike is at {seconds.max():g} s; allowed are 0..{LONGEST_S} s. "
            "Are these milliseconds?"
        )
    back = np.flatnonzero(seconds[1:] < seconds[:-1])
    if len(back):
        raise DataError(
            f"{where}: times are not sorted: spike {back[0] + 1} is at {seconds[back[0] + 1]} s, "
            f"after one at {seconds[back[0]]} s."
        )
    if not (units.min() >= 0 and units.max() < channels and (units == np.floor(units)).all()):
        raise DataError(
            f"{where}: units {units.min()}..{units.max()}; allowed are whole numbers 0..{channels - 1}."
        )
    milliseconds = (1000 * seconds).astype(np.float64)  # in the file's own precision, as the code does
    return np.rint(milliseconds * 1000).astype(np.int32), units.astype(np.uint16)
