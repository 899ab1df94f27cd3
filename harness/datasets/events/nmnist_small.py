"""`nmnist-small`: 1,100 real N-MNIST recordings of an event camera."""

from typing import ClassVar, Final

import numpy as np

from harness.contracts.data import Arrays, Dataset, DatasetCard, EventSplit, Split, SplitName
from harness.datasets._files import data_path, load_npz, verify
from harness.datasets._splits import with_valid
from harness.datasets.events._events import flat_units, times_from_differences

FILE: Final = "nmnist_small.npz"
SHA256: Final = "e92a9254d5bf2943fa8b8c3a76b4b436d1598c4627c9e5aac7c7570d2efc75c8"
ORIGIN: Final = "github.com/bamsumit/slayerPytorch 01beeeb6 test/test_files/NMNISTsmall"
SHAPE: Final = (2, 34, 34)
DURATION_US: Final = 315_000
"""Three saccades of about 105 ms; 3 in 100,000 events come later and fall in no bin."""
VALID_FRACTION: Final = 0.2


class NmnistSmall(Dataset):
    """N-MNIST's first 1,000 training and first 100 test recordings, (2, 34, 34), channel 1 = ON."""

    name: ClassVar[str] = "nmnist-small"

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError where the file is absent."""
        data_path(self.name, FILE, origin=ORIGIN, sha256=SHA256)
        return DatasetCard(
            name=self.name,
            revision="1",
            task="classification",
            layout="events",
            shape=SHAPE,
            counts=(800, 200, 100),
            classes=10,
            duration_ms=DURATION_US / 1000,
            sha256=SHA256,
            licence="CC BY-SA 4.0",
            citation="Orchard, Jayawant, Cohen and Thakor, Frontiers in Neuroscience 9:437, 2015",
            origin=ORIGIN,
            notes="reduced; official test items; validation cut from train, stratified",
        )

    def prepare(self) -> Arrays:
        """`time_us`, `unit` (4,518,827,), `offset` (1101,), `y` and `test` (1100,).

        Raises MissingDataError and DataError (another sha256).
        """
        path = data_path(self.name, FILE, origin=ORIGIN, sha256=SHA256)
        verify(self.name, path, SHA256)
        keys = ("x", "y", "p", "dt_us", "offset", "label", "test")
        raw = load_npz(self.name, path, keys)
        return {
            "time_us": times_from_differences(raw["dt_us"], raw["offset"]),
            "unit": flat_units(raw["p"], raw["y"], raw["x"], SHAPE, str(path)),
            "offset": raw["offset"],
            "y": raw["label"].astype(np.int64),
            "test": raw["test"],
        }

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The official test items; train and valid are drawn from the other ones."""
        test = np.asarray(arrays["test"])
        chosen = with_valid(arrays["y"], test, VALID_FRACTION, self.name, "splits", 1)
        return EventSplit(arrays, chosen[name], shape=SHAPE, duration_us=DURATION_US)
