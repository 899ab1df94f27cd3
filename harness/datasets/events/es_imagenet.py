"""`es-imagenet`: ES-ImageNet as its authors publish it, in either of its two layouts.

`es-imagenet/{train,val}/...npz` with `trainlabel.txt` and `vallabel.txt` (keys `pos`, `neg`; what
`harness data convert odg` writes), or the converted one with `trainlabel.csv` and `vallabel.csv`
(key `arr_0`, already centred and cropped).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.contracts.data import Arrays, Dataset, DatasetCard, Split, SplitName
from harness.datasets._files import data_path, file_sha256
from harness.datasets._lazy import FileSplit, as_array
from harness.datasets._splits import Splits, counts, missing_classes, with_valid
from harness.errors import DataError
from harness.events.odg import LONGER_SIDE, STEPS

ORIGIN: Final = "github.com/lyh983012/ES-imagenet-master (the 25 parts, unpacked)"
FOLDER: Final = "es-imagenet"
CANVAS: Final = 256
CROP: Final = slice(16, 240)
SIDE: Final = 224
VALID_FRACTION: Final = 0.04
PARTS: Final = ("train", "val")


class Line(NamedTuple):
    """A sample: file below the folder, class, and the resized image's height and width."""

    file: str
    label: int
    height: int
    width: int


class EsImageNet(Dataset):
    """ImageNet through ODG, centred and cropped as in the paper's loader: (8, 2, 224, 224), binary.

    Channel 0 is brighter, 1 darker. Files are read when a batch asks for them.
    """

    name: ClassVar[str] = "es-imagenet"
    published_counts: ClassVar[tuple[int, int] | None] = (1_257_035, 49_881)

    def card(self) -> DatasetCard:
        """The card, from the label files. Raises MissingDataError, DataError."""
        root = self._root()
        parts = [read_labels(root, part) for part in self._parts(root)]
        y, test = _targets(parts)
        digests = [file_sha256(_label_file(root, part)) for part in self._parts(root)]
        splits = self._splits(y, test)
        return DatasetCard(
            name=self.name,
            revision="-".join(digest[:8] for digest in digests),
            task="classification",
            layout="ntchw",
            shape=(STEPS, 2, SIDE, SIDE),
            counts=counts(splits),
            classes=int(y.max()) + 1,
            sha256=digests[0],
            licence="CC BY 4.0 (events); ImageNet's terms for the images behind them",
            citation="Lin, Ding, Qiang, Deng and Li, ES-ImageNet, Front. Neurosci. 15:726582, 2021",
            origin=ORIGIN,
            notes="val is test; validation cut from train, whose images an ANN of imagenet may have "
            "seen; sha256 is of trainlabel",
            remarks=missing_classes(y, splits),
        )

    def prepare(self) -> Arrays:
        """`file`, `y`, `size` and `test` (N, ...): the label files. Raises DataError.

        Every file named must be there.
        """
        root = self._root()
        parts = [read_labels(root, part) for part in self._parts(root)]
        for part, lines in zip(self._parts(root), parts, strict=True):
            _check_files(root, _label_file(root, part), lines)
        y, test = _targets(parts)
        lines = [line for part in parts for line in part]
        size = np.array([(line.height, line.width) for line in lines], dtype=np.int32)
        return {"file": as_array([line.file for line in lines]), "y": y, "size": size, "test": test}

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """The authors' val split as test; train and valid drawn from their train split."""
        index = self._splits(arrays["y"], np.asarray(arrays["test"]))[name]
        load = partial(_load, arrays["size"])
        return FileSplit(self._root(), arrays["file"], arrays["y"], index, load)

    def _root(self) -> Path:
        return data_path(self.name, FOLDER, origin=ORIGIN)

    def _parts(self, root: Path) -> tuple[str, ...]:
        return PARTS

    def _splits(self, y: NDArray[np.int64], test: NDArray[np.bool_]) -> Splits:
        return with_valid(y, test, VALID_FRACTION, self.name, "splits", 1)


def read_labels(root: Path, part: str) -> list[Line]:
    """The lines of a label file, text or csv; files are below `root`. Raises DataError."""
    path = _label_file(root, part)
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = text.split() if path.suffix == ".txt" else text.split(",")
        if path.suffix == ".csv":
            if number == 1 and not fields[-1].strip().isdigit():
                continue  # a header
            fields = [*fields, str(LONGER_SIDE), str(LONGER_SIDE)]
        if len(fields) != 4 or not all(field.strip().isdigit() for field in fields[1:]):
            raise DataError(f"{path}:{number}: '{text}': expected file, class, height, width")
        label, height, width = (int(field) for field in fields[1:])
        if not (0 < height <= LONGER_SIDE and 0 < width <= LONGER_SIDE):
            raise DataError(f"{path}:{number}: image of {height} x {width}: at most {LONGER_SIDE}")
        name = fields[0].strip()
        folder = "" if name.startswith(f"{part}/") else f"{part}/"
        lines.append(Line(f"{folder}{name}", label, height, width))
    if not lines:
        raise DataError(f"{path}: no samples")
    return lines


def read_events(path: Path, height: int, width: int) -> NDArray[np.float32]:
    """One sample (8, 2, 224, 224) of 0 and 1, centred on a canvas of 256 and cropped.

    `height` and `width` are the resized image's. Raises DataError where keys are missing or
    events lie outside the canvas.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            found = {key: file[key] for key in file.files if key in ("pos", "neg", "arr_0")}
            keys = list(file.files)
    except Exception as error:  # zip, zlib, header and pickle errors are many types
        raise DataError(f"{path} cannot be read: {error}") from None
    if "arr_0" in found:
        return _converted(path, found["arr_0"])
    if set(found) != {"pos", "neg"}:
        raise DataError(f"{path}: expected arrays pos and neg, or arr_0; it holds {', '.join(keys)}")
    canvas = np.zeros((STEPS, 2, CANVAS, CANVAS), dtype=np.float32)
    down, right = (LONGER_SIDE - height) // 2, (LONGER_SIDE - width) // 2
    for channel, rows in enumerate((found["pos"], found["neg"])):
        row, col, time = _coordinates(path, rows)
        row, col = row + down, col + right
        for what, value, low, high in (
            ("row", row, 0, CANVAS - 1),
            ("column", col, 0, CANVAS - 1),
            ("time", time, 1, STEPS),
        ):
            if len(value) and not (low <= value.min() and value.max() <= high):
                raise DataError(
                    f"{path}: {what} {value.min()}..{value.max()} is outside the canvas, {low}..{high}"
                )
        canvas[time - 1, channel, row, col] = 1
    return np.ascontiguousarray(canvas[:, :, CROP, CROP])


def _coordinates(path: Path, rows: NDArray[Any]) -> NDArray[np.int64]:
    if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype.kind not in "iu":
        raise DataError(f"{path}: events are {rows.dtype} {rows.shape}: expected integers (N, 3)")
    return rows.astype(np.int64).T


def _converted(path: Path, frames: NDArray[Any]) -> NDArray[np.float32]:
    if frames.shape != (2, STEPS, SIDE, SIDE):
        raise DataError(f"{path}: arr_0 is {frames.shape}: expected (2, {STEPS}, {SIDE}, {SIDE})")
    return np.ascontiguousarray(frames.transpose(1, 0, 2, 3), dtype=np.float32)


def _load(size: NDArray[np.int32], path: Path, position: int) -> NDArray[np.float32]:
    height, width = size[position].tolist()
    return read_events(path, height, width)


def _label_file(root: Path, part: str) -> Path:
    for suffix in (".txt", ".csv"):
        path = root / f"{part}label{suffix}"
        if path.is_file():
            return path
    raise DataError(f"{root}: neither {part}label.txt nor {part}label.csv is there")


def _check_files(root: Path, labels: Path, lines: Sequence[Line]) -> None:
    there: dict[str, set[str]] = {}
    missing = []
    for line in lines:
        folder, _, name = line.file.rpartition("/")
        if folder not in there:
            where = root / folder
            there[folder] = {path.name for path in where.iterdir()} if where.is_dir() else set()
        if name not in there[folder]:
            missing.append(line.file)
    if missing:
        raise DataError(f"{labels} names {len(missing)} files that are missing, first {root / missing[0]}")


def _targets(parts: Sequence[Sequence[Line]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    y = np.array([line.label for part in parts for line in part], dtype=np.int64)
    return y, np.repeat([False, True], [len(parts[0]), sum(len(part) for part in parts[1:])])
