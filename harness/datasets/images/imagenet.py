"""`imagenet`: ImageNet-1K in folders, `imagenet/{train,val}/<class>/<image>`."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from harness.contracts.data import (
    Arrays,
    Batch,
    Dataset,
    DatasetCard,
    Index,
    NoOptions,
    Scale,
    Split,
    SplitName,
    View,
)
from harness.datasets._files import data_path
from harness.datasets._lazy import FileSplit, as_array
from harness.datasets._splits import Splits, counts, missing_classes, with_valid
from harness.datasets.events._recordings import listing_sha256
from harness.errors import DataError
from harness.events.images import read_rgb
from harness.events.views import read_view

ORIGIN: Final = "image-net.org, ILSVRC 2012, one folder a class"
FOLDER: Final = "imagenet"
MEAN: Final = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD: Final = np.array([0.229, 0.224, 0.225], dtype=np.float32)
VALID_FRACTION: Final = 0.04
PARTS: Final = ("train", "val")
_MARGIN: Final = 256 / 224
_SCALE: Final = Scale(tuple(MEAN.tolist()), tuple(STD.tolist()))
Files = tuple[tuple[Path, ...], ...]
"""The images of each part: training and validation, or all."""


class ImageNetOptions(NoOptions):
    """`pixels`: the side of the centre crop; the shorter side is resized to 256 / 224 of it."""

    pixels: int = 224


class ImageNet(Dataset):
    """ImageNet-1K, (3, 224, 224), resized, centre-cropped, normalised by ImageNet's mean and std.

    Images are read when a batch asks for them. Training images are centre-cropped too, or, where
    ``augment`` asks for crops, shifts or mirrors, random views of the whole photograph, as in the paper.
    """

    name: ClassVar[str] = "imagenet"
    published_counts: ClassVar[tuple[int, int] | None] = (1_281_167, 50_000)
    Options: ClassVar[type[BaseModel]] = ImageNetOptions

    def card(self) -> DatasetCard:
        """The card, from the folders' listing. Raises MissingDataError, DataError."""
        root, classes, files = self._files()
        y, test = _targets(classes, files)
        sha256 = _sha256(root, files)
        pixels = self.options.pixels
        splits = self._splits(y, test)
        return DatasetCard(
            name=self.name,
            revision=sha256[:12],
            task="classification",
            layout="nchw",
            shape=(3, pixels, pixels),
            counts=counts(splits),
            classes=len(classes),
            sha256=sha256,
            licence="ImageNet's terms, research use",
            citation="Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, 2015",
            origin=ORIGIN,
            notes="official val is test; validation cut from train; centre crops; sha256 is of "
            "names and sizes",
            class_names=tuple(classes),
            remarks=missing_classes(y, splits, tuple(classes)),
        )

    def prepare(self) -> Arrays:
        """`file`, `y` and `test`: the folders' listing. Raises MissingDataError, DataError."""
        root, classes, files = self._files()
        y, test = _targets(classes, files)
        names = [str(path.relative_to(root)) for part in files for path in part]
        return {"file": as_array(names), "y": y, "test": test}

    def applied(self, arrays: Arrays) -> Mapping[str, Any]:
        """The classes by their folders' names; pixels, and the mean and deviation that were taken out."""
        labels, at = np.unique(arrays["y"], return_index=True)
        names = [Path(str(arrays["file"][first], "utf-8")).parent.name for first in at]
        assert len(names) == len(labels)
        return {"classes": names, "pixels": self.options.pixels, "mean": MEAN.tolist(), "std": STD.tolist()}

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The official validation images as test; train and valid drawn from the training ones."""
        index = self._splits(arrays["y"], np.asarray(arrays["test"]))[name]
        return PhotoSplit(self._root(), arrays["file"], arrays["y"], index, self.options.pixels)

    def _root(self) -> Path:
        return data_path(self.name, FOLDER, origin=ORIGIN)

    def _splits(self, y: NDArray[np.int64], test: NDArray[np.bool_]) -> Splits:
        return with_valid(y, test, VALID_FRACTION, self.name, "splits", 1)

    def _parts(self, root: Path) -> tuple[str, ...]:
        return PARTS

    def _files(self) -> tuple[Path, list[str], Files]:
        root = self._root()
        parts = self._parts(root)
        folders = [set(_folders(root / part)) for part in parts]
        if not folders[0] or any(found != folders[0] for found in folders):
            counted = ", ".join(
                f"{part} has {len(found)} class folders" for part, found in zip(parts, folders, strict=True)
            )
            raise DataError(
                f"{root}: {counted}: expected the same classes in all, as in train/<class>/<image> "
                "and val/<class>/<image>"
            )
        classes = tuple(sorted(folders[0]))
        changed = tuple((root / part).stat().st_mtime_ns for part in parts)
        return root, list(classes), _listed(root, parts, classes, changed)


def _folders(root: Path) -> list[str]:
    return [path.name for path in root.iterdir() if path.is_dir()] if root.is_dir() else []


@lru_cache(maxsize=2)
def _listed(root: Path, parts: tuple[str, ...], classes: tuple[str, ...], changed: tuple[int, ...]) -> Files:
    """All images by part; listed once a process while no class folder comes or goes."""
    return tuple(
        tuple(
            path
            for name in classes
            for path in sorted((root / part / name).iterdir())
            if not path.name.startswith(".")
        )
        for part in parts
    )


@lru_cache(maxsize=2)
def _sha256(root: Path, files: Files) -> str:
    return listing_sha256([path for part in files for path in part], root)


class PhotoSplit(FileSplit):
    """Photographs, cropped in the middle, or in random views of the whole of them."""

    def __init__(
        self, root: Path, names: NDArray[np.bytes_], y: NDArray[np.int64], index: Index, pixels: int
    ) -> None:
        super().__init__(root, names, y, index, self._centre)
        self.pixels = pixels

    def _centre(self, path: Path, position: int) -> NDArray[np.float32]:
        return centre_crop(read_rgb(path), self.pixels)

    def viewed(self, index: Index, view: View) -> Batch:
        """Random views of the samples at positions `index`; `x` are bytes. Raises DataError."""
        rows = self.index[index]
        paths = [self.root / self.names[row].decode() for row in rows.tolist()]
        numbers = zip(paths, index.tolist(), strict=True)
        views = torch.stack([read_view(path, view, at, self.pixels, _MARGIN) for path, at in numbers])
        x = views.permute(0, 3, 1, 2)
        return Batch(x, torch.from_numpy(np.asarray(self.y[rows])).long(), scale=_SCALE)


def centre_crop(rgb: NDArray[np.uint8], pixels: int) -> NDArray[np.float32]:
    """Resize the shorter side (bilinear), crop the middle, normalise: (3, pixels, pixels)."""
    from PIL import Image  # needed only where images are read

    height, width = rgb.shape[:2]
    shorter = round(pixels * _MARGIN)
    scale = shorter / min(height, width)
    size = (max(shorter, int(width * scale)), max(shorter, int(height * scale)))
    resized = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))
    top, left = (resized.shape[0] - pixels) // 2, (resized.shape[1] - pixels) // 2
    crop = resized[top : top + pixels, left : left + pixels].astype(np.float32) / 255
    return np.ascontiguousarray(((crop - MEAN) / STD).transpose(2, 0, 1), dtype=np.float32)


def _targets(classes: list[str], files: Files) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    number = {name: label for label, name in enumerate(classes)}
    y = [number[path.parent.name] for part in files for path in part]
    return np.array(y, dtype=np.int64), np.repeat(
        [False, True], [len(files[0]), sum(len(part) for part in files[1:])]
    )
