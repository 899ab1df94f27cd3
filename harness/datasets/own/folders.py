"""A user's own folders: images by class, and what `harness data convert odg` or `video` made.

::

    dataset: {images: photos/}
    dataset: {odg-events: events/}
    dataset: {clip-events: events/, splits: groups}

`images` and `odg-events` hold train and val folders, val being the test split; or, without val, a
seeded fifth of all is test.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from harness.contracts.data import Dataset, NoOptions
from harness.datasets._splits import Splits, check, three_way
from harness.datasets.events.es_imagenet import EsImageNet
from harness.datasets.events.ucf101 import EsUcf101, UcfOptions
from harness.datasets.images.imagenet import ImageNet, ImageNetOptions
from harness.datasets.own._user import HELD_FRACTION
from harness.errors import DataError


class PathOptions(NoOptions):
    """`path`: the folder."""

    path: str


class ImagesOptions(ImageNetOptions):
    """`path`: the folder; `pixels`: the side of the centre crop."""

    path: str


class ClipOptions(UcfOptions):
    """`path`: the folder; `splits` as for es-ucf101."""

    path: str


class Images(ImageNet):
    """A folder of class folders of images, normalised as ImageNet."""

    name: ClassVar[str] = "images"
    published_counts: ClassVar[tuple[int, int] | None] = None
    source: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = ImagesOptions

    def __init__(self, options: BaseModel | None = None) -> None:
        super().__init__(_given(self, options))

    def _root(self) -> Path:
        return _folder(self.options.path)

    def _parts(self, root: Path) -> tuple[str, ...]:
        both = (root / "train").is_dir() and (root / "val").is_dir()
        return ("train", "val") if both else (".",)

    def _splits(self, y: NDArray[np.int64], test: NDArray[np.bool_]) -> Splits:
        return super()._splits(y, test) if test.any() else _drawn(self.name, y)


class OdgEvents(EsImageNet):
    """A folder that `harness data convert odg` wrote, read as ES-ImageNet is."""

    name: ClassVar[str] = "odg-events"
    published_counts: ClassVar[tuple[int, int] | None] = None
    source: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = PathOptions

    def __init__(self, options: BaseModel | None = None) -> None:
        super().__init__(_given(self, options))

    def _root(self) -> Path:
        return _folder(self.options.path)

    def _parts(self, root: Path) -> tuple[str, ...]:
        return ("train", "val") if (root / "val").is_dir() else ("train",)

    def _splits(self, y: NDArray[np.int64], test: NDArray[np.bool_]) -> Splits:
        return super()._splits(y, test) if test.any() else _drawn(self.name, y)


class ClipEvents(EsUcf101):
    """A folder that `harness data convert video` wrote, read as ES-UCF101 is."""

    name: ClassVar[str] = "clip-events"
    source: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = ClipOptions

    def __init__(self, options: BaseModel | None = None) -> None:
        super().__init__(_given(self, options))

    def _root(self) -> Path:
        return _folder(self.options.path)


def _given(data: Dataset, options: BaseModel | None) -> BaseModel:
    if options is None:
        raise DataError(f"data set '{data.name}' needs a folder: write dataset: {{{data.name}: FOLDER}}")
    return options


def _folder(path: str) -> Path:
    if not Path(path).is_dir():
        raise DataError(f"{path}: no such folder")
    return Path(path)


def _drawn(name: str, y: NDArray[np.int64]) -> Splits:
    """A fifth of all for test, a fifth of the rest for validation, stratified."""
    test = round(HELD_FRACTION * len(y))
    valid = round(HELD_FRACTION * (len(y) - test))
    return check(name, three_way(y, valid, test, "folder", "splits", 1))
