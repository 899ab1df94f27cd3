"""Curves of a study as an Altair chart; the values are scoring's."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.errors import HarnessError
from harness.scoring.curves import CurveSet, time_curves


def time_accuracy(
    trials: pd.DataFrame, epochs: pd.DataFrame, studies: pd.DataFrame, study: str, kind: str
) -> Any:
    """Median over final seeds as steps, the band from the worst to the best seed; a panel a data set."""
    alt = _altair()
    panels = []
    for curves in time_curves(trials, epochs, studies, study=study):
        rows = _rows(curves, by_epoch=kind == "epoch-accuracy")
        unit = " (%)" if curves.scale == 100.0 else ""
        x_title = "epochs" if kind == "epoch-accuracy" else f"training seconds ({curves.clock})"
        base = alt.Chart(alt.Data(values=rows)).encode(
            x=alt.X("x:Q", title=x_title), color=alt.Color("cell:N", title=None)
        )
        y_title = f"validation {curves.metric}{unit}"
        scale = alt.Scale(zero=False)
        line = base.mark_line(interpolate="step-after").encode(
            y=alt.Y("median:Q", title=y_title, scale=scale), tooltip=["cell:N", "x:Q", "median:Q"]
        )
        band = base.mark_area(interpolate="step-after", opacity=0.15).encode(y="low:Q", y2="high:Q")
        panels.append((band + line).properties(title=curves.name, width=420, height=260))
    return alt.vconcat(*panels).resolve_scale(color="independent") if len(panels) != 1 else panels[0]


def _rows(curves: CurveSet, *, by_epoch: bool) -> list[dict[str, Any]]:
    found = []
    for curve in curves.curves:
        steps = curve.by_epoch if by_epoch else curve.total
        for x, median, low, high in zip(steps.x, steps.median, steps.low, steps.high, strict=True):
            values = {"median": median, "low": low, "high": high}
            scaled = {name: curves.scale * value for name, value in values.items()}
            found.append({"cell": curve.label, "x": x, **scaled})
    return found


def _altair() -> Any:
    try:
        import altair
    except ImportError:
        raise HarnessError("charts need Altair: pip install 'snn-harness[notebook]'.") from None
    return altair
