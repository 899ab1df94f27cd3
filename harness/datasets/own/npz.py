"""`npz` and `h5`: a user's own file, dense arrays or events, with its arrays named in the study.

::

    dataset: {npz: my.npz, x: logmel, y: label, split: split, layout: ntc}
    dataset: {npz: ev.npz, layout: events, times: t, units: u, offset: o, y: label, shape: [700]}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from harness.contracts.data import (
    Arrays,
    ArraySplit,
    Dataset,
    DatasetCard,
    EventSplit,
    Split,
    SplitName,
)
from harness.datasets._files import file_sha256
from harness.datasets._splits import counts, missing_classes
from harness.datasets.own import _user as user
from harness.datasets.own import _user_events as events
from harness.datasets.own._user_file import H5File, NpzFile, UserFile
from harness.errors import DataError


class Npz(Dataset):
    """A user's .npz file, dense or events."""

    name: ClassVar[str] = "npz"
    source: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = user.NpzOptions
    file: ClassVar[type[UserFile]] = NpzFile

    def __init__(self, options: BaseModel | None = None) -> None:
        if options is None:
            wanted = f"{{{self.name}: my.{self.name}, x: .., y: ..}}"
            raise DataError(f"data set '{self.name}' needs a file: write dataset: {wanted}")
        super().__init__(options)

    def card(self) -> DatasetCard:
        """The card, from headers, labels and splits. Raises DataError where the file is wrong."""
        file = self.file(Path(self.options.path))
        digest = file_sha256(file.path)
        if self.options.layout == "events":
            samples, layout = events.samples(file, self.options), "events"
            shape, duration_ms = (
                events.sensor(file, self.options),
                events.duration_us(file, self.options) / 1000,
            )
        else:
            axes = self._axes(file)
            layout = user.dense_layout(file, self.options.x, axes)
            samples, shape = user.dense_shape(file.header(self.options.x)[0], axes)
            duration_ms = 0.0
        y, names = user.read_labels(file, self.options.y, samples)
        splits = user.read_splits(file, self.options.split, y)
        classes = int(y.max()) + 1
        renumbered = bool(names) and file.header(self.options.y)[1].kind in "iu"
        return DatasetCard(
            name=self.name,
            revision=f"{digest[:12]}-classes{classes}" if renumbered else digest[:12],
            task="classification",
            layout=layout,
            shape=shape,
            counts=counts(splits),
            classes=classes,
            duration_ms=duration_ms,
            sha256=digest,
            origin=file.path.name,
            notes="" if self.options.split else "no split in the file: drawn, stratified and seeded",
            class_names=names,
            remarks=missing_classes(y, splits, names),
        )

    def cache_key(self) -> tuple[str, ...]:
        """The file's content."""
        return (file_sha256(Path(self.options.path)),)

    def prepare(self) -> Arrays:
        """`x` or `time_us`, `unit`, `offset`; `y`, `train`, `valid`, `test` indices. Raises DataError."""
        file = self.file(Path(self.options.path))
        if self.options.layout == "events":
            arrays = events.read(file, self.options)
            samples = len(arrays["offset"]) - 1
        else:
            x, _ = user.read_dense(file, self.options.x, self._axes(file))
            arrays, samples = {"x": x}, len(x)
            if self.options.length is not None:
                arrays["length"] = self._lengths(file, samples, x.shape[1])
        y, names = user.read_labels(file, self.options.y, samples)
        splits = user.read_splits(file, self.options.split, y)
        arrays["classes"] = np.array(names or [str(number) for number in range(int(y.max()) + 1)])
        return arrays | {"y": y} | {str(name): index for name, index in splits.items()}

    def applied(self, arrays: Arrays) -> Mapping[str, Any]:
        """The labels as the file has them, in order."""
        classes = arrays.get("classes")  # absent from copies that an earlier version prepared
        return {} if classes is None else {"classes": [str(label) for label in classes.tolist()]}

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """A split as the file marks it, or as drawn."""
        index = np.asarray(arrays[name])
        if "x" not in arrays:
            shape, duration = tuple(arrays["sensor"].tolist()), int(arrays["duration_us"][0])
            return EventSplit(arrays, index, shape=shape, duration_us=duration)
        scale = float(self.options.scale)
        return ArraySplit(arrays["x"], arrays["y"], index, scale=scale, length=arrays.get("length"))

    def _axes(self, file: UserFile) -> str:
        if self.options.layout is not None:
            return str(self.options.layout)
        shape, _ = file.header(self.options.x)
        if len(shape) == 2:
            return "nc"
        raise DataError(
            f"{file.path}: array '{self.options.x}' has shape {shape}; say what its axes are, "
            "for instance layout: ntc or layout: nchw"
        )

    def _lengths(self, file: UserFile, samples: int, steps: int) -> NDArray[np.int64]:
        key = self.options.length
        length = file.read(key)
        if length.shape != (samples,) or length.dtype.kind not in "iu":
            raise DataError(f"{file.path}: lengths '{key}' must be {samples} integers")
        if length.min() < 1 or length.max() > steps:
            raise DataError(
                f"{file.path}: lengths '{key}' are {length.min()}..{length.max()}: allowed 1..{steps}"
            )
        return length.astype(np.int64)


class H5(Npz):
    """A user's HDF5 file, dense or events; arrays in groups are named `group/array`."""

    name: ClassVar[str] = "h5"
    file: ClassVar[type[UserFile]] = H5File
