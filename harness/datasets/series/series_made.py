"""Series without a download: a weather year that comes along, and SeqSNN's two-frequency signals."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import BaseModel, field_validator

from harness.datasets._files import load_npz, packaged
from harness.datasets.series.series_base import SeriesDataset
from harness.datasets.series.series_gaps import Series
from harness.datasets.series.series_windows import WindowOptions
from harness.errors import DataError, UnknownNameError
from harness.ids import derive_seed

FILE_SHA256: Final = "d574b561ab46edecb87117c9fca5c0de6360bfedc7e643915871fde08ef4c799"
TMY3_SHA256: Final = "f0333a68a116f5ae92f1285a2ab8784d8e00e52a367445658ac88d72d93d8ca4"
TMY3_COLUMNS: Final = (
    "ETR (W/m^2)",
    "ETRN (W/m^2)",
    "GHI (W/m^2)",
    "DNI (W/m^2)",
    "DHI (W/m^2)",
    "GH illum (lx)",
    "DN illum (lx)",
    "DH illum (lx)",
    "Zenith lum (cd/m^2)",
    "TotCld (tenths)",
    "OpqCld (tenths)",
    "Dry-bulb (C)",
    "Dew-point (C)",
    "RHum (%)",
    "Wdir (degrees)",
    "Wspd (m/s)",
)


class Tmy3(SeriesDataset):
    """A typical meteorological year, hourly, Sand Point, Alaska: 8760 x 16.

    Months come from different years, so rows are numbered, not dated. Left out are pressure, which
    is constant, and columns with fill values or few of their own.
    """

    name = "tmy3"
    timed = False
    licence, citation = "public domain (NREL)", "Wilcox and Marion, NREL/TP-581-43156, 2008"

    def size(self) -> tuple[int, int]:
        """8760 hours, 16 variates."""
        return 8_760, len(TMY3_COLUMNS)

    def read(self) -> Series:
        """The year. Raises DataError for columns that it has not."""
        names = self.options.columns or TMY3_COLUMNS
        for column in names:
            if column not in TMY3_COLUMNS:
                raise DataError(f"data set '{self.name}': {UnknownNameError('column', column, TMY3_COLUMNS)}")
        held = load_npz(self.name, packaged(self.name, "tmy3.npz", FILE_SHA256), ("tenths",))
        chosen = [TMY3_COLUMNS.index(column) for column in names]
        return Series(held["tenths"][:, chosen] / 10, tuple(names))

    def provenance(self) -> tuple[str, str, str]:
        """The published file's sha256; ours holds its columns."""
        return "1", TMY3_SHA256, "the data folder of the pvlib package, 703165TY.csv"


class SignalOptions(WindowOptions):
    """SeqSNN's slices (20 past, 80 ahead) of ``series`` signals, drawn from ``seed``."""

    window: int = 20
    horizon: int = 80
    rows: int = 5_000
    series: int = 8
    seed: int = 0

    @field_validator("rows", "series")
    @classmethod
    def _some(cls, value: int) -> int:
        if value < 1:
            raise ValueError(f"{value} is below 1; allowed are whole numbers from 1")
        return value


class _Signals(SeriesDataset):
    """X(t) = A1 sin(w1 t) + A2 sin(w2 t + phi) + N(0, sigma), w1 = 5e-3.

    Source: SeqSNN, arXiv 2402.01533, appendix A.2. Ours: number of signals and rows, one draw of
    A1, A2, phi a signal, and phi ~ U(0, 10) also at the low frequency.
    """

    Options: ClassVar[type[BaseModel]] = SignalOptions
    timed = False
    licence, citation = "none needed: generated", "Lv et al., ICML 2024, arXiv 2402.01533"
    a1: ClassVar[tuple[float, float]]
    a2: ClassVar[tuple[float, float]]
    omega: ClassVar[float]
    sigma: ClassVar[float]

    def size(self) -> tuple[int, int]:
        """As the options say."""
        return self.options.rows, self.options.series

    def read(self) -> Series:
        """The signals. Raises DataError for columns, which they have none of."""
        if self.options.columns:
            raise DataError(f"data set '{self.name}' has no columns to choose; use series: N.")
        rows, count = self.options.rows, self.options.series
        rng = np.random.default_rng(derive_seed(self.options.seed, self.name))
        first, second = rng.uniform(*self.a1, count), rng.uniform(*self.a2, count)
        phase = rng.uniform(0.0, 10.0, count)
        t = np.arange(rows)[:, None]
        clean = first * np.sin(5e-3 * t) + second * np.sin(self.omega * t + phase)
        values = clean + rng.normal(0.0, self.sigma, (rows, count))
        return Series(values, tuple(f"signal {i}" for i in range(count)))

    def provenance(self) -> tuple[str, str, str]:
        """Made here, from the seed."""
        return "1", "", "generated"


class SyntheticLow(_Signals):
    """The low second frequency."""

    name = "synthetic-low"
    a1, a2, omega, sigma = (1.0, 5.0), (1.0, 2.0), 0.04 * np.pi, 0.3


class SyntheticHigh(_Signals):
    """The high second frequency, loud."""

    name = "synthetic-high"
    a1, a2, omega, sigma = (9.0, 9.0), (8.0, 8.0), 0.1 * np.pi, 0.5
