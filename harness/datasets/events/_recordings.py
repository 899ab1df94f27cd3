"""Many event files to one set of ragged arrays, written to disk as they are read."""

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from harness.datasets.events._events import flat_units
from harness.errors import DataError
from harness.events.readers import RawEvents

_LONGEST_US: Final = 2**31


class Recordings:
    """Collects recordings of one sensor; what is collected lies in unnamed temporary files.

    A context manager; the arrays outlive it.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._offset, self._labels = [0], list[int]()
        self._time, self._unit = map(tempfile.TemporaryFile, ("w+b", "w+b"))
        cells = shape[0] * shape[1] * shape[2]
        self._unit_dtype = np.dtype(np.uint16 if cells <= 1 << 16 else np.uint32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._time.close()
        self._unit.close()

    def add(self, events: RawEvents, label: int, what: object) -> None:
        """Append one recording; times count from its first event. `what` names it in errors.

        Raises DataError for events outside the sensor.
        """
        unit = flat_units(events.polarity, events.row, events.col, self.shape, str(what))
        time = events.time_us - events.time_us.min(initial=_LONGEST_US)
        if time.max(initial=0) >= _LONGEST_US:
            raise DataError(f"{what}: times span more than {_LONGEST_US} microseconds")
        self._time.write(time.astype(np.int32).tobytes())
        self._unit.write(unit.astype(self._unit_dtype).tobytes())
        self._offset.append(self._offset[-1] + len(time))
        self._labels.append(label)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """`time_us` int32, `unit`, `offset` (N + 1,) and `y` (N,)."""
        return {
            "time_us": _mapped(self._time, np.dtype(np.int32), self._offset[-1]),
            "unit": _mapped(self._unit, self._unit_dtype, self._offset[-1]),
            "offset": np.array(self._offset, dtype=np.int64),
            "y": np.array(self._labels, dtype=np.int64),
        }


def _mapped(file: IO[bytes], dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    file.flush()
    if count == 0:
        return np.zeros(0, dtype=dtype)
    return np.memmap(file, dtype=dtype, mode="r", shape=(count,))


def files_below(root: Path, folders: Iterable[str], suffix: str) -> list[tuple[Path, str]]:
    """Sorted (file, folder) of all files with a suffix in the named folders of a root.

    Raises DataError for a folder that is absent or empty.
    """
    found = []
    for folder in folders:
        files = sorted((root / folder).glob(f"*{suffix}"))
        if not files:
            raise DataError(f"{root / folder}: no {suffix} files")
        found += [(path, folder) for path in files]
    return found


def listing_sha256(files: Sequence[Path], root: Path) -> str:
    """The SHA-256 of names below `root` and file sizes: what identifies a set too large to read."""
    digest = hashlib.sha256()
    for path in files:
        size = 0 if path.is_dir() else path.stat().st_size
        digest.update(f"{path.relative_to(root)}:{size};".encode())
    return digest.hexdigest()
