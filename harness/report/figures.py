"""Figures of curves over seeds: validation against training time and against epochs. Nothing is computed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.report.canvas import axis_name, file_name, legend_below, new_figure, save, style, title
from harness.report.formatting import fixed, time_unit
from harness.scoring.curves import CurveSet, Steps, TimeCurve
from harness.scoring.hardware import CPU_CLOCK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOG_ABOVE = 15.0


def time_accuracy_figure(
    curves: CurveSet | Sequence[CurveSet], path_without_suffix: str | Path
) -> list[Path]:
    """Validation metric against training time, a PNG and an SVG for each data set; their paths.

    The line is the median over seeds, the band their range, the marker the best epoch. A second panel leaves
    pretraining out where there is any. Several data sets get their name behind the path.
    """
    return _each(curves, path_without_suffix, _draw_time_accuracy)


def learning_figure(curves: CurveSet | Sequence[CurveSet], path_without_suffix: str | Path) -> list[Path]:
    """Validation metric and training loss against epochs; see :func:`time_accuracy_figure`."""
    return _each(curves, path_without_suffix, _draw_learning)


def _each(
    curves: CurveSet | Sequence[CurveSet], path: str | Path, draw: Callable[[CurveSet], Figure]
) -> list[Path]:
    sets = [curves] if isinstance(curves, CurveSet) else list(curves)
    sets = [one for one in sets if one.curves]
    found: list[Path] = []
    for one in sets:
        end = "" if len(sets) == 1 else f"-{file_name(one.name)}"
        found += save(functools.partial(draw, one), Path(f"{path}{end}"))
    return found


def _draw_time_accuracy(curves: CurveSet) -> Figure:
    views = ["total", "snn"] if curves.pretrained else ["total"]
    figure, axes = new_figure(3.6 * len(views) + 1.0 * (len(views) == 1), 3.6, len(views), share_y=True)
    ends = [curve.total.x[-1] for curve in curves.curves]
    divisor, unit = time_unit(ends)
    clock = "CPU " if curves.clock == CPU_CLOCK else ""
    names = {"total": ", pretraining included", "snn": ", without pretraining"}
    for axis, name in zip(axes, views, strict=True):
        _panel(axis, curves, name, divisor)
        axis.set_xlabel(f"{clock}training time ({unit}){names[name] if curves.pretrained else ''}")
        if max(ends) > LOG_ABOVE * min(ends) > 0:
            axis.set_xscale("log")
        else:
            axis.set_xlim(left=0)
    axes[0].set_ylabel(f"validation {axis_name(curves.metric, curves.scale)}")
    what = (
        "search, one seed: not a result"
        if curves.provisional
        else "median and range over seeds; marker: best epoch"
    )
    title(figure, curves.name, what)
    legend_below(figure, axes[0])
    return figure


def _panel(axis: Axes, curves: CurveSet, name: str, divisor: float) -> None:
    """All curves on one clock, with best epochs and targets."""
    for i, curve in enumerate(curves.curves):
        steps = getattr(curve, name)
        _steps(axis, steps, i, divisor, curves.scale, "", stepped=True)
        x, y = curve.best if name == "total" else curve.best_snn
        colour, line, marker = style(i)
        if math.isfinite(x) and math.isfinite(y):
            axis.plot(x / divisor, y * curves.scale, marker, color=colour, mec="white", ms=7, zorder=5)
        line = line if len(steps.x) > 1 else ""
        axis.plot([], [], marker=marker, ls=line, color=colour, mec="white", ms=7, label=_label(curve))
    unit = " %" if curves.scale == 100.0 else ""
    for j, target in enumerate(curves.targets):
        text = f"target {fixed(target * curves.scale, 2)}{unit}"
        line = "--" if j == 0 else ":"
        axis.axhline(target * curves.scale, color="#555555", lw=1, ls=line, label=text, zorder=1)


def _draw_learning(curves: CurveSet) -> Figure:
    from matplotlib.ticker import MaxNLocator

    losses = any(curve.train_loss.x for curve in curves.curves)
    figure, axes = new_figure(7.2 if losses else 4.6, 3.4, 2 if losses else 1)
    for i, curve in enumerate(curves.curves):
        _steps(axes[0], curve.by_epoch, i, 1.0, curves.scale, _label(curve))
        if losses:
            _steps(axes[1], curve.train_loss, i, 1.0, 1.0, _label(curve))
    axes[0].set_ylabel(f"validation {axis_name(curves.metric, curves.scale)}")
    if losses:
        axes[1].set_ylabel("training loss")
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    title(figure, curves.name, "median and range over seeds")
    legend_below(figure, axes[0])
    return figure


def _steps(
    axis: Axes, steps: Steps, index: int, divisor: float, scale: float, label: str, *, stepped: bool = False
) -> None:
    """A median line with the range over seeds behind it."""
    if not steps.x:
        return
    colour, line, marker = style(index)
    x = [value / divisor for value in steps.x]
    low, middle, high = ([v * scale for v in row] for row in (steps.low, steps.median, steps.high))
    if len(x) == 1:
        if not stepped:  # one epoch was all it needs, beside curves that go on
            axis.plot(x, middle, marker, color=colour, mec="white", ms=6, label=label, zorder=4)
            axis.axhline(middle[0], color=colour, lw=0.7, ls=":", alpha=0.7, zorder=2)
        return
    if low != high:
        axis.fill_between(x, low, high, step="post" if stepped else None, color=colour, alpha=0.18, lw=0)
    drawstyle = "steps-post" if stepped else "default"
    axis.plot(x, middle, color=colour, ls=line, drawstyle=drawstyle, label=label, zorder=3)


def _label(curve: TimeCurve) -> str:
    failed = f", {curve.failed} failed" if curve.failed else ""
    seeds = f"{curve.seeds} seeds" if curve.seeds != 1 else "1 seed"
    shared = "; time not comparable" if not curve.comparable else ""
    return f"{curve.label} ({seeds}{failed}{shared})"
