"""What the generic readers see in a user's file, guessed from names, shapes and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.datasets.own._user_file import H5File, NpzFile, UserFile
from harness.datasets.series.series import FileOptions
from harness.datasets.series.series_frame import read_series
from harness.errors import DataError
from harness.events.images import read_rgb

ARRAYS: Final[Mapping[str, tuple[str, type[UserFile]]]] = {
    ".npz": ("npz", NpzFile),
    ".h5": ("h5", H5File),
    ".hdf5": ("h5", H5File),
}
SERIES: Final = (".csv", ".txt", ".parquet", ".pq")
_LABELS: Final = ("y", "label", "labels", "target", "targets", "class", "classes")
_SPLITS: Final = ("split", "splits", "part", "fold")
_TIMES: Final = ("times", "t", "time", "time_us")
_UNITS: Final = ("units", "u", "unit", "address")
_OFFSETS: Final = ("offset", "offsets", "o", "start")
_SHADES: Final = " .:-=+*#%@"
_WIDTH, _HEIGHT, _SHOWN = 28, 14, 3
_FEW: Final = 4096  # samples looked at for the range of values


@dataclass(frozen=True, slots=True)
class Look:
    """``kind`` and ``options`` make the ``dataset:`` line; ``facts`` are (what, in words); ``pictures`` text.

    ``unsure`` says what had to be guessed.
    """

    kind: str
    path: Path
    options: tuple[tuple[str, Any], ...]
    facts: tuple[tuple[str, str], ...]
    pictures: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """What a study file says: ``dataset: {npz: my.npz, x: x, layout: ntc}``."""
        parts = [f"{self.kind}: {_word(str(self.path))}", *(f"{k}: {_word(v)}" for k, v in self.options)]
        return f"dataset: {{{', '.join(parts)}}}"


def look(path: Path) -> Look:
    """Look at a file or folder. Raises DataError where no reader takes it, with what they take."""
    if path.is_dir():
        return _images(path)
    suffix = next((s.lower() for s in reversed(path.suffixes) if s != ".gz"), "")
    if suffix in ARRAYS:
        kind, reader = ARRAYS[suffix]
        return _arrays(kind, reader(path))
    if suffix in SERIES:
        return _series(path)
    known = ", ".join((*ARRAYS, *SERIES))
    raise DataError(
        f"{path}: no reader for '{suffix or path.name}'; there are some for {known} and image folders."
    )


# -- arrays ---------------------------------------------------------------------------------------------


def _arrays(kind: str, file: UserFile) -> Look:
    heads = {key: file.header(key) for key in file.keys}
    facts = [(key, f"{dtype} {shape}") for key, (shape, dtype) in heads.items()]
    y = _named(heads, _LABELS)
    if y is None:
        raise DataError(
            f"{file.path}: no array of labels; it holds {_listed(heads)}. Save one class a sample as y, (N,)."
        )
    count = heads[y][0][0]
    options: dict[str, Any] = {} if y == "y" else {"y": y}
    unsure: list[str] = []
    pictures: tuple[str, ...] = ()
    times, units, offset = (_named(heads, names) for names in (_TIMES, _UNITS, _OFFSETS))
    if times and units and offset:
        highest = int(file.read(units).max(initial=0)) + 1
        options |= {"layout": "events", "times": times, "units": units, "offset": offset, "shape": [highest]}
        unsure += [f"shape [{highest}] is the highest unit: give the sensor's", "time_unit us: else ms or s"]
    else:
        key, layout, guess = _dense(file.path, heads, count)
        options |= {"x": key, "layout": layout}
        unsure += guess
        x = file.read(key)
        facts.append(("values", _range(np.moveaxis(x, layout.index("n"), 0)[:_FEW])))
        if "t" in layout:
            facts.append(("T", f"{x.shape[layout.index('t')]} steps"))
        moved = x.transpose([layout.index(axis) for axis in sorted(layout, key="ntchw".index)])
        pictures = tuple(_picture(sample, "t" in layout) for sample in moved[:_SHOWN])
    labels = file.read(y)
    facts.append(("classes", _balance(labels.tolist())))
    split = _named(heads, _SPLITS)
    if split:
        options["split"] = split
        facts.append(("split", _balance(file.read(split).tolist())))
    else:
        facts.append(
            ("split", "none in the file: a stratified fifth is test, a fifth of the rest validation")
        )
    return Look(kind, file.path, tuple(options.items()), tuple(facts), pictures, tuple(unsure))


def _dense(path: Path, heads: Mapping[str, Any], count: int) -> tuple[str, str, list[str]]:
    """The largest array of ``count`` samples, its axes, and what was guessed of them."""
    found = [
        k
        for k, (shape, dtype) in heads.items()
        if len(shape) > 1 and shape[0] == count and dtype.kind in "biuf"
    ]
    if not found:
        raise DataError(f"{path}: no array of {count} samples beside the labels; it holds {_listed(heads)}.")
    key = max(found, key=lambda name: int(np.prod(heads[name][0])))
    shape = heads[key][0]
    few = shape[-1] in (1, 3, 4) and len(shape) > 3
    square = len(shape) == 3 and shape[1] == shape[2]
    layout = {
        2: "nc",
        3: "nhw" if square else "ntc",
        4: "nhwc" if few else "nchw",
        5: "nthwc" if few else "ntchw",
    }
    if len(shape) not in layout:
        raise DataError(f"{path}: array '{key}' has {len(shape)} axes {shape}; readers take two to five.")
    sure = len(shape) == 2
    unsure = [] if sure else [f"layout {layout[len(shape)]} is a guess from the shape {shape}"]
    return key, layout[len(shape)], unsure


def _named(heads: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """The array that is called one of these, whatever group it is in."""
    by_name = {key.rpartition("/")[2].lower(): key for key, (shape, _) in heads.items() if len(shape) == 1}
    return next((by_name[name] for name in names if name in by_name), None)


# -- series and images --------------------------------------------------------------------------------


def _series(path: Path) -> Look:
    options = FileOptions(path=str(path))
    series = read_series(path, options.reading(), path.name)
    rows, variates = series.values.shape
    window = max(1, min(96, rows // 20))
    horizon = max(1, window // 4)
    facts = [("rows", f"{rows} steps in time"), ("variates", f"{variates}: {', '.join(series.names[:12])}")]
    if series.times is not None:
        step = np.diff(series.times[:2])[0]
        facts.append(("time", f"{series.times[0]} to {series.times[-1]}, every {step}"))
    facts.append(("values", _range(series.values)))
    lines = [
        f"{name[:16]:16} {_spark(column)}" for name, column in zip(series.names, series.values.T, strict=True)
    ]
    unsure = (f"window {window} and horizon {horizon} are a start: choose them by what is to be forecast",)
    made = (("window", window), ("horizon", horizon))
    return Look("series", path, made, tuple(facts), ("\n".join(lines[:6]),), unsure)


def _images(path: Path) -> Look:
    top = path / "train" if (path / "train").is_dir() else path
    classes = sorted(entry for entry in top.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    files = {
        folder.name: [f for f in sorted(folder.iterdir()) if not f.name.startswith(".")] for folder in classes
    }
    first = [found[0] for found in files.values() if found][:_SHOWN]
    if not first:
        raise DataError(
            f"{path}: no images in it: expected <class>/<image>, or train/ and val/ with such folders."
        )
    shapes = [read_rgb(file).shape[:2] for file in first]
    least = min(min(shape) for shape in shapes)
    counted = [name for name, found in files.items() for _ in found]
    facts = [("classes", _balance(counted)), ("sizes", ", ".join(f"{h} x {w}" for h, w in shapes))]
    own = (path / "val").is_dir() and top != path
    facts.append(
        ("split", "val is test" if own else "none: a fifth of all is test, a fifth of the rest validation")
    )
    pictures = tuple(_picture(read_rgb(file).transpose(2, 0, 1), False) for file in first)
    pixels = min(224, least)
    return Look(
        "images", path, (("pixels", pixels),), tuple(facts), pictures, (f"pixels {pixels}: the centre crop",)
    )


# -- words and pictures -------------------------------------------------------------------------------


def _range(values: NDArray[Any]) -> str:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return "not all finite (NaN or infinite): the reader will refuse them"
    low, high, mean = float(values.min()), float(values.max()), float(values.mean(dtype=np.float64))
    hint = "; scale: 0.00392157 makes it 0 to 1" if values.dtype == np.uint8 and high > 1 else ""
    return f"{low:.4g} to {high:.4g}, mean {mean:.4g}{hint}"


def _balance(values: list[Any]) -> str:
    names, counts = np.unique(np.array(values).astype(str), return_counts=True)
    shown = ", ".join(f"{name} {count}" for name, count in list(zip(names, counts, strict=True))[:12])
    more = f", and {len(names) - 12} more" if len(names) > 12 else ""
    skew = (
        f"; the largest is {counts.max() / counts.min():.1f} x the smallest"
        if counts.max() > 2 * counts.min()
        else ""
    )
    return f"{len(names)}: {shown}{more}{skew}"


def _picture(sample: NDArray[Any], timed: bool) -> str:
    """A sample as characters: an image, the mean over time of frames, or channels over time."""
    plane = np.asarray(sample, dtype=np.float64)
    if timed and plane.ndim == 2:
        plane = plane.T  # channels down, time to the right
    elif timed:
        plane = plane.mean(0)
    while plane.ndim > 2:
        plane = plane.mean(0)
    plane = np.atleast_2d(plane)
    rows = np.linspace(0, plane.shape[0] - 1, min(_HEIGHT, plane.shape[0])).round().astype(int)
    columns = np.linspace(0, plane.shape[1] - 1, min(_WIDTH, plane.shape[1])).round().astype(int)
    small = np.nan_to_num(plane[np.ix_(rows, columns)])
    spread = float(np.ptp(small)) or 1.0
    level = ((small - small.min()) / spread * (len(_SHADES) - 1)).round().astype(int)
    return "\n".join("".join(_SHADES[at] * 2 for at in row) for row in level)


def _spark(column: NDArray[Any]) -> str:
    at = np.linspace(0, len(column) - 1, min(60, len(column))).round().astype(int)
    some = np.nan_to_num(column[at])
    level = ((some - some.min()) / (float(np.ptp(some)) or 1.0) * 7).round().astype(int)
    return "".join("▁▂▃▄▅▆▇█"[one] for one in level)


def _listed(heads: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {shape}" for key, (shape, _) in heads.items()) or "nothing"


def _word(value: Any) -> str:
    text = str(value).replace("'", "''")
    plain = text.replace("_", "").replace("-", "").replace(".", "").replace("/", "")
    return text if isinstance(value, (int, list)) or (plain.isalnum() and plain.isascii()) else f"'{text}'"
