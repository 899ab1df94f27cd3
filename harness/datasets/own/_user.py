"""Checks of a user's own arrays: one clear line each, naming the file and the array."""

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from harness.contracts.data import NoOptions
from harness.datasets._splits import Splits, cut, three_way
from harness.datasets.own._user_file import UserFile
from harness.errors import DataError

LAYOUTS: Final = ("nc", "ntc", "nchw", "ntchw")
"""Layouts of a batch; a file may hold the axes in another order, and leave out a c of size 1."""
SPLIT_NAMES: Final = ("train", "valid", "test")
HELD_FRACTION: Final = 0.2
"""Of a file without a split: test, and validation of what remains."""
_BLOCK: Final = 1 << 22


class NpzOptions(NoOptions):
    """What the arrays of the file are called.

    Dense: `x`, with `layout` (default nc for two axes), `length` (valid steps) and `scale` (a factor).
    Events (`layout: events`): `times` in `time_unit`, `offset` (N + 1), the sensor's `shape`, and
    either `units` (flat addresses) or `rows`, `cols` and `polarity`; `duration_ms` else the longest.
    Both: labels `y`, and `split` (0/1/2, names or bool); without it a seeded split is drawn.
    """

    path: str
    x: str = "x"
    y: str = "y"
    split: str | None = None
    layout: str | None = None
    length: str | None = None
    scale: float = 1.0
    times: str = "times"
    units: str = "units"
    rows: str | None = None
    cols: str | None = None
    polarity: str | None = None
    offset: str = "offset"
    time_unit: Literal["us", "ms", "s"] = "us"
    duration_ms: float | None = None
    shape: tuple[int, ...] = ()

    @field_validator("shape", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


def read_labels(
    file: UserFile, key: str, samples: int | None = None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels (N,) 0..K-1 of the classes that occur, in order, and what the file calls these.

    Whole numbers or text (sorted); the names are empty where the file has 0..K-1 itself. Raises DataError
    where they are no classes.
    """
    y = file.read(key)
    what = f"{file.path}: labels '{key}'"
    if y.dtype.kind not in "iuUS":
        raise DataError(f"{what} are {y.dtype}: expected whole numbers or text, one a sample")
    if y.ndim != 1:
        raise DataError(f"{what} have shape {y.shape}: expected one class a sample, (N,)")
    if samples is not None and len(y) != samples:
        raise DataError(f"{what} are {len(y)}, but there are {samples} samples")
    if len(y) == 0:
        raise DataError(f"{what} are empty")
    if y.dtype.kind in "US":
        y = _text_labels(y, what)
    elif y.min() < 0:
        raise DataError(f"{what} go down to {y.min()}; expected 0..K-1")
    classes, numbered = np.unique(y, return_inverse=True)
    if len(classes) == 1:
        raise DataError(f"{what} are all {classes[0]}: one class is nothing to tell apart")
    own = y.dtype.kind != "U" and classes[-1] == len(classes) - 1
    return numbered.astype(np.int64), () if own else tuple(str(label) for label in classes.tolist())


def _text_labels(y: NDArray[Any], what: str) -> NDArray[np.str_]:
    """Text with the blanks around it taken off. Raises DataError for what is empty or no UTF-8."""
    if y.dtype.kind == "S":
        try:
            y = np.char.decode(y, "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{what} are bytes that are no UTF-8 text; save them as text") from None
    y = np.char.strip(y)
    empty = np.flatnonzero(y == "")
    if len(empty):
        raise DataError(f"{what}: that of sample {empty[0]} is empty; give each sample its class")
    steering = next((label for label in np.unique(y).tolist() if not label.isprintable()), None)
    if steering is not None:
        raise DataError(f"{what} hold control characters, as in {steering!a}; save plain text")
    return y


def read_splits(file: UserFile, key: str | None, y: NDArray[np.int64]) -> Splits:
    """Splits as the file marks them; what it does not mark is drawn, stratified and seeded.

    The array may hold 0, 1, 2 or "train", "valid", "test", or be bool (True is test). Without valid,
    a fifth of train becomes valid; without any array a fifth is test, a fifth of the rest valid.
    Raises DataError for anything else and for an empty split.
    """
    total = len(y)
    if key is None:
        test = round(HELD_FRACTION * total)
        splits = three_way(y, round(HELD_FRACTION * (total - test)), test, "user", "splits", 1)
    else:
        code = _split_codes(file, key, total)
        found = [np.flatnonzero(code == number).astype(np.int64) for number in range(3)]
        if len(found[1]) == 0:
            count = round(HELD_FRACTION * len(found[0]))
            found[1], found[0] = cut(y, found[0], count, "user", "splits", 1)
        splits = {"train": found[0], "valid": found[1], "test": found[2]}
    for name, index in splits.items():
        if len(index) == 0:
            hint = "" if key is None else f" according to array '{key}'"
            raise DataError(f"{file.path}: the {name} split is empty{hint}")
    return splits


def _split_codes(file: UserFile, key: str, total: int) -> NDArray[Any]:
    split = file.read(key)
    what = f"{file.path}: split '{key}'"
    if split.shape != (total,):
        raise DataError(f"{what} has shape {split.shape}, but there are {total} samples")
    if split.dtype.kind == "b":
        return np.where(split, 2, 0)
    if split.dtype.kind in "US":
        text = split.astype("U")
        wrong = sorted(set(text.tolist()) - set(SPLIT_NAMES))
        if wrong:
            raise DataError(f"{what} holds '{wrong[0]}': allowed are train, valid, test")
        return np.select([text == name for name in SPLIT_NAMES], range(3))
    if split.dtype.kind not in "iu" or split.min() < 0 or split.max() > 2:
        raise DataError(
            f"{what} is {split.dtype} {split.min()}..{split.max()}: allowed are 0 train, 1 valid, "
            "2 test, those names, or bool (True is test)"
        )
    return split


def read_dense(file: UserFile, key: str, layout: str) -> tuple[NDArray[Any], str]:
    """The samples in one of :data:`LAYOUTS`, and which. float64 becomes float32.

    Raises DataError for a layout that does not fit and for values that are not finite.
    """
    _, dtype = file.header(key)
    canonical = dense_layout(file, key, layout)
    if dtype.kind not in "biuf":
        raise DataError(f"{file.path}: array '{key}' is {dtype}: expected numbers")
    x = file.read(key)
    if dtype.kind == "f":
        _finite(file, key, x, layout)
        x = x.astype(np.float32, copy=False)
    if "c" not in layout:
        x, layout = x[..., None], layout + "c"
    return np.ascontiguousarray(x.transpose([layout.index(axis) for axis in canonical])), canonical


def dense_layout(file: UserFile, key: str, layout: str) -> str:
    """The layout of a batch for axes `layout` in the file. Raises DataError where it cannot be."""
    shape, _ = file.header(key)
    letters = sorted({*layout, "c"})
    canonical = next((known for known in LAYOUTS if sorted(known) == letters), None)
    if canonical is None or len(set(layout)) != len(layout):
        raise DataError(
            f"{file.path}: layout '{layout}' is not known; allowed are {', '.join(LAYOUTS)}, their "
            "axes in any order (n sample, t time, c channel, h row, w column), c may be left out"
        )
    if len(shape) != len(layout):
        raise DataError(
            f"{file.path}: array '{key}' has {len(shape)} axes {shape}, but layout '{layout}' has "
            f"{len(layout)}"
        )
    if 0 in shape:
        raise DataError(f"{file.path}: array '{key}' has shape {shape}: nothing in it")
    return canonical


def dense_shape(shape: tuple[int, ...], layout: str) -> tuple[int, tuple[int, ...]]:
    """Samples and the shape of one, in the canonical layout, from axes in the file's order."""
    sizes = {"c": 1} | dict(zip(layout, shape, strict=True))
    canonical = next(known for known in LAYOUTS if sorted(known) == sorted(sizes))
    return sizes["n"], tuple(sizes[axis] for axis in canonical[1:])


def _finite(file: UserFile, key: str, x: NDArray[Any], layout: str) -> None:
    by_sample = np.moveaxis(x, layout.index("n"), 0)
    step = max(1, _BLOCK // max(1, x[:1].size if layout[0] == "n" else by_sample[0].size))
    for start in range(0, len(by_sample), step):
        block = by_sample[start : start + step]
        bad = ~np.isfinite(block)
        if bad.any():
            first = start + int(np.flatnonzero(bad.reshape(len(block), -1).any(1))[0])
            raise DataError(
                f"{file.path}: array '{key}' has values that are not finite (NaN or infinite), "
                f"first in sample {first}"
            )
