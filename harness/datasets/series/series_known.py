"""Series that papers use, each read from its own file format; a file is guarded where it is known.

Rows and variates are facts of the published files; another number is an error, never another set.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from pydantic import BaseModel

from harness.datasets._files import data_root, file_sha256, verify
from harness.datasets.series.series_base import SeriesDataset
from harness.datasets.series.series_frame import Reading, read_series
from harness.datasets.series.series_gaps import Missing, Series
from harness.datasets.series.series_windows import WindowOptions
from harness.errors import DataError, MissingDataError

_LSTNET: Final = "github.com/laiguokun/multivariate-time-series-data"
_DCRNN: Final = "the files of DCRNN (github.com/liyaguang/DCRNN, section Data Preparation)"
_ETT: Final = "github.com/zhouhaoyi/ETDataset, commit 1d16c8f4"
_LAI: Final = "Lai et al., SIGIR 2018, arXiv 1703.07015"
_LI: Final = "Li et al., ICLR 2018, arXiv 1707.01926"
_ZHOU: Final = "Zhou et al., AAAI 2021, arXiv 2012.07436"


class KnownSeries(SeriesDataset):
    """A file of known rows and variates below the data folder, packed (.gz) or not."""

    files: ClassVar[tuple[str, ...]]
    rows: ClassVar[int]
    variates: ClassVar[int]
    origin: ClassVar[str]
    sha256: ClassVar[str] = ""
    header: ClassVar[bool | None] = None
    revision: ClassVar[str] = "1"
    kept: ClassVar[tuple[str, ...]] = ()
    """Columns that are variates, where the file has others."""

    def path(self) -> Path:
        """The file. Raises MissingDataError, and DataError where its sha256 is another."""
        root = data_root()
        found = next((root / file for file in self.files if (root / file).exists()), None)
        if found is None:
            raise MissingDataError(self.name, root / self.files[0], origin=self.origin, sha256=self.sha256)
        return verify(self.name, found, self.sha256) if self.sha256 else found

    def size(self) -> tuple[int, int]:
        """The published numbers, once the file is there."""
        self.path()
        return self.rows, self.variates

    def read(self) -> Series:
        """The series. Raises DataError where rows or variates are not the published ones."""
        options: WindowOptions = self.options
        reading = Reading(
            columns=options.columns or self.kept,
            time=None if self.timed else "",
            header=self.header,
            missing=options.missing,
        )
        path = self.path()
        series = read_series(path, reading, self.name)
        wanted = (self.rows, len(options.columns) or self.variates)
        if series.values.shape != wanted:
            rows, variates = series.values.shape
            raise DataError(
                f"data set '{self.name}': {path} has {rows} rows x {variates} variates, the published "
                f"file {wanted[0]} x {wanted[1]}. Fetch it again, or use it as a series of your own: "
                "dataset: {series: FILE}."
            )
        return series

    def verify(self) -> str:
        """Rows and variates are the published ones. Raises DataError where they are not."""
        self.read()
        return ""

    def provenance(self) -> tuple[str, str, str]:
        """The revision of the data set, the sha256 of the file, its origin."""
        return self.revision, self.sha256 or file_sha256(self.path()), self.origin


class ETTh1(KnownSeries):
    """Transformer temperature and loads, hourly; the papers split it by borders [8640, 2880, 2880]."""

    name = "ett-h1"
    files = ("ETTh1.csv.gz", "ETTh1.csv")
    rows, variates = 17_420, 7
    origin = _ETT
    licence, citation = "CC BY-ND 4.0", _ZHOU

    def path(self) -> Path:
        """The file; the packed copy that is shared is guarded."""
        found = super().path()
        digest = "f1141f82f9d46968f05afa77ba16abfc4f790fe07583f9de06bb685b29a5411f"
        return verify(self.name, found, digest) if found.suffix == ".gz" else found


class ETTh2(KnownSeries):
    """The second transformer, hourly."""

    name = "ett-h2"
    files = ("ETTh2.csv", "ETTh2.csv.gz")
    rows, variates = 17_420, 7
    origin = _ETT
    licence, citation = "CC BY-ND 4.0", _ZHOU


class ETTm1(KnownSeries):
    """The first transformer, every 15 minutes."""

    name = "ett-m1"
    files = ("ETTm1.csv", "ETTm1.csv.gz")
    rows, variates = 69_680, 7
    origin = _ETT
    licence, citation = "CC BY-ND 4.0", _ZHOU


class ETTm2(KnownSeries):
    """The second transformer, every 15 minutes."""

    name = "ett-m2"
    files = ("ETTm2.csv", "ETTm2.csv.gz")
    rows, variates = 69_680, 7
    origin = _ETT
    licence, citation = "CC BY-ND 4.0", _ZHOU


class ExchangeRate(KnownSeries):
    """Eight daily exchange rates, 1990-2016: a test of loader and metrics, persistence is unbeaten."""

    name = "exchange-rate"
    files = ("exchange_rate.txt.gz",)
    rows, variates = 7_588, 8
    timed = False
    origin = f"{_LSTNET}, commit 7f402f18"
    sha256 = "6a4fbb561dcdee43f071a83badbeec9223a335552278348656738b556f1c2e9d"
    licence, citation = "none stated", _LAI


class LosLoop(KnownSeries):
    """The first week of METR-LA, gaps interpolated: never to be compared with METR-LA."""

    name = "los-loop"
    files = ("los_speed.csv.gz",)
    rows, variates = 2_016, 207
    timed, header = False, True
    origin = "github.com/lehaifeng/T-GCN, commit 219a2346"
    sha256 = "cd62cbd55e1c4580e9fef78b64e699e25a83fd011b786a94b67e174952341e07"
    licence, citation = "MIT repository", f"{_LI}; Zhao et al., arXiv 1811.05320"


class VicElectricity(KnownSeries):
    """Half-hourly electricity demand and temperature, Victoria, 2012-2014."""

    name = "vic-electricity"
    files = ("vic_electricity.csv.gz",)
    rows, variates = 52_608, 2
    kept = ("Demand", "Temperature")
    origin = "github.com/lehaifeng/T-GCN, commit 219a2346"
    sha256 = "6c475ed236c3f04d459ad9489b45eb7d5f39fa187f1c08f6014eb07f5d4d9596"
    licence, citation = "BSD-3 repository", "O'Hara-Wild et al., tsibbledata; AEMO and BOM"


class TrafficOptions(WindowOptions):
    """SeqSNN's window, split and time features; stamps jump (daylight saving), rows stay as published."""

    window: int = 12
    train: float = 0.7
    test: float = 0.1
    time_features: bool = True
    missing: Missing = "keep"


class WeekOptions(WindowOptions):
    """SeqSNN's window for Solar and Electricity."""

    window: int = 168


class MetrLA(KnownSeries):
    """Loop detectors in Los Angeles, 5 min; zeros mean missing and are not masked, as in SeqSNN."""

    name = "metr-la"
    files = ("metr-la.h5",)
    rows, variates = 34_272, 207
    origin = _DCRNN
    Options: ClassVar[type[BaseModel]] = TrafficOptions
    licence, citation = "none stated", _LI


class PemsBay(KnownSeries):
    """Loop detectors in the Bay Area, 5 min."""

    name = "pems-bay"
    files = ("pems-bay.h5",)
    rows, variates = 52_116, 325
    origin = _DCRNN
    Options: ClassVar[type[BaseModel]] = TrafficOptions
    licence, citation = "none stated", _LI


class Solar(KnownSeries):
    """Solar power in Alabama, 137 plants, 10 min."""

    name = "solar"
    files = ("solar_AL.txt.gz", "solar_AL.txt")
    rows, variates = 52_560, 137
    timed = False
    Options: ClassVar[type[BaseModel]] = WeekOptions
    origin = f"{_LSTNET}, folder solar-energy"
    licence, citation = "none stated", _LAI


class Electricity(KnownSeries):
    """Hourly consumption of 321 clients."""

    name = "electricity"
    files = ("electricity.txt.gz", "electricity.txt")
    rows, variates = 26_304, 321
    timed = False
    Options: ClassVar[type[BaseModel]] = WeekOptions
    origin = f"{_LSTNET}, folder electricity"
    licence, citation = "none stated", _LAI
