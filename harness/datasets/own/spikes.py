"""`spikes`: a user's own recordings in SHD's form, one HDF5 file or a second one for test.

::

    dataset: {spikes: words.h5}
    dataset: {spikes: train.h5, test: test.h5, channels: 64, duration_ms: 800}
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from harness.contracts.data import Arrays, Dataset, DatasetCard, EventSplit, NoOptions, Split, SplitName
from harness.datasets._files import file_sha256
from harness.datasets._splits import Splits, check, counts, missing_classes, three_way, with_valid
from harness.datasets.own._user import HELD_FRACTION
from harness.datasets.speech import _spike_h5
from harness.errors import DataError

_MOST_CHANNELS: Final = 1 << 16


class SpikesOptions(NoOptions):
    """`path` and `test`: files with `spikes/times` (s), `spikes/units` and `labels`, a row a recording.

    Without `test` a seeded, stratified fifth is test; a fifth of the rest is validation. `channels` (else the
    highest unit + 1) and `duration_ms` (else the latest spike of the files) say the size of a recording.
    """

    path: str
    test: str | None = None
    channels: int | None = Field(default=None, ge=1, le=_MOST_CHANNELS)
    duration_ms: float | None = Field(default=None, gt=0, le=60_000)


class Spikes(Dataset):
    """Recordings of spikes on channels, classified."""

    name: ClassVar[str] = "spikes"
    source: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = SpikesOptions

    def __init__(self, options: BaseModel | None = None) -> None:
        if options is None:
            raise DataError(f"data set '{self.name}' needs a file: write dataset: {{spikes: my.h5}}")
        super().__init__(options)

    def card(self) -> DatasetCard:
        """The card. Raises DataError where a file is wrong."""
        digests = self.cache_key()
        arrays = _heads(self.options, self._paths(), digests)
        y = arrays["y"]
        names = tuple(str(label) for label in arrays["classes"].tolist())
        numbered = names == tuple(map(str, range(len(names))))
        splits = self._splits(y, arrays["part"])
        drawn = "validation" if self.options.test else "test and validation"
        return DatasetCard(
            name=self.name,
            revision="-".join(digest[:12] for digest in digests),
            task="classification",
            layout="events",
            shape=(int(arrays["channels"][0]),),
            counts=counts(splits),
            classes=len(names),
            duration_ms=int(arrays["duration_us"][0]) / 1000,
            sha256=digests[0],
            origin=Path(self.options.path).name,
            notes=f"{drawn} drawn, stratified and seeded",
            class_names=() if numbered else names,
            remarks=missing_classes(y, splits, () if numbered else names),
        )

    def cache_key(self) -> tuple[str, ...]:
        """The files' content."""
        return tuple(file_sha256(path) for path in self._paths())

    def prepare(self) -> Arrays:
        """`time_us`, `unit` (events,), `offset`, `y`, `part` (1: test file), sizes. Raises DataError."""
        return _read(self.options, self._paths())

    def applied(self, arrays: Arrays) -> Mapping[str, Any]:
        """The labels as the file has them, and the size of a recording."""
        return {
            "classes": [str(label) for label in arrays["classes"].tolist()],
            "channels": int(arrays["channels"][0]),
            "duration_us": int(arrays["duration_us"][0]),
        }

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The test file, or a seeded part; train and valid from the rest."""
        index = self._splits(np.asarray(arrays["y"]), np.asarray(arrays["part"]))[name]
        shape, duration = (int(arrays["channels"][0]),), int(arrays["duration_us"][0])
        return EventSplit(arrays, index, shape=shape, duration_us=duration)

    def _paths(self) -> tuple[Path, ...]:
        found = tuple(Path(p) for p in (self.options.path, self.options.test) if p)
        for path in found:
            if not path.is_file():
                raise DataError(f"{path}: no such file")
        return found

    def _splits(self, y: NDArray[np.int64], part: NDArray[np.int64]) -> Splits:
        if self.options.test:
            return check(self.name, with_valid(y, part == 1, HELD_FRACTION, self.name, "splits", 1))
        test = round(HELD_FRACTION * len(y))
        valid = round(HELD_FRACTION * (len(y) - test))
        return check(self.name, three_way(y, valid, test, self.name, "splits", 1))


@lru_cache(maxsize=8)
def _heads(
    options: SpikesOptions, paths: tuple[Path, ...], digests: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    """Labels and sizes; the files are read once a process while they are what ``digests`` say."""
    arrays = _read(options, paths)
    return {key: arrays[key] for key in ("y", "part", "classes", "channels", "duration_us")}


def _read(options: SpikesOptions, paths: tuple[Path, ...]) -> dict[str, NDArray[Any]]:
    most = options.channels or _MOST_CHANNELS
    arrays = _spike_h5.join([_spike_h5.read(path, None, most) for path in paths])
    if not len(arrays["unit"]):
        raise DataError(f"{options.path}: no recording has a spike")
    classes, y = np.unique(arrays["y"], return_inverse=True)
    if len(classes) == 1:
        raise DataError(f"{options.path}: labels are all {classes[0]}: one class is nothing to tell apart")
    duration = options.duration_ms
    last = round(1000 * duration) if duration else int(arrays["time_us"].max()) + 1
    channels = options.channels or int(arrays["unit"].max()) + 1
    sizes = {"channels": np.array([channels]), "duration_us": np.array([last]), "classes": classes}
    return {**arrays, "y": y.astype(np.int64), **sizes}
