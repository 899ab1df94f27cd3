"""`series`: a user's own csv, text, parquet or HDF5 file, one line in a study.

::

    dataset: {series: load.csv, window: 96, horizon: 24}
    dataset: {series: plant.h5, key: sensors, normalize: leaky-scalar, missing: interpolate}
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, field_validator

from harness.contracts.data import DatasetCard
from harness.datasets._files import file_sha256
from harness.datasets.series.series_base import SeriesDataset
from harness.datasets.series.series_frame import Reading, read_series
from harness.datasets.series.series_gaps import Series
from harness.datasets.series.series_windows import WindowOptions, normalized
from harness.errors import DataError


class FileOptions(WindowOptions):
    """The file and how to read it; see :class:`harness.datasets.series.series_frame.Reading`."""

    path: str
    time: str | None = None
    separator: str = ","
    decimal: str = "."
    header: bool | None = None
    key: str = ""

    @field_validator("separator")
    @classmethod
    def _one_character(cls, value: str) -> str:
        value = "\t" if value == "\\t" else value
        if len(value) != 1:
            raise ValueError(f"separator {value!r} must be one character, for instance ';'")
        return value

    @field_validator("decimal")
    @classmethod
    def _point_or_comma(cls, value: str) -> str:
        if value not in (".", ","):
            raise ValueError(f"decimal {value!r} must be '.' or ','")
        return value

    def reading(self) -> Reading:
        """The options that concern the file."""
        return Reading(
            columns=self.columns,
            time=self.time,
            separator=self.separator,
            decimal=self.decimal,
            header=self.header,
            key=self.key,
            missing=self.missing,
        )


class OwnSeries(SeriesDataset):
    """A user's file. Rows are steps in time, columns variates."""

    name: ClassVar[str] = "series"
    source: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = FileOptions

    def __init__(self, options: BaseModel | None = None) -> None:
        if options is None:
            raise DataError("data set 'series' needs a file: write dataset: {series: my.csv, ..}")
        super().__init__(options)

    @property
    def path(self) -> Path:
        """The file. Raises DataError where it is not there."""
        path = Path(self.options.path)
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        return path

    def size(self) -> tuple[int, int]:
        """Rows and chosen variates, from the file. Raises DataError."""
        rows, variates = self.read().values.shape
        return rows, variates

    def card(self) -> DatasetCard:
        """The card. Raises DataError where the file is wrong or a variate is constant."""
        card, path = super().card(), self.path
        stat = path.stat()
        _check(path, stat.st_size, stat.st_mtime_ns, self.options)
        return card

    def read(self) -> Series:
        """The series. Raises DataError."""
        path = self.path
        stat = path.stat()
        return _read(path, stat.st_size, stat.st_mtime_ns, self.options.reading())

    def provenance(self) -> tuple[str, str, str]:
        """The file's own digest is its revision."""
        digest = file_sha256(self.path)
        return digest[:12], digest, self.path.name

    def cache_key(self) -> tuple[str, ...]:
        """The file's content."""
        return (file_sha256(self.path),)


@lru_cache(maxsize=4)
def _read(path: Path, size: int, mtime_ns: int, reading: Reading) -> Series:
    return read_series(path, reading, "series")


@lru_cache(maxsize=16)
def _check(path: Path, size: int, mtime_ns: int, options: FileOptions) -> None:
    series = _read(path, size, mtime_ns, options.reading())
    normalized(series.values, series.names, options, "series")
