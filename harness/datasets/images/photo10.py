"""`photo10`: ten colour photographs as ten classes, and `photo10-events`, the same through ODG.

A sample is a 32 x 32 crop. Each photograph is divided into blocks of 48 x 48 pixels that are dealt
to train, valid and test; a crop lies inside one block, so no pixel is in two splits.
"""

from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from harness.contracts.data import Arrays, ArraySplit, Dataset, DatasetCard, Split, SplitName
from harness.datasets._files import arrays_sha256, package_path, verify
from harness.datasets._frames import PackedFrames, pack
from harness.events.odg import STEPS, frames_btchw, lightness
from harness.ids import derive_seed

CROP: Final = 32
BLOCK: Final = 48
LONGEST: Final = 512
"""Larger photographs are reduced by a whole factor."""
PER_SPLIT: Final[dict[SplitName, int]] = {"train": 120, "valid": 40, "test": 40}
MIN_EVENTS: Final = 20
"""Of 2 x 8 x 32 x 32 cells: the paper's share of 0.12 %. A flatter crop is drawn again."""
_DRAWS: Final = 400
_SK: Final = ("skimage", "data/{}")
_SL: Final = ("sklearn", "datasets/images/{}")
PHOTOS: Final = (
    (_SK, "astronaut.png", "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
    (_SK, "chelsea.png", "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
    (_SK, "coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
    (_SK, "rocket.jpg", "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c"),
    (_SK, "retina.jpg", "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6"),
    (_SK, "hubble_deep_field.jpg", "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4"),
    (_SK, "ihc.png", "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef"),
    (_SK, "motorcycle_left.png", "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179"),
    (_SL, "china.jpg", "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29"),
    (_SL, "flower.jpg", "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638"),
)


class Photo10(Dataset):
    """Which of ten photographs a crop is from, (3, 32, 32) in [0, 1]."""

    name: ClassVar[str] = "photo10"

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError where scikit-image is not installed."""
        return _card(self.name, "nchw", (3, CROP, CROP), "crops of disjoint blocks")

    def prepare(self) -> Arrays:
        """`x` (2000, 3, 32, 32) uint8, `y` and `part` (2000,). Raises MissingDataError, DataError."""
        return crops(self.name)

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The crops of one part; the same as those of `photo10-events`."""
        return ArraySplit(arrays["x"], arrays["y"], _index(arrays, name), scale=1 / 255)


class Photo10Events(Dataset):
    """The crops of `photo10` through ODG: eight frames, (8, 2, 36, 36)."""

    name: ClassVar[str] = "photo10-events"
    shape: ClassVar[tuple[int, ...]] = (STEPS, 2, CROP + 4, CROP + 4)

    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError where scikit-image is not installed."""
        return _card(self.name, "ntchw", self.shape, "ODG of photo10; channel 0 brighter, 1 darker")

    def prepare(self) -> Arrays:
        """`bits`, `y` and `part` (2000,). Raises MissingDataError, DataError."""
        arrays = crops(self.name)
        bits = pack(frames_btchw(arrays["x"].max(axis=1)))
        return {"bits": bits, "y": arrays["y"], "part": arrays["part"]}

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The crops of one part; the same as those of `photo10`."""
        return PackedFrames(arrays["bits"], arrays["y"], _index(arrays, name), self.shape)


def crops(dataset: str) -> dict[str, NDArray[Any]]:
    """All crops: `x` (2000, 3, 32, 32) uint8, label `y`, `part` 0 train, 1 valid, 2 test."""
    x, y, part = [], [], []
    for label, (place, file, sha256) in enumerate(PHOTOS):
        image = _photo(verify(dataset, _path(dataset, place, file), sha256))
        for number, found in enumerate(_crops_of_parts(image, file)):
            x += found
            y += [label] * len(found)
            part += [number] * len(found)
    images = np.ascontiguousarray(np.stack(x).transpose(0, 3, 1, 2))
    return {"x": images, "y": np.array(y, dtype=np.int64), "part": np.array(part, dtype=np.uint8)}


def _crops_of_parts(image: NDArray[np.uint8], file: str) -> list[list[NDArray[np.uint8]]]:
    """Crops for train, valid and test from blocks dealt 3 : 1 : 1."""
    rng = np.random.default_rng(derive_seed("photo10", file, 1))
    rows, cols = image.shape[0] // BLOCK, image.shape[1] // BLOCK
    blocks = rng.permutation(rows * cols)
    share = len(blocks) // 5
    dealt = (blocks[2 * share :], blocks[:share], blocks[share : 2 * share])
    draw = partial(_draw, image, cols, rng)
    return [draw(blocks, count) for blocks, count in zip(dealt, PER_SPLIT.values(), strict=True)]


def _draw(
    image: NDArray[np.uint8],
    cols: int,
    rng: np.random.Generator,
    blocks: NDArray[np.int64],
    count: int,
) -> list[NDArray[np.uint8]]:
    """`count` different crops with enough events, anywhere in the blocks."""
    found: dict[tuple[int, int], NDArray[np.uint8]] = {}
    for _ in range(_DRAWS):
        block = rng.choice(blocks, count)
        row = block // cols * BLOCK + rng.integers(0, BLOCK - CROP + 1, count)
        col = block % cols * BLOCK + rng.integers(0, BLOCK - CROP + 1, count)
        views = [image[r : r + CROP, c : c + CROP] for r, c in zip(row, col, strict=True)]
        events = frames_btchw(np.stack([lightness(view) for view in views])).sum((1, 2, 3, 4))
        for r, c, view, number in zip(row.tolist(), col.tolist(), views, events, strict=True):
            if number >= MIN_EVENTS and len(found) < count:
                found.setdefault((r, c), view)
        if len(found) == count:
            break
    return list(found.values())


def _photo(path: Path) -> NDArray[np.uint8]:
    from PIL import Image  # needed only where data is made

    with Image.open(path) as file:
        image = file.convert("RGB")
    factor = -(-max(image.size) // LONGEST)
    return np.asarray(image.reduce(factor) if factor > 1 else image)


def _path(dataset: str, place: tuple[str, str], file: str) -> Path:
    return package_path(dataset, place[0], place[1].format(file))


def _index(arrays: Arrays, name: SplitName) -> NDArray[np.int64]:
    return np.flatnonzero(np.asarray(arrays["part"]) == list(PER_SPLIT).index(name))


def _card(name: str, layout: str, shape: tuple[int, ...], notes: str) -> DatasetCard:
    for place, file, _ in PHOTOS:
        _path(name, place, file)
    digests = np.array([sha256 for _, _, sha256 in PHOTOS])
    train, valid, test = (count * len(PHOTOS) for count in PER_SPLIT.values())
    return DatasetCard(
        name=name,
        revision="1",
        task="classification",
        layout=layout,
        shape=shape,
        counts=(train, valid, test),
        classes=len(PHOTOS),
        sha256=arrays_sha256({"files": digests}),
        licence="public domain, CC0 and CC BY 2.0 (china, flower), see the packages' data folders",
        citation="scikit-image and scikit-learn sample photographs",
        origin="skimage.data and sklearn.datasets.load_sample_images",
        notes=notes + "; no pixel is in two splits; sha256 is of the ten files' digests",
    )
