"""CIFAR10-DVS: the authors' .aedat files, and the three forms that arXiv 2203.01158 fed its networks.

How the paper turned recordings into frames is not published; its forms are read as they are, under
names of their own.
"""

import tempfile
from pathlib import Path
from typing import IO, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from harness.contracts.data import (
    Arrays,
    ArraySplit,
    Dataset,
    DatasetCard,
    EventSplit,
    NoOptions,
    Split,
    SplitName,
)
from harness.datasets._files import data_path
from harness.datasets._splits import counts, with_valid
from harness.datasets.events._matlab import labels_of, read_mat, read_mat73
from harness.datasets.events._recordings import Recordings, files_below, listing_sha256
from harness.errors import DataError
from harness.events.readers import read_aedat2_dvs128

ORIGIN: Final = "figshare.com/articles/dataset/CIFAR10-DVS_New/4724671 (unpacked)"
PAPER_ORIGIN: Final = "github.com/lyh983012/SNN-ANN-Pretrain, Exp2-DVS-CIFAR10 (on request)"
CLASSES: Final = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
SHAPE: Final = (2, 128, 128)
DURATION_US: Final = 1_300_000
TEST_FRACTION: Final = 0.1
VALID_FRACTION: Final = 0.1
_CITATION: Final = "Li, Liu, Ji, Li and Shi, CIFAR10-DVS, Front. Neurosci. 11:309, 2017"


class Cifar10Dvs(Dataset):
    """The 10,000 recordings, `cifar10-dvs/<class>/<file>.aedat`, (2, 128, 128), channel 1 = ON.

    There is no official split. Test is the last tenth of each class by name, as SpikingJelly's
    split_to_train_test_set(0.9) makes it.
    """

    name: ClassVar[str] = "cifar10-dvs"

    def card(self) -> DatasetCard:
        """The card, from the folder's listing. Raises MissingDataError, DataError."""
        root, files = self._files()
        y, test = _targets(files)
        sha256 = listing_sha256([path for path, _ in files], root)
        return _card(
            self.name,
            layout="events",
            shape=SHAPE,
            counts=counts(_splits(y, test)),
            duration_ms=DURATION_US / 1000,
            sha256=sha256,
            notes="no official split: test is the last tenth of each class; ",
            origin=ORIGIN,
        )

    def prepare(self) -> Arrays:
        """`time_us`, `unit`, `offset`, `y`, `test`. Raises MissingDataError, DataError."""
        _, files = self._files()
        with Recordings(SHAPE) as recordings:
            for path, folder in files:
                recordings.add(read_aedat2_dvs128(path), CLASSES.index(folder), path)
            return recordings.arrays() | {"test": _targets(files)[1]}

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The last tenth of each class is test; validation is cut from the rest."""
        index = _splits(arrays["y"], np.asarray(arrays["test"]))[name]
        return EventSplit(arrays, index, shape=SHAPE, duration_us=DURATION_US)

    def _files(self) -> tuple[Path, list[tuple[Path, str]]]:
        root = data_path(self.name, "cifar10-dvs", origin=ORIGIN)
        return root, files_below(root, CLASSES, ".aedat")


class FrameOptions(NoOptions):
    """`frames`: how many of the stored frames are used, from the first."""

    frames: int = Field(8, ge=1, le=1000)


class Cifar10DvsMat42(Dataset):
    """The paper's form (a): `cifar10-dvs-42/train.mat` and `test.mat`, MATLAB 7.3, 42 x 42 pixels."""

    name: ClassVar[str] = "cifar10-dvs-42"
    Options: ClassVar[type[BaseModel]] = FrameOptions

    def card(self) -> DatasetCard:
        """The card, from the files' labels. Raises MissingDataError, DataError."""
        root, files = self._files()
        y, test = self._targets(files)
        return _card(
            self.name,
            layout="ntchw",
            shape=(self.options.frames, 2, 42, 42),
            counts=counts(_splits(y, test)),
            sha256=listing_sha256(files, root),
            notes="the paper's train and test files; ",
            origin=PAPER_ORIGIN,
        )

    def prepare(self) -> Arrays:
        """`x` (N, frames, 2, 42, 42), `y`, `test`. Raises MissingDataError, DataError."""
        _, files = self._files()
        y, test = self._targets(files)
        x = np.concatenate([read_mat73(path, self.options.frames, (2, 42, 42)) for path in files])
        return {"x": x, "y": y, "test": test}

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The paper's test file; validation is cut from its training file."""
        index = _splits(arrays["y"], np.asarray(arrays["test"]))[name]
        return ArraySplit(arrays["x"], arrays["y"], index)

    def _files(self) -> tuple[Path, list[Path]]:
        root = data_path(self.name, "cifar10-dvs-42", origin=PAPER_ORIGIN)
        names = ("train.mat", "test.mat")
        return root, [data_path(self.name, f"cifar10-dvs-42/{n}", origin=PAPER_ORIGIN) for n in names]

    def _targets(self, files: list[Path]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        parts = [labels_of(path, len(CLASSES)) for path in files]
        return np.concatenate(parts), np.repeat([False, True], [len(part) for part in parts])


class Cifar10DvsMat128(Dataset):
    """The paper's form (b): `CIFAR10-MAT/{train,test}/*.mat`, 128 x 128, labels stored plus 5."""

    name: ClassVar[str] = "cifar10-dvs-128"
    Options: ClassVar[type[BaseModel]] = FrameOptions
    folder: ClassVar[str] = "CIFAR10-MAT"
    label_offset: ClassVar[int] = 5

    def card(self) -> DatasetCard:
        """The card, from the listing and the files' labels. Raises MissingDataError, DataError."""
        root, files = self._files()
        y, test = self._targets(files)
        return _card(
            self.name,
            layout="ntchw",
            shape=(self.options.frames, *SHAPE),
            counts=counts(_splits(y, test)),
            sha256=listing_sha256([path for path, _ in files], root),
            notes="the paper's train and test folders; ",
            origin=PAPER_ORIGIN,
        )

    def prepare(self) -> Arrays:
        """`x` (N, frames, 2, 128, 128), `y`, `test`. Raises MissingDataError, DataError."""
        _, files = self._files()
        y, test = self._targets(files)
        shape = (self.options.frames, *SHAPE)
        with tempfile.TemporaryFile() as store:  # the map outlives it
            for path, _ in files:
                _append(store, read_mat(path, self.options.frames, SHAPE)[0], path)
            x = np.memmap(store, dtype=np.uint8, mode="r", shape=(len(files), *shape))
        return {"x": x, "y": y, "test": test}

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The paper's test folder; validation is cut from its training folder."""
        index = _splits(arrays["y"], np.asarray(arrays["test"]))[name]
        return ArraySplit(arrays["x"], arrays["y"], index)

    def _files(self) -> tuple[Path, list[tuple[Path, str]]]:
        root = data_path(self.name, self.folder, origin=PAPER_ORIGIN)
        return root, files_below(root, ("train", "test"), ".mat")

    def _targets(self, files: list[tuple[Path, str]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        y = []
        for path, _ in files:
            label = read_mat(path, 0, SHAPE)[1] - self.label_offset
            if not 0 <= label < len(CLASSES):
                raise DataError(f"{path}: class {label} is outside 0..{len(CLASSES) - 1}")
            y.append(label)
        return np.array(y, dtype=np.int64), np.array([part == "test" for _, part in files])


class Frame20Options(NoOptions):
    """`frames`: how many of the 20 stored frames are used, from the first."""

    frames: int = Field(20, ge=1, le=1000)


class Cifar10DvsMat128x20(Cifar10DvsMat128):
    """The paper's form (c): `CIFAR10-MAT-20`, 20 frames, labels as they are."""

    name: ClassVar[str] = "cifar10-dvs-128x20"
    Options: ClassVar[type[BaseModel]] = Frame20Options
    folder: ClassVar[str] = "CIFAR10-MAT-20"
    label_offset: ClassVar[int] = 0


def _append(store: IO[bytes], frames: NDArray[Any], path: Path) -> None:
    """Write one sample's counts as bytes. Raises DataError where they do not fit."""
    if len(frames) and not (frames.min() >= 0 and frames.max() <= 255 and (frames % 1 == 0).all()):
        raise DataError(f"{path}: frame_Data {frames.min()}..{frames.max()}: expected counts 0..255")
    store.write(frames.astype(np.uint8).tobytes())
    store.flush()


def _splits(y: NDArray[Any], test: NDArray[np.bool_]) -> Any:
    return with_valid(y, test, VALID_FRACTION, "cifar10-dvs", "splits", 1)


def _targets(files: list[tuple[Path, str]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    y = np.array([CLASSES.index(folder) for _, folder in files], dtype=np.int64)
    test = np.zeros(len(y), dtype=np.bool_)
    for label in range(len(CLASSES)):
        members = np.flatnonzero(y == label)
        test[members[len(members) - round(TEST_FRACTION * len(members)) :]] = True
    return y, test


def _card(name: str, *, sha256: str, notes: str, **fields: Any) -> DatasetCard:
    return DatasetCard(
        name=name,
        revision=sha256[:12],
        task="classification",
        classes=len(CLASSES),
        sha256=sha256,
        licence="CC BY 4.0",
        citation=_CITATION,
        notes=notes + "validation cut from train, stratified; sha256 is of names and sizes",
        **fields,
    )
