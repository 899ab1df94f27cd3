"""`digits`: scikit-learn's 1,797 handwritten digits, and `digits-events`, the same through ODG."""

from typing import Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from harness.contracts.data import (
    Arrays,
    ArraySplit,
    Dataset,
    DatasetCard,
    NoOptions,
    Split,
    SplitName,
)
from harness.datasets._files import guard, load_npz, packaged
from harness.datasets._splits import Splits, three_way
from harness.events.odg import STEPS, frames_btchw

VALID: Final = 400
TEST: Final = 797
COUNTS: Final = (600, VALID, TEST)
FILE_SHA256: Final = "2540b919ddf71173999e13ff9f60b1d33ec2b7c316558236e4432ba45eda7098"
SHA256: Final = {
    8: "1f704164da5b35b3a8719f96facb806c3d05258a8d76f21407368923928950d8",
    16: "e0f40c454c74ff67a4f6838898366b5a50ba91a8c4acafa4e7d4134f4ab20c2f",
}
EVENTS_SHA256: Final = {
    8: "b85b8b728e20d94509e3ea7daef5e7d435ed9842ca863b89f79d5ceba86ffb68",
    16: "40fb61d41a66a97dda1e26d0ac9b86af97d47af9c3835c08157165e50b93693f",
}
_SPLITS_SEED: Final = ("digits", "splits", 1)


class DigitsOptions(NoOptions):
    """`pixels`: 8 as scikit-learn has them, or 16 after a bilinear doubling."""

    pixels: Literal[8, 16] = 16


def double_bilinear(images_nhw: NDArray[Any]) -> NDArray[Any]:
    """Twice the height and width (N, H, W), bilinear, pixel centres aligned, edges repeated."""
    out = images_nhw
    for axis in (1, 2):
        moved = np.moveaxis(out, axis, -1)
        padded = np.concatenate([moved[..., :1], moved, moved[..., -1:]], axis=-1)
        low = 0.25 * padded[..., :-2] + 0.75 * moved
        high = 0.75 * moved + 0.25 * padded[..., 2:]
        doubled = np.stack([low, high], axis=-1).reshape(*moved.shape[:-1], -1)
        out = np.moveaxis(doubled, -1, axis)
    return np.ascontiguousarray(out)


def digits(pixels: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images (1797, pixels, pixels) in [0, 1] and labels (1797,)."""
    held = load_npz("digits", packaged("digits", "digits.npz", FILE_SHA256), ("pixels", "y"))
    images = held["pixels"].reshape(-1, 8, 8) / 16.0
    images = double_bilinear(images) if pixels == 16 else images
    return images.astype(np.float32), held["y"].astype(np.int64)


def splits(y: NDArray[Any]) -> Splits:
    """The same samples for both forms, so that one may pretrain on one and test on the other."""
    return three_way(y, VALID, TEST, *_SPLITS_SEED)


_FACTS: Final[dict[str, Any]] = {
    "task": "classification",
    "counts": COUNTS,
    "classes": 10,
    "licence": "CC BY 4.0",
    "citation": "Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI 1998",
    "origin": "sklearn.datasets.load_digits",
}


class Digits(Dataset):
    """Handwritten digits, static, (1, 16, 16) in [0, 1]; `pixels: 8` leaves them as they are."""

    name: ClassVar[str] = "digits"
    Options: ClassVar[type[BaseModel]] = DigitsOptions

    def card(self) -> DatasetCard:
        """The card; no file is needed."""
        pixels = self.options.pixels
        return DatasetCard(
            name=self.name,
            revision="1",
            layout="nchw",
            shape=(1, pixels, pixels),
            sha256=SHA256[pixels],
            notes="no official test split: 600 train, 400 valid, 797 test, stratified",
            **_FACTS,
        )

    def prepare(self) -> Arrays:
        """`x` (1797, 1, pixels, pixels) float32, `y` (1797,). Raises DataError if they changed."""
        x, y = digits(self.options.pixels)
        return guard(self.name, {"x": x[:, None], "y": y}, SHA256[self.options.pixels])

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """A stratified split, the same as that of `digits-events`."""
        return ArraySplit(arrays["x"], arrays["y"], splits(arrays["y"])[name])


class DigitsEvents(Dataset):
    """The digits through the ODG generator: eight event frames (8, 2, 20, 20), sample first; with `pixels: 8`
    those of the images as they are, (8, 2, 12, 12).

    As the miniature of the paper: no resize, no window, no least number of events.
    """

    name: ClassVar[str] = "digits-events"
    Options: ClassVar[type[BaseModel]] = DigitsOptions

    def card(self) -> DatasetCard:
        """The card; no file is needed."""
        pixels = self.options.pixels
        return DatasetCard(
            name=self.name,
            revision="1",
            layout="ntchw",
            shape=(STEPS, 2, pixels + 4, pixels + 4),
            sha256=EVENTS_SHA256[pixels],
            notes=f"ODG of digits at {pixels} x {pixels}; channel 0 brighter, 1 darker; digits' splits",
            **_FACTS,
        )

    def prepare(self) -> Arrays:
        """`x` (1797, 8, 2, 20, 20) or (1797, 8, 2, 12, 12) uint8 and `y`. Raises DataError if changed."""
        images, y = digits(self.options.pixels)
        x = frames_btchw(images.astype(np.float64)).view(np.uint8)
        return guard(self.name, {"x": x, "y": y}, EVENTS_SHA256[self.options.pixels])

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """A stratified split, the same as that of `digits`."""
        return ArraySplit(arrays["x"], arrays["y"], splits(arrays["y"])[name])
