"""Curves over seeds: validation against training time and against epochs. Nothing is computed."""

from __future__ import annotations

import math
from typing import Any

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
)
from harness.report.formatting import fixed, time_unit
from harness.scoring.curves import CurveSet, Steps, TimeCurve
from harness.scoring.hardware import CPU_CLOCK

VIEWS = {"total": "pretraining included", "snn": "without pretraining"}


def time_accuracy(curves: CurveSet, looks: Looks) -> Chart:
    """Validation metric against training seconds: median, range over seeds, best epochs, targets.

    Forms: linear and logarithmic time, each with pretraining and without where there is any.
    """
    views = list(VIEWS) if curves.pretrained else ["total"]
    forms = [
        (", ".join([VIEWS[view]] * curves.pretrained + [scale]), _against_time(curves, looks, view, scale))
        for view in views
        for scale in ("linear time", "logarithmic time")
    ]
    what = "search trials of one seed: not a result" if curves.provisional else "median and range over seeds"
    about = (
        f"{curves.name}: best validation {curves.metric} so far against training time, {what}; "
        "the marker is the best epoch."
    )
    name = file_name("time-accuracy", curves.name)
    return Chart(name, f"{curves.name} ({what}; marker: best epoch)", about, tuple(forms))


def learning(curves: CurveSet, looks: Looks) -> Chart:
    """Validation metric against epochs, and training loss as a second form where it was recorded."""
    score = f"validation {axis_name(curves.metric, curves.scale)}"
    forms = [(score, _against_epochs(curves, looks, "by_epoch", score, curves.scale))]
    if any(curve.train_loss.x for curve in curves.curves):
        forms.append(("training loss", _against_epochs(curves, looks, "train_loss", "training loss", 1.0)))
    about = f"{curves.name}: validation {curves.metric} against epochs, median and range over seeds."
    name = file_name("learning", curves.name)
    return Chart(name, f"{curves.name} (median and range over seeds)", about, tuple(forms))


def _against_time(curves: CurveSet, looks: Looks, view: str, scale: str) -> alt.LayerChart:
    divisor, unit = time_unit(curve.total.x[-1] for curve in curves.curves)
    names, by = _names(curves, looks), pick()
    rows = [row for curve in curves.curves for row in _rows(curve, view, divisor, curves.scale)]
    best = [row for curve in curves.curves for row in _best(curve, view, divisor, curves.scale)]
    if scale.startswith("log"):
        rows, best = ([row for row in some if (row["x"] or 0) > 0] for some in (rows, best))
    clock = "CPU " if curves.clock == CPU_CLOCK else ""
    title = f"{clock}training time ({unit})" + (f", {VIEWS[view]}" if curves.pretrained else "")
    axis = alt.X("x:Q", title=title, scale=alt.Scale(type="log" if scale.startswith("log") else "linear"))
    value = f"validation {axis_name(curves.metric, curves.scale)}"
    layers = _layers(rows, names, by, axis, value, step=True)
    marks = table(best).mark_point(filled=True, size=90, stroke="white", strokeWidth=1)
    dots = marks.encode(
        x="x:Q",
        y="y:Q",
        color=names.colour(),
        shape=names.shape(),
        opacity=faded(by),
        tooltip=[
            "cell:N",
            alt.Tooltip("x:Q", title=f"best epoch after ({unit})"),
            alt.Tooltip("y:Q", title=value),
        ],
    )
    return layered(*layers, dots, *_targets(curves), height=340)


def _against_epochs(curves: CurveSet, looks: Looks, name: str, title: str, scale: float) -> alt.LayerChart:
    names, by = _names(curves, looks), pick()
    found: list[Row] = []
    for curve, (_, shown) in zip(curves.curves, names.shown, strict=True):
        found += _steps(getattr(curve, name), shown, 1.0, scale)
    axis = alt.X("x:Q", title="epoch", axis=alt.Axis(format="d", tickMinStep=1))
    return layered(*_layers(found, names, by, axis, title, step=False), height=300)


def _layers(
    rows: list[Row], names: Names, by: alt.Parameter, x: alt.X, value: str, *, step: bool
) -> tuple[alt.Chart, alt.Chart]:
    """The range over seeds, and the median before it; zoom by scroll, pan by drag."""
    curve: Any = {"interpolate": "step-after"} if step else {}
    y = alt.Y("m:Q", title=value, scale=alt.Scale(zero=False))
    band = (
        table(rows)
        .mark_area(**curve)
        .encode(
            x=x,
            y=alt.Y("l:Q", title=value, scale=alt.Scale(zero=False)),
            y2="h:Q",
            color=names.colour(),
            opacity=faded(by, 0.18),
        )
    )
    tooltip = [
        "cell:N",
        alt.Tooltip("x:Q"),
        *(
            alt.Tooltip(f"{key}:Q", title=word)
            for key, word in (("m", "median"), ("l", "lowest"), ("h", "highest"))
        ),
    ]
    line = table(rows).mark_line(point=alt.OverlayMarkDef(size=12), **curve)
    main = line.encode(
        x=x, y=y, color=names.colour(), strokeDash=names.dash(), opacity=faded(by), tooltip=tooltip
    )
    return band.add_params(by), main.add_params(alt.selection_interval(bind="scales", name="zoom"))


def _targets(curves: CurveSet) -> list[alt.Chart]:
    if not curves.targets:
        return []
    unit = " %" if curves.scale == 100.0 else ""
    rows = [
        {"y": num(t * curves.scale), "t": f"target {fixed(t * curves.scale, 2)}{unit}"}
        for t in curves.targets
    ]
    rule = table(rows).mark_rule(strokeDash=[4, 3], color="#888888").encode(y="y:Q")
    return [rule, *(_target_text(row, i) for i, row in enumerate(rows))]


def _target_text(row: Row, index: int) -> alt.Chart:
    """The first target's words above its line, the second's below it, further ones at the other side."""
    side: Any = "right" if index < 2 else "left"
    lift: Any = "bottom" if index % 2 == 0 else "top"
    text: alt.Chart = table([row]).mark_text(
        align=side, baseline=lift, dy=-2 if lift == "bottom" else 3, color="#888888"
    )
    text = text.encode(x=alt.value("width" if side == "right" else 2), y="y:Q", text="t:N")
    return text


def _names(curves: CurveSet, looks: Looks) -> Names:
    return Names(looks, tuple((curve.label, _label(curve)) for curve in curves.curves))


def _label(curve: TimeCurve) -> str:
    failed = f", {curve.failed} failed" if curve.failed else ""
    seeds = f"{curve.seeds} seeds" if curve.seeds != 1 else "1 seed"
    shared = "; time not comparable" if not curve.comparable else ""
    return f"{curve.label} ({seeds}{failed}{shared})"


def _rows(curve: TimeCurve, view: str, divisor: float, scale: float) -> list[Row]:
    return _steps(getattr(curve, view), _label(curve), divisor, scale)


def _steps(steps: Steps, name: str, divisor: float, scale: float) -> list[Row]:
    return [
        {
            "cell": name,
            "x": num(x / divisor),
            "m": num(m * scale),
            "l": num(low * scale),
            "h": num(high * scale),
        }
        for x, m, low, high in zip(steps.x, steps.median, steps.low, steps.high, strict=True)
    ]


def _best(curve: TimeCurve, view: str, divisor: float, scale: float) -> list[Row]:
    x, y = curve.best if view == "total" else curve.best_snn
    finite = math.isfinite(x) and math.isfinite(y)
    return [{"cell": _label(curve), "x": num(x / divisor), "y": num(y * scale)}] if finite else []
