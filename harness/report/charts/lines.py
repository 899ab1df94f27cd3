"""A metric against a parameter with intervals, or as a histogram."""

from __future__ import annotations

import itertools

import altair as alt

from harness.report.charts.chart import Chart
from harness.report.charts.look import (
    Looks,
    Names,
    Row,
    axis_name,
    faded,
    file_name,
    layered,
    num,
    pick,
    table,
    whiskers,
)
from harness.scoring.curves import LineSet
from harness.scoring.families import is_histogram

LOG_ABOVE = 30.0


def lines(found: LineSet, looks: Looks) -> Chart:
    """Mean and 95 % interval over seeds; families such as learned delays as steps from 0."""
    names = Names(looks, tuple((line.label, line.label) for line in found.lines))
    histogram = is_histogram(found.y_name)
    what = found.y_name.replace("_", " ").replace("/", " of ", 1)
    chart = _histogram(found, names) if histogram else _against(found, names)
    title = f"{found.name}: {what} against {found.x_name or 'value'}"
    note = f" ({found.note})" if found.note else ""
    name = file_name(found.name, found.y_name, found.x_name)
    return Chart(name, title + note, f"{title}, mean over seeds.", (("", chart),))


def _against(found: LineSet, names: Names) -> alt.LayerChart:
    rows = [_point(found, line.label, p.x, p.value, p.half) for line in found.lines for p in line.points]
    xs = sorted({row["x"] for row in rows})
    logarithmic = bool(xs) and xs[0] > 0 and xs[-1] > LOG_ABOVE * xs[0]
    title = f"{found.split} {axis_name(found.y_name, found.scale)}"
    scale = alt.Scale(type="log") if logarithmic else alt.Scale(zero=False, padding=12)
    x = alt.X("x:Q", title=found.x_name or "value", scale=scale, axis=_ticks(xs))
    by, zero = pick(), alt.Scale(zero=False)
    base = table(rows)
    bars = base.mark_rule().encode(
        x=x, y=alt.Y("l:Q", title=title, scale=zero), y2="h:Q", color=names.colour(), opacity=faded(by, 0.7)
    )
    line = base.mark_line(point=alt.OverlayMarkDef(size=50)).encode(
        x=x,
        y=alt.Y("y:Q", title=title, scale=zero),
        color=names.colour(),
        strokeDash=names.dash(),
        opacity=faded(by),
        tooltip=[
            "cell:N",
            alt.Tooltip("x:Q", title=found.x_name or "value"),
            alt.Tooltip("y:Q", title=title),
        ],
    )
    return layered(bars, line.add_params(by), height=300)


def _ticks(xs: list[float]) -> alt.Axis:
    return alt.Axis(values=xs, format="~g") if len(xs) <= 10 else alt.Axis()


def _histogram(found: LineSet, names: Names) -> alt.LayerChart:
    counts = any(p.value > 1 for line in found.lines for p in line.points)
    title = "mean count over seeds" if counts else "mean share over seeds"
    gaps = [b - a for line in found.lines for a, b in itertools.pairwise(p.x for p in line.points)]
    half = min(gaps, default=1.0) / 2
    rows = [
        {"cell": line.label, "x": p.x + side * half, "mid": p.x, "y": num(p.value)}
        for line in found.lines
        for p, side in [*((p, -1) for p in line.points), *((p, 1) for p in line.points[-1:])]
    ]
    by, base = pick(), table(rows)
    x = alt.X("x:Q", title=found.x_name or "value", scale=alt.Scale(zero=False))
    y = alt.Y("y:Q", title=title)
    area = base.mark_area(interpolate="step-after").encode(
        x=x, y=alt.Y("y:Q", title=title, stack=None), color=names.colour(), opacity=faded(by, 0.15)
    )
    tooltip = ["cell:N", alt.Tooltip("mid:Q", title=found.x_name or "value"), alt.Tooltip("y:Q", title=title)]
    line = base.mark_line(interpolate="step-after").encode(
        x=x, y=y, color=names.colour(), strokeDash=names.dash(), opacity=faded(by), tooltip=tooltip
    )
    return layered(area, line.add_params(by), height=280)


def _point(found: LineSet, label: str, x: float, value: float, half: float) -> Row:
    y = value * found.scale
    down, up = whiskers(y, half * found.scale, found.scale, found.y_name)
    return {"cell": label, "x": x, "y": num(y), "l": num(y - down), "h": num(y + up)}
