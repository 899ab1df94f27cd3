"""How charts look: one colour, dash and shape a name, axes in words, intervals that end where a metric ends.

Colours are Okabe and Ito's, told apart by all common forms of colour blindness; dashes help in grey.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import altair as alt

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#777777")
DASHES = ((1, 0), (6, 3), (2, 2), (8, 2, 2, 2))
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "wedge")
STAGE_COLOURS = ("#44546A", "#8EA9C1", "#C9B26B", "#7F9F7F", "#B98B82")
GREY = "#777777"
#: Inches of a column and of a page of a two-column paper; a chart's pixel is 1/72 inch there.
PAPER = {"column": 3.3, "page": 6.9}
PIXELS_AN_INCH = 72
SCREEN_WIDTH = 560
Row = dict[str, Any]


@dataclass(frozen=True)
class Looks:
    """Which look a label has: the same through all data sets and charts of a report."""

    labels: tuple[str, ...]

    def colour(self, label: str) -> str:
        """The colour of a label; grey for one that nobody knows."""
        return COLOURS[self._index(label) % len(COLOURS)] if label in self.labels else GREY

    def dash(self, label: str) -> list[int]:
        """The dashes of its line: full ones first, another kind for each round of colours."""
        return list(DASHES[self._round(label) % len(DASHES)])

    def shape(self, label: str) -> str:
        """The shape of its points."""
        return SHAPES[self._round(label) % len(SHAPES)]

    def _index(self, label: str) -> int:
        return self.labels.index(label) if label in self.labels else 0

    def _round(self, label: str) -> int:
        return self._index(label) + self._index(label) // len(COLOURS)


@dataclass(frozen=True)
class Names:
    """What a chart's legend calls each label, in order: ``direct (5 seeds)`` for ``direct``."""

    looks: Looks
    shown: tuple[tuple[str, str], ...]

    @property
    def domain(self) -> list[str]:
        """The names in order."""
        return [name for _, name in self.shown]

    def colour(self, **more: Any) -> alt.Color:
        """Colours by the field ``cell``, which holds names."""
        return alt.Color("cell:N", scale=self._scale(self.looks.colour), title=None, **more)

    def dash(self) -> alt.StrokeDash:
        """Dashes by ``cell``; one legend with the colours."""
        return alt.StrokeDash("cell:N", scale=self._scale(self.looks.dash), title=None)

    def shape(self) -> alt.Shape:
        """Shapes by ``cell``; one legend with the colours."""
        return alt.Shape("cell:N", scale=self._scale(self.looks.shape), title=None)

    def _scale(self, of: Any) -> alt.Scale:
        return alt.Scale(domain=self.domain, range=[of(label) for label, _ in self.shown])


def table(rows: Sequence[Row]) -> alt.Chart:
    """A chart of rows, without marks yet."""
    return alt.Chart(alt.Data(values=list(rows)))  # type: ignore[no-untyped-call]


def layered(*layers: alt.Chart, height: int) -> alt.LayerChart:
    """Charts above one another."""
    return cast("alt.LayerChart", alt.layer(*layers).properties(height=height))


def pick() -> alt.Parameter:
    """Clicks on a legend fade the other names."""
    return alt.selection_point(fields=["cell"], bind="legend", name="pick")


def faded(by: alt.Parameter, full: float = 1.0) -> Any:
    """The opacity of what a legend may fade."""
    return alt.condition(by, alt.value(full), alt.value(full * 0.12))


def theme(*, paper: bool = False) -> Row:
    """Vega-Lite's ``config``; ``paper`` is for print: a serif-free 8 pt face at the size of a column."""
    size = 8 if paper else 12
    grid = {"gridColor": "#dddddd", "domainColor": "#444444", "tickColor": "#444444"}
    return {
        "font": "Helvetica, Arial, sans-serif" if paper else "system-ui, sans-serif",
        "background": "white",
        "view": {"stroke": None},
        "axis": grid | {"labelFontSize": size, "titleFontSize": size, "titleFontWeight": "normal"},
        "legend": {
            "orient": "bottom",
            "direction": "vertical" if paper else "horizontal",
            "columns": 1 if paper else 2,
            "labelFontSize": size,
            "labelLimit": 0,
            "symbolOpacity": 1,
            "symbolSize": 60 if paper else 90,
        },
        "axisQuantitative": {"tickCount": 5 if paper else 8},
        "header": {"labelFontSize": size, "title": None},
        "title": {"fontSize": size + 1, "fontWeight": "normal", "anchor": "start"},
    }


def axis_name(metric: str, scale: float) -> str:
    """``accuracy (%)``."""
    return f"{metric} (%)" if scale == 100.0 else metric.replace("_", " ")


def whiskers(value: float, half: float, scale: float, metric: str = "") -> tuple[float, float]:
    """How far an interval reaches down and up; it ends where shares in percent end, or an R2 at 1."""
    if math.isnan(half):
        return 0.0, 0.0
    if scale == 100.0:
        return min(half, value), min(half, 100.0 - value)
    return half, min(half, max(1.0 - value, 0.0)) if metric.startswith("r2") else half


def num(value: float) -> float | None:
    """A JSON number with six significant digits; None for what JSON has no number for."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def ends_of(values: Sequence[float]) -> tuple[float, float]:
    """The smallest and largest finite number; (0, 0) of none."""
    finite = [value for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else (0.0, 0.0)


def file_name(*parts: str) -> str:
    """A name that every file system and link takes: ``ett-h1-horizon-24`` from ``ett-h1[horizon=24]``."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(parts)).strip("-.")[:150] or "figure"
