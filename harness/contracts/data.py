"""Data sets: the card, the sparse or dense batch, the split, and the contract that yields them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from harness.contracts.plugins import Registry

Arrays = Mapping[str, NDArray[Any]]
Index = NDArray[np.int64]
SplitName = Literal["train", "valid", "test"]
TaskKind = Literal["classification", "forecasting"]


MOST_NAMES = 12  # of classes, in a sentence


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """What a data set is, fixed before any batch is read.

    ``layout`` names the axes of one batch: ``nc``, ``nchw`` (static), ``ntc``, ``ntchw`` (sequences,
    frames), ``events`` (sparse; ``shape`` is then the sensor's, e.g. ``(2, 34, 34)`` or ``(700,)``) or
    ``nlc`` (forecasting windows: L past steps of C variates). ``shape`` is one sample without N; -1 marks
    an axis whose length differs between samples. ``classes`` is 0 for forecasting, where ``horizon`` and
    ``variates`` say what is predicted: targets (B, horizon, variates).
    ``counts`` are the lengths of train, valid and test. ``duration_ms`` is a recording's usual length.
    ``class_names`` are the labels as the file has them, in the order of their numbers (empty: the numbers).
    ``remarks`` are sentences that a plan and a board have to say of the data. ``masked``: targets of
    forecasts may be NaN, which is missing.
    """

    name: str
    revision: str
    task: TaskKind
    layout: str
    shape: tuple[int, ...]
    counts: tuple[int, int, int]
    classes: int = 0
    horizon: int = 0
    variates: int = 0
    duration_ms: float = 0.0
    sha256: str = ""
    licence: str = ""
    citation: str = ""
    origin: str = ""
    notes: str = ""
    class_names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    masked: bool = False

    @property
    def said(self) -> tuple[str, ...]:
        """What a plan and a board say of the data: its classes' names where it has any, and the remarks."""
        names = self.class_names
        if not names:
            return self.remarks
        listed = ", ".join(names) if len(names) <= MOST_NAMES else f"{names[0]} to {names[-1]}"
        return (f"{len(names)} classes, in the order of their numbers: {listed}", *self.remarks)


@dataclass(frozen=True, slots=True)
class Events:
    """A batch of sparse event recordings.

    ``time_us`` (N,) int64 microseconds since the start of the recording, ``unit`` (N,) int64 the flat
    address in ``shape`` (C-order: ``(c * H + y) * W + x``), ``sample`` (N,) int64 in 0..batch-1, sorted.
    """

    time_us: Tensor
    unit: Tensor
    sample: Tensor
    batch: int
    shape: tuple[int, ...]
    duration_us: int

    def to(self, device: torch.device) -> Events:
        """The same events on another device."""
        return replace(
            self,
            time_us=self.time_us.to(device, non_blocking=True),
            unit=self.unit.to(device, non_blocking=True),
            sample=self.sample.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Events:
        """The same events in memory that a GPU reads while the CPU goes on."""
        time_us, unit, sample = (v.pin_memory() for v in (self.time_us, self.unit, self.sample))
        return replace(self, time_us=time_us, unit=unit, sample=sample)


@dataclass(frozen=True, slots=True)
class View:
    """Random views of training samples that a split draws where it reads them, from all there is.

    ``smallest_area`` of a crop (1: none), ``shift`` of a window in pixels, ``flip`` none, horizontal or both;
    what is drawn for a sample depends on ``seed`` and its place in the split alone.
    """

    seed: int
    smallest_area: float = 1.0
    shift: int = 0
    flip: str = "none"


@dataclass(frozen=True, slots=True)
class Scale:
    """Bytes to numbers on the device: ``(x / 255 - mean) / std``, both (C,)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, x: Tensor) -> Tensor:
        """Of bytes (B, C, H, W), contiguous float32."""
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (self.mean, self.std))
        factor, offset = (1.0 / (255.0 * std)).to(x.device), (mean / std).to(x.device)
        x = x.to(torch.float32, memory_format=torch.contiguous_format)
        return x.mul_(factor).sub_(offset)


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs and targets of B samples.

    ``x`` is a tensor in the card's layout or :class:`Events`; ``y`` is (B,) int64 classes or
    (B, horizon, variates) float32. ``length`` (B,) int64 counts the valid steps of padded sequences.
    With ``scale`` ``x`` are bytes still; :meth:`to` makes numbers of them.
    """

    x: Tensor | Events
    y: Tensor
    length: Tensor | None = None
    scale: Scale | None = None

    def __len__(self) -> int:
        return int(self.y.shape[0])

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device, in numbers."""
        length = None if self.length is None else self.length.to(device, non_blocking=True)
        x = self.x.to(device) if isinstance(self.x, Events) else self.x.to(device, non_blocking=True)
        if self.scale is not None and isinstance(x, Tensor):
            x = self.scale.apply(x)
        return Batch(x, self.y.to(device, non_blocking=True), length)

    def pin_memory(self) -> Batch:
        """The same batch in memory that a GPU reads while the CPU goes on."""
        length = None if self.length is None else self.length.pin_memory()
        return replace(self, x=self.x.pin_memory(), y=self.y.pin_memory(), length=length)


class Split(Protocol):
    """One split of a data set: read-only and memory mapped; ``digest`` hashes its indices."""

    def __len__(self) -> int: ...

    @property
    def digest(self) -> str:
        """A hash of which samples are in the split, in order."""

    def batch(self, index: Index) -> Batch:
        """The samples at positions ``index`` (B,) of this split."""


def index_digest(index: Index) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of the indices."""
    return hashlib.sha256(np.ascontiguousarray(index, dtype=np.int64).tobytes()).hexdigest()[:16]


class ArraySplit:
    """A dense split: ``x`` (N, ...) and ``y`` (N,) or (N, ...), of which ``index`` selects samples.

    ``x`` is converted to float32 and multiplied by ``scale``. ``length`` (N,) counts valid steps.
    """

    def __init__(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        index: Index,
        *,
        scale: float = 1.0,
        length: NDArray[Any] | None = None,
    ) -> None:
        self.x, self.y, self.index = x, y, index
        self.scale, self.length = scale, length

    def __len__(self) -> int:
        return len(self.index)

    @property
    def digest(self) -> str:
        """A hash of the indices."""
        return index_digest(self.index)

    def batch(self, index: Index) -> Batch:
        """The samples at positions ``index``."""
        rows = self.index[index]
        x = torch.from_numpy(np.asarray(self.x[rows], dtype=np.float32))
        if self.scale != 1.0:
            x = x.mul_(self.scale)
        y = torch.from_numpy(np.asarray(self.y[rows]))
        y = y.long() if y.dim() == 1 and not y.is_floating_point() else y.float()
        length = None if self.length is None else torch.from_numpy(np.asarray(self.length[rows])).long()
        return Batch(x, y, length)


class EventSplit:
    """A split of sparse recordings: item i is ``time_us[offset[i]:offset[i+1]]``, the same for ``unit``."""

    def __init__(
        self,
        arrays: Arrays,
        index: Index,
        *,
        shape: tuple[int, ...],
        duration_us: int,
    ) -> None:
        self.time_us, self.unit = arrays["time_us"], arrays["unit"]
        self.offset, self.y = arrays["offset"], arrays["y"]
        self.index, self.shape, self.duration_us = index, shape, duration_us

    def __len__(self) -> int:
        return len(self.index)

    @property
    def digest(self) -> str:
        """A hash of the indices."""
        return index_digest(self.index)

    def batch(self, index: Index) -> Batch:
        """The recordings at positions ``index``, events concatenated in that order."""
        rows = self.index[index]
        start, stop = self.offset[rows].astype(np.int64), self.offset[rows + 1].astype(np.int64)
        count = stop - start
        sample = np.repeat(np.arange(len(rows)), count)
        ends = np.cumsum(count)
        at = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(start - (ends - count), count)
        events = Events(
            torch.from_numpy(self.time_us[at].astype(np.int64)),
            torch.from_numpy(self.unit[at].astype(np.int64)),
            torch.from_numpy(sample),
            len(rows),
            self.shape,
            self.duration_us,
        )
        return Batch(events, torch.from_numpy(np.asarray(self.y[rows])).long())


class NoOptions(BaseModel):
    """The options of a data set that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Dataset(ABC):
    """The contract of a data set.

    A study names it ``dataset: digits``, with options ``dataset: {name: shd, valid: speaker}``, or, where
    ``source`` is true, by its file: ``dataset: {npz: my.npz, x: a, y: b}`` gives options
    ``path="my.npz", x="a", y="b"`` (a path in a study is relative to the study file; it arrives absolute).

    ``Options`` is a pydantic model (subclass :class:`NoOptions`) that validates them. The constructor must
    be cheap and must not read data; ``card`` may look at headers.
    """

    name: ClassVar[str]
    source: ClassVar[bool] = False
    Options: ClassVar[type[BaseModel]] = NoOptions
    published_counts: ClassVar[tuple[int, int] | None] = None
    """Samples outside of test (train and valid) and in test, as a paper's set is published."""

    def __init__(self, options: BaseModel | None = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def card(self) -> DatasetCard:
        """The card. Raises MissingDataError where a file is absent and DataError where it is wrong."""

    @abstractmethod
    def prepare(self) -> Arrays:
        """All arrays of the set, made once a node and then memory mapped for every trial.

        What does not depend on searched parameters belongs here; binning of events does not.
        Raises MissingDataError and DataError.
        """

    @abstractmethod
    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """One split over the memory-mapped arrays. Splits are disjoint and do not depend on a trial."""

    def metadata(self, arrays: Arrays) -> Mapping[str, Any]:
        """What was done to the data, as JSON values, recorded in every trial's row."""
        return {}

    def applied(self, arrays: Arrays) -> Mapping[str, Any]:
        """What a network of this set must know of its inputs and outputs on new data, as JSON values.

        ``classes``: their names where the card has none. Of a series ``variates``, ``shift`` and ``scale``.
        """
        return {}

    def verify(self) -> str:
        """Whether the source is what was published: "" if it is or nobody says, else what differs.

        Raises MissingDataError and DataError where preparing would. By default the numbers of samples outside
        and in test are compared with ``published_counts``.
        """
        if self.published_counts is None:
            return ""
        own = self.held_counts()
        if own == self.published_counts:
            return ""
        have, want = (" + ".join(f"{n:,}" for n in pair) for pair in (own, self.published_counts))
        return (
            f"'{self.name}' here has {have} samples, as published {want}: no number compares with a paper's"
        )

    def held_counts(self) -> tuple[int, int]:
        """How many samples are outside of test and in it."""
        train, valid, test = self.card().counts
        return train + valid, test

    def cache_key(self) -> tuple[str, ...]:
        """What the prepared arrays depend on beyond name, revision and options."""
        return ()


DATASETS = Registry[Dataset]("Dataset", "harness.datasets")
