"""A user's file in the form of the data that a network was trained on, prepared as that data was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts import registry
from harness.contracts.data import ArraySplit, DatasetCard, EventSplit, Split
from harness.datasets._files import file_sha256
from harness.datasets._lazy import FileSplit, as_array
from harness.datasets.images.imagenet import centre_crop
from harness.datasets.own import _user as user
from harness.datasets.own import _user_events as events
from harness.datasets.own._user_file import H5File, NpzFile, UserFile
from harness.datasets.series.series import FileOptions
from harness.datasets.series.series_base import SeriesDataset
from harness.datasets.series.series_frame import read_series, time_features
from harness.datasets.series.series_windows import WindowSplit
from harness.datasets.speech import _spike_h5
from harness.errors import DataError
from harness.events.images import read_rgb
from harness.kept.network import KeptModel

_ARRAYS: dict[str, type[UserFile]] = {".npz": NpzFile, ".h5": H5File, ".hdf5": H5File}


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of a file. ``names`` (N,) say which is which; ``labelled``: whether targets are known.

    ``shift`` and ``scale`` turn forecasts into the file's units; () for classes. ``sha256`` is the file's, ""
    for folders.
    """

    split: Split
    names: tuple[str, ...]
    labelled: bool
    sha256: str = ""
    first_rows: tuple[int, ...] = ()


def read_samples(model: KeptModel, path: Path, *, targets: bool = False, plain: bool = False) -> Samples:
    """All samples of a file, or of a folder of images, for a network.

    ``targets``: labels, or the rows that are forecast, must be there. ``plain`` reads arrays without labels
    even where they are. Raises DataError naming the file, what it holds and what the network wants.
    """
    card = model.data
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if card.task == "forecasting":
        return _series(model, path, targets=targets)
    if path.is_dir():
        return _images(model, path, targets=targets)
    kind = _ARRAYS.get(path.suffix.lower())
    if kind is None:
        folder = ", or a folder of images" if "pixels" in model.card.applied else ""
        raise DataError(
            f"{path}: networks of '{card.name}' read .npz and .h5 files with samples of layout {card.layout}"
            f"{folder}, not '{path.suffix or path.name}'."
        )
    return _arrays(model, kind(path), targets=targets and not plain)


# -- arrays ---------------------------------------------------------------------------------------------


def _arrays(model: KeptModel, file: UserFile, *, targets: bool) -> Samples:
    card, options = model.data, _options(model.card.dataset, model.card.options, model.data, file.path)
    if card.layout == "events" and "spikes/times" in file.keys:
        return _recordings(model, file)
    if card.layout == "events":
        held = events.read(file, options)
        if tuple(held["sensor"].tolist()) != card.shape:
            raise DataError(_misfit(file.path, "events of", tuple(held["sensor"].tolist()), card))
        count = len(held["offset"]) - 1
    else:
        axes = options.layout or ("nc" if len(card.shape) == 1 else card.layout)
        x, layout = user.read_dense(file, options.x, axes)
        fits = len(x.shape) - 1 == len(card.shape) and all(
            want in (-1, have) or (axis == "t" and layout[1] == "t")
            for axis, want, have in zip(layout[1:], card.shape, x.shape[1:], strict=False)
        )
        if not fits:
            raise DataError(
                _misfit(file.path, f"array '{options.x}' holds samples of shape", x.shape[1:], card)
            )
        held, count = {"x": x}, len(x)
        if options.length is not None:
            held["length"] = file.read(options.length)
    y, labelled = _labels(model, file, options.y, count, targets=targets)
    index = np.arange(count, dtype=np.int64)
    split: Split
    if card.layout == "events":
        duration = round(card.duration_ms * 1000) or int(held["duration_us"][0])
        split = EventSplit(held | {"y": y}, index, shape=card.shape, duration_us=duration)
    else:
        split = ArraySplit(held["x"], y, index, scale=float(options.scale), length=held.get("length"))
    names = tuple(str(number) for number in range(count))
    return Samples(split, names, labelled, file_sha256(file.path))


def _recordings(model: KeptModel, file: UserFile) -> Samples:
    """Recordings in SHD's form, which has a label each."""
    card = model.data
    if len(card.shape) != 1:
        raise DataError(_misfit(file.path, "recordings of channels, not", card.shape, card))
    held = _spike_h5.read(file.path, None, card.shape[0])
    y = _numbered(model, [str(label) for label in held["y"].tolist()], file.path)
    index = np.arange(len(y), dtype=np.int64)
    duration = round(card.duration_ms * 1000)
    split = EventSplit(held | {"y": y}, index, shape=card.shape, duration_us=duration)
    return Samples(split, tuple(map(str, index.tolist())), True, file_sha256(file.path))


def _options(dataset: str, options: dict[str, Any], card: DatasetCard, path: Path) -> Any:
    """How the file's arrays are called and laid out: as in the study's own file, else by default."""
    own = dict(options) if dataset in ("npz", "h5") else {"layout": card.layout}
    if card.layout == "events":
        own |= {"shape": card.shape, "duration_ms": card.duration_ms or None}
    return user.NpzOptions(**(own | {"path": str(path)}))


def _misfit(path: Path, what: str, shape: tuple[int, ...], card: DatasetCard) -> str:
    wanted = tuple("any" if size == -1 else size for size in card.shape)
    return (
        f"{path}: {what} {shape}; the network wants {wanted}, axes {card.layout[1:]}, as '{card.name}' has."
    )


def _labels(
    model: KeptModel, file: UserFile, key: str, count: int, *, targets: bool
) -> tuple[NDArray[np.int64], bool]:
    """Labels by the names of the network's classes; zeros where the file has none and none are needed."""
    if key not in file.keys and not targets:
        return np.zeros(count, dtype=np.int64), False
    y = file.read(key)
    if y.shape != (count,) or y.dtype.kind not in "iuUS":
        raise DataError(f"{file.path}: labels '{key}' are {y.dtype} {y.shape}: expected {count} classes")
    if y.dtype.kind in "US":
        y = np.char.strip(np.char.decode(y, "utf-8", "replace") if y.dtype.kind == "S" else y)
    return _numbered(model, [str(label) for label in y.tolist()], file.path), True


def _numbered(model: KeptModel, labels: list[str], path: Path) -> NDArray[np.int64]:
    known = {name: number for number, name in enumerate(model.classes())}
    strange = sorted(set(labels) - set(known))
    if strange:
        shown = ", ".join(list(known)[:12]) + (", .." if len(known) > 12 else "")
        raise DataError(
            f"{path}: class '{strange[0]}' is none that the network knows: {shown}. Leave its samples "
            "out, or "
            "train with it."
        )
    return np.array([known[label] for label in labels], dtype=np.int64)


# -- images ---------------------------------------------------------------------------------------------


def _images(model: KeptModel, path: Path, *, targets: bool) -> Samples:
    pixels = model.card.applied.get("pixels")
    if not isinstance(pixels, int):
        raise DataError(f"{path} is a folder; networks of '{model.data.name}' read .npz and .h5 files.")
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    parents = folders or [path]
    files = [f for folder in parents for f in sorted(folder.iterdir()) if not f.name.startswith(".")]
    if not files:
        raise DataError(f"{path}: no images in it: expected <image> or <class>/<image>")
    if not folders and targets:
        raise DataError(f"{path}: images without folders of classes have no labels: expected <class>/<image>")
    y = np.zeros(len(files), dtype=np.int64)
    if folders:
        y = _numbered(model, [file.parent.name for file in files], path)
    names = [str(file.relative_to(path)) for file in files]
    index = np.arange(len(files), dtype=np.int64)
    split = FileSplit(path, as_array(names), y, index, lambda file, _: centre_crop(read_rgb(file), pixels))
    return Samples(split, tuple(names), bool(folders))


# -- series ---------------------------------------------------------------------------------------------


def _series(model: KeptModel, path: Path, *, targets: bool) -> Samples:
    """Windows, each ``eval_stride`` rows after the other; without ``targets`` the last ends with the file."""
    kept = model.card.applied
    if not all(kept.get(name) for name in ("variates", "shift", "scale")):
        raise DataError(f"{path}: the model of {model.card.name} does not say how its series was scaled.")
    kind = registry.dataset(model.card.dataset)
    if not issubclass(kind, SeriesDataset):
        raise DataError(f"{path}: forecasts of '{model.data.name}' on other files are not supported.")
    options: Any = kind.Options(**{k: _frozen(v) for k, v in model.card.options.items()})
    wanted = tuple(str(name) for name in kept["variates"])
    reading = options.reading() if isinstance(options, FileOptions) else FileOptions(path=str(path)).reading()
    series = read_series(path, reading, path.name)
    missing = [name for name in wanted if name not in series.names]
    if missing:
        raise DataError(
            f"{path}: no variate '{missing[0]}'; it has {', '.join(series.names[:12])}, the network "
            "forecasts "
            f"{', '.join(wanted[:12])}."
        )
    chosen = [series.names.index(name) for name in wanted]
    values = (series.values[:, chosen] - np.array(kept["shift"])) / np.array(kept["scale"])
    rows, window, horizon, stride = len(values), options.window, options.horizon, options.eval_stride
    last = rows - window - (horizon if targets else 0)
    if last < 0:
        length = f"{window} rows" if not targets else f"{window} + {horizon} rows, targets included"
        raise DataError(f"{path}: {rows} rows are too few: a window of the network has {length}.")
    index = np.arange(0 if targets else last % stride, last + 1, stride, dtype=np.int64)
    beyond = np.full((horizon, len(wanted)), np.nan)
    padded = np.ascontiguousarray(np.concatenate([values, beyond]), dtype=np.float32)
    times = None
    if options.time_features:
        if series.times is None:
            raise DataError(f"{path}: no column of time stamps; the network was trained with time features.")
        times = time_features(series.times)
    split = WindowSplit(padded, index, options, times)
    names = tuple(str(first + window) for first in index.tolist())
    if series.times is not None:
        step = series.times[-1] - series.times[-2]
        names = tuple(str(series.times[first + window - 1] + step) for first in index.tolist())
    return Samples(split, names, targets, file_sha256(path), tuple((index + window).tolist()))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
