"""Charts of one metric: against a parameter, as a histogram, parameter importances. PNG and SVG."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.report.canvas import COLOURS, axis_name, legend_below, new_figure, save, style, title, whiskers
from harness.report.formatting import fixed
from harness.scoring.curves import LineSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG_ABOVE = 30.0
#: Shares of an axis: lines stand beside each other by the first; ticks closer than the second are thinned.
BESIDE, CROWDED = 0.006, 0.08


def line_figure(lines: LineSet, path_without_suffix: str | Path) -> list[Path]:
    """A metric against a parameter with 95 % intervals."""
    return save(lambda: _draw_lines(lines), Path(path_without_suffix))


def histogram_figure(lines: LineSet, path_without_suffix: str | Path) -> list[Path]:
    """A histogram over seeds, as of learned delays: one outline a cell."""
    return save(lambda: _draw_histogram(lines), Path(path_without_suffix))


def importance_figure(
    importance: Mapping[str, float],
    path_without_suffix: str | Path,
    *,
    axis: str = "share of the objective's variance",
) -> list[Path]:
    """Parameter importances (given by the caller) as horizontal bars, largest on top."""
    return save(lambda: _draw_importance(importance, axis), Path(path_without_suffix))


def _draw_lines(lines: LineSet) -> Figure:
    from matplotlib.ticker import MaxNLocator

    figure, (axis,) = new_figure(4.6, 3.4)
    places = sorted({p.x for line in lines.lines for p in line.points})
    logarithmic = min(places) > 0 and max(places) > LOG_ABOVE * min(places)
    apart = 0.0 if logarithmic else BESIDE * (max(places) - min(places))
    seeds = False
    for i, line in enumerate(lines.lines):
        colour, dash, marker = style(i)
        x = [p.x + apart * (i - (len(lines.lines) - 1) / 2) for p in line.points]
        y = [p.value * lines.scale for p in line.points]
        spans = [
            whiskers(v, p.half * lines.scale, lines.scale, lines.y_name)
            for p, v in zip(line.points, y, strict=True)
        ]
        bars = list(zip(*spans, strict=True)) if any(map(any, spans)) else None
        seeds = seeds or bars is not None
        look: Any = {"color": colour, "ls": dash, "marker": marker, "ms": 4, "capsize": 2}
        axis.errorbar(x, y, bars, label=line.label, **look)
    gaps = [b - a for a, b in itertools.pairwise(places)]
    if logarithmic:
        axis.set_xscale("log")
        if len(places) <= 10:
            axis.set_xticks(places, [f"{x:g}" for x in places])
            axis.minorticks_off()
    elif gaps and min(gaps) >= CROWDED * (max(places) - min(places)):
        axis.set_xticks(places, [f"{x:g}" for x in places])
    else:
        axis.xaxis.set_major_locator(MaxNLocator(6))
    axis.set_xlabel(lines.x_name or "value")
    axis.set_ylabel(f"{lines.split} {axis_name(lines.y_name, lines.scale)}")
    title(figure, lines.name, lines.note or ("mean and 95 % interval over seeds" if seeds else ""))
    legend_below(figure, axis)
    return figure


def _draw_histogram(lines: LineSet) -> Figure:
    figure, (axis,) = new_figure(4.6, 3.4)
    for i, line in enumerate(lines.lines):
        colour, dash, _ = style(i)
        x, y = [p.x for p in line.points], [p.value for p in line.points]
        width = min((b - a for a, b in itertools.pairwise(x)), default=1.0)
        edges = [v - width / 2 for v in x] + [x[-1] + width / 2]
        axis.stairs(y, edges, color=colour, ls=dash, lw=1.6, label=line.label)
        axis.stairs(y, edges, color=colour, alpha=0.12, fill=True)
    axis.set_xlabel(lines.x_name or "value")
    axis.set_ylabel("mean count over seeds" if _counts(lines) else "mean share over seeds")
    axis.set_ylim(bottom=0)
    name = lines.y_name.replace("_", " ").replace("/", " of ", 1)
    figure.suptitle(f"{lines.name}: {name}", fontsize=10)
    legend_below(figure, axis)
    return figure


def _counts(lines: LineSet) -> bool:
    return any(p.value > 1 for line in lines.lines for p in line.points)


def _draw_importance(importance: Mapping[str, float], name: str) -> Figure:
    ordered = sorted(importance.items(), key=lambda item: item[1])
    figure, (axis,) = new_figure(4.6, 0.9 + 0.26 * max(len(ordered), 1))
    names, values = [name for name, _ in ordered], [value for _, value in ordered]
    bars = axis.barh(names, values, color=COLOURS[0], height=0.7)
    axis.bar_label(bars, [fixed(value, 2) for value in values], padding=3, fontsize=8)
    axis.set_xlim(0, 1.15 * max([*values, 1e-9]))
    axis.set_xlabel(name)
    axis.grid(visible=False, axis="y")
    return figure
