"""`dvs-gesture10`: ten real recordings of gestures, one each. For smoke tests only."""

from typing import ClassVar, Final

import numpy as np

from harness.contracts.data import Arrays, Dataset, DatasetCard, EventSplit, Split, SplitName
from harness.datasets._files import data_path, load_npz, verify
from harness.datasets.events._events import flat_units, times_from_differences
from harness.errors import DataError

FILE: Final = "dvs_gesture10.npz"
SHA256: Final = "135c78920f23ac37f5b2de10011ac7cda015494c523be2ee7cddb0992fa436bc"
ORIGIN: Final = "github.com/bamsumit/slayerPytorch 01beeeb6 test/test_files/binarySpikeTestFiles"
SHAPE: Final = (2, 128, 128)
PIECE_US: Final = 145_000
"""A recording of 1.45 s is ten samples: 7 train, then 1 valid, then 2 test."""
PIECES: Final = {"train": range(7), "valid": range(7, 8), "test": range(8, 10)}


class DvsGesture10(Dataset):
    """Which of ten gestures, from 145 ms of it, (2, 128, 128), channel 1 = ON.

    One subject, one recording a class: train, valid and test are successive stretches of the same
    recordings. Nothing about accuracy follows from it.
    """

    name: ClassVar[str] = "dvs-gesture10"

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError where the file is absent."""
        data_path(self.name, FILE, origin=ORIGIN, sha256=SHA256)
        return DatasetCard(
            name=self.name,
            revision="1",
            task="classification",
            layout="events",
            shape=SHAPE,
            counts=(70, 10, 20),
            classes=10,
            duration_ms=PIECE_US / 1000,
            sha256=SHA256,
            licence="CC BY 4.0",
            citation="Amir et al., A low power, fully event-based gesture recognition system, 2017",
            origin=ORIGIN,
            notes="smoke tests only: splits are stretches of the same ten recordings",
        )

    def prepare(self) -> Arrays:
        """`time_us`, `unit`, `offset` (101,), `y` and `piece` (100,). Raises DataError."""
        path = data_path(self.name, FILE, origin=ORIGIN, sha256=SHA256)
        verify(self.name, path, SHA256)
        raw = load_npz(self.name, path, ("x", "y", "p", "dt_us", "offset", "label"))
        time = times_from_differences(raw["dt_us"], raw["offset"])
        recording = np.repeat(np.arange(len(raw["label"])), np.diff(raw["offset"]))
        count = len(PIECES["train"]) + len(PIECES["valid"]) + len(PIECES["test"])
        sample = recording * count + time // PIECE_US
        if time.max() >= count * PIECE_US or (np.diff(sample) < 0).any():
            raise DataError(f"{path}: times are not in order or reach beyond 1.45 s")
        offset = np.searchsorted(sample, np.arange(len(raw["label"]) * count + 1))
        return {
            "time_us": time % PIECE_US,
            "unit": flat_units(raw["p"], raw["y"], raw["x"], SHAPE, str(path)),
            "offset": offset.astype(np.int64),
            "y": np.repeat(raw["label"].astype(np.int64), count),
            "piece": np.tile(np.arange(count), len(raw["label"])),
        }

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """Successive stretches of every recording."""
        index = np.flatnonzero(np.isin(arrays["piece"], list(PIECES[name])))
        return EventSplit(arrays, index, shape=SHAPE, duration_us=PIECE_US)
