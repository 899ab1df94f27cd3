"""`fsdd-cochlea`: 3,000 spoken digits as spikes on 700 cochlear channels, made as SHD was."""

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from harness.contracts.data import Arrays, Dataset, DatasetCard, EventSplit, Split, SplitName
from harness.datasets._files import data_path, load_npz, verify
from harness.datasets._splits import Splits, counts, with_valid
from harness.errors import DataError

FILE: Final = "fsdd_cochlea700.npz"
SHA256: Final = "7e18149d244964e1b6566a4b91096539b569839313a591c13eac8ae525a0242a"
ORIGIN: Final = "made from the Free Spoken Digit Dataset (Jakobovski 26eb9aaf) by lauscher 1.0.1"
CHANNELS: Final = 700
DURATION_US: Final = 1_000_000
"""20 of 3,000 recordings are longer and are cut."""
VALID_FRACTION: Final = 0.2
TEST_SPEAKERS: Final = (1, 4)
VALID_SPEAKERS: Final = (3,)


class FsddCochlea(Dataset):
    """Ten digits by six speakers; the official test items (index 0-4), valid drawn from the others."""

    name: ClassVar[str] = "fsdd-cochlea"
    counts: ClassVar[tuple[int, int, int]] = (2160, 540, 300)
    notes: ClassVar[str] = "official test items; validation cut from train, stratified; cut at 1 s"

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError where the file is absent."""
        data_path(self.name, FILE, origin=ORIGIN, sha256=SHA256)
        return DatasetCard(
            name=self.name,
            revision="1",
            task="classification",
            layout="events",
            shape=(CHANNELS,),
            counts=self.counts,
            classes=10,
            duration_ms=DURATION_US / 1000,
            sha256=SHA256,
            licence="CC BY-SA 4.0",
            citation="Jakobovski, Free Spoken Digit Dataset; Cramer et al., IEEE TNNLS 33(7), 2022",
            origin=ORIGIN,
            notes=self.notes,
        )

    def prepare(self) -> Arrays:
        """`time_us`, `unit` (events,), sorted by time, `offset`, `y`, `speaker`, `test`.

        Raises MissingDataError and DataError.
        """
        path = data_path(self.name, FILE, origin=ORIGIN, sha256=SHA256)
        verify(self.name, path, SHA256)
        raw = load_npz(self.name, path, ("count", "dt_ms", "offset", "label", "speaker", "test"))
        parts = [_decode(raw, i) for i in range(len(raw["label"]))]
        count = np.array([len(time) for time, _ in parts])
        return {
            "time_us": np.concatenate([time for time, _ in parts]),
            "unit": np.concatenate([unit for _, unit in parts]),
            "offset": np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
            "y": raw["label"].astype(np.int64),
            "speaker": raw["speaker"].astype(np.int64),
            "test": raw["test"],
        }

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """One split over the sparse spikes."""
        index = self.splits(arrays)[name]
        return EventSplit(arrays, index, shape=(CHANNELS,), duration_us=DURATION_US)

    def splits(self, arrays: Arrays) -> Splits:
        """The indices of all three."""
        test = np.asarray(arrays["test"])
        return with_valid(np.asarray(arrays["y"]), test, VALID_FRACTION, "fsdd-cochlea", "splits", 1)


class FsddCochleaSpeakers(FsddCochlea):
    """The same recordings with no speaker in two splits: three train, one validates, two test."""

    name: ClassVar[str] = "fsdd-cochlea-speakers"
    counts: ClassVar[tuple[int, int, int]] = (1500, 500, 1000)
    notes: ClassVar[str] = "speakers 0, 2, 5 train, 3 validates, 1 and 4 test; cut at 1 s"

    def splits(self, arrays: Arrays) -> Splits:
        """The indices of all three."""
        speaker = np.asarray(arrays["speaker"])
        test, valid = np.isin(speaker, TEST_SPEAKERS), np.isin(speaker, VALID_SPEAKERS)
        chosen: Splits = {
            "train": np.flatnonzero(~test & ~valid),
            "valid": np.flatnonzero(valid),
            "test": np.flatnonzero(test),
        }
        if counts(chosen) != self.counts:
            raise DataError(f"data set '{self.name}': speakers give {counts(chosen)}, wanted {self.counts}.")
        return chosen


def _decode(raw: dict[str, NDArray[Any]], i: int) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Spikes of one recording sorted by time: stored unit by unit, as differences of milliseconds."""
    number = raw["count"][i].astype(np.int64)
    step = raw["dt_ms"][raw["offset"][i] : raw["offset"][i + 1]].astype(np.int64)
    unit = np.repeat(np.arange(CHANNELS), number)
    total = np.cumsum(step)
    used = number > 0
    first = np.concatenate([[0], np.cumsum(number)[:-1]])[used]
    time_us = 1000 * (total - np.repeat(total[first] - step[first], number[used]))
    kept = time_us < DURATION_US
    time_us, unit = time_us[kept], unit[kept]
    order = np.argsort(time_us, kind="stable")
    return time_us[order].astype(np.int32), unit[order].astype(np.uint16)
