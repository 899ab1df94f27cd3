"""`nmnist`: N-MNIST in the authors' files, `nmnist/{Train,Test}/<digit>/<number>.bin`."""

from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from harness.contracts.data import Arrays, Dataset, DatasetCard, EventSplit, Split, SplitName
from harness.datasets._files import data_path
from harness.datasets._splits import with_valid
from harness.datasets.events._recordings import Recordings, files_below, listing_sha256
from harness.datasets.events.nmnist_small import DURATION_US, SHAPE
from harness.events.readers import read_atis_bin

ORIGIN: Final = "garrickorchard.com/datasets/n-mnist (Train.zip and Test.zip, unpacked)"
FOLDER: Final = "nmnist"
VALID_FRACTION: Final = 0.1
_DIGITS: Final = tuple(str(digit) for digit in range(10))


class Nmnist(Dataset):
    """All of N-MNIST: 60,000 and 10,000 recordings, (2, 34, 34), channel 1 = ON."""

    name: ClassVar[str] = "nmnist"
    published_counts: ClassVar[tuple[int, int] | None] = (60_000, 10_000)

    def card(self) -> DatasetCard:
        """The card, from the folder's listing. Raises MissingDataError, DataError."""
        root, train, test = self._files()
        valid = round(VALID_FRACTION * len(train))
        sha256 = listing_sha256([*train, *test], root)
        return DatasetCard(
            name=self.name,
            revision=sha256[:12],
            task="classification",
            layout="events",
            shape=SHAPE,
            counts=(len(train) - valid, valid, len(test)),
            classes=10,
            duration_ms=DURATION_US / 1000,
            sha256=sha256,
            licence="CC BY-SA 4.0",
            citation="Orchard, Jayawant, Cohen and Thakor, Frontiers in Neuroscience 9:437, 2015",
            origin=ORIGIN,
            notes="official test split; validation cut from train; sha256 is of names and sizes",
        )

    def prepare(self) -> Arrays:
        """`time_us`, `unit`, `offset`, `y`, `test`. Raises MissingDataError, DataError."""
        _, train, test = self._files()
        is_test = np.repeat([False, True], [len(train), len(test)])
        with Recordings(SHAPE) as recordings:
            for path in [*train, *test]:
                recordings.add(read_atis_bin(path), int(path.parent.name), path)
            return recordings.arrays() | {"test": is_test}

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The official test split; train and valid are drawn from the official train split."""
        test = np.asarray(arrays["test"])
        chosen = with_valid(arrays["y"], test, VALID_FRACTION, self.name, "splits", 1)
        return EventSplit(arrays, chosen[name], shape=SHAPE, duration_us=DURATION_US)

    def _files(self) -> tuple[Path, list[Path], list[Path]]:
        root = data_path(self.name, FOLDER, origin=ORIGIN)
        parts = [
            [path for path, _ in files_below(root / part, _DIGITS, ".bin")] for part in ("Train", "Test")
        ]
        return root, parts[0], parts[1]
