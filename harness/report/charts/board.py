"""Charts of a board's rows: every seed, stages, and what a score costs."""

from __future__ import annotations

import math
from collections.abc import Callable

import altair as alt

from harness.report.charts.chart import Chart
from harness.report.charts.look import (
    STAGE_COLOURS,
    Looks,
    Names,
    Row,
    axis_name,
    file_name,
    layered,
    num,
    pick,
    table,
    whiskers,
)
from harness.report.formatting import time_unit
from harness.scoring import values
from harness.scoring.hardware import CPU_CLOCK
from harness.scoring.values import Group

ROW_PIXELS = 34
COSTS: tuple[tuple[str, Callable[[values.Row], float]], ...] = (
    ("synaptic operations a sample", lambda row: row.cost.synops),
    ("energy a sample (nJ, estimate)", lambda row: row.cost.energy_nj),
    ("parameters", lambda row: row.cost.parameters),
    ("timesteps", lambda row: row.cost.timesteps),
    ("peak memory (MiB)", lambda row: row.cost.peak_mib),
)


def seeds(group: Group, looks: Looks) -> Chart:
    """Every seed of every cell with mean and 95 % interval; crosses are failed seeds at chance level."""
    order = [row.label for row in group.rows]
    title = f"{group.split} {axis_name(group.metric, group.scale)}"
    y = alt.Y("cell:N", sort=order, title=None, axis=alt.Axis(labelLimit=260))
    names = Names(looks, tuple((label, label) for label in order))
    dots = [
        {
            "cell": row.label,
            "x": num(s.value * group.scale),
            "seed": s.seed,
            "how": s.reason if s.failed else "ended well",
            "failed": s.failed,
        }
        for row in group.rows
        for s in row.seeds
    ]
    shape = alt.Shape(
        "failed:N", scale=alt.Scale(domain=[False, True], range=["circle", "cross"]), legend=None
    )
    x = alt.X("x:Q", title=title, scale=alt.Scale(zero=False))
    tooltip = ["cell:N", alt.Tooltip("x:Q", title=title), "seed:Q", alt.Tooltip("how:N", title="state")]
    points = table(dots).mark_point(filled=True, size=70, opacity=0.7)
    scatter = points.encode(x=x, y=y, color=names.colour(legend=None), shape=shape, tooltip=tooltip)
    means = table(_means(group))
    bars = means.mark_rule(color="#444444").encode(x=alt.X("low:Q", title=title), x2="high:Q", y=y)
    ticks = means.mark_tick(color="#444444", thickness=2, size=16).encode(
        x=alt.X("x:Q", title=title), y=y, tooltip=["cell:N", alt.Tooltip("x:Q", title="mean")]
    )
    chart = layered(bars, ticks, scatter, height=ROW_PIXELS * max(2, len(order)))
    about = f"{group.name}: every seed's {title}, mean and 95 % interval."
    return Chart(file_name("seeds", group.name), f"{group.name}: every seed", about, (("", chart),))


def _means(group: Group) -> list[Row]:
    found = []
    for row in group.rows:
        if row.score.n:
            value = row.score.mean * group.scale
            down, up = whiskers(value, row.score.half * group.scale, group.scale, group.metric)
            found.append(
                {"cell": row.label, "x": num(value), "low": num(value - down), "high": num(value + up)}
            )
    return found


def stages(group: Group) -> Chart | None:
    """Median training seconds by stage, stacked; None if every cell has one stage."""
    by_cell = {row.label: dict(row.times.stages) for row in group.rows if row.times and row.times.stages}
    longest = sorted(by_cell.values(), key=len, reverse=True)  # it knows the order of the stages
    names = list(dict.fromkeys(name for row in longest for name in row))
    if len(names) < 2:
        return None
    divisor, unit = time_unit(s for found in by_cell.values() for s in found.values())
    rows = [
        {"cell": label, "stage": stage, "order": names.index(stage), "s": num(seconds / divisor)}
        for label, found in by_cell.items()
        for stage, seconds in found.items()
    ]
    title = f"training time by stage ({unit}, wall clock, median over seeds)"
    colour = alt.Color("stage:N", title=None, scale=alt.Scale(domain=names, range=_stage_colours(len(names))))
    chart = (
        table(rows)
        .mark_bar()
        .encode(
            x=alt.X("s:Q", title=title),
            y=alt.Y("cell:N", sort=list(by_cell), title=None, axis=alt.Axis(labelLimit=260)),
            color=colour,
            order="order:Q",
            tooltip=["cell:N", "stage:N", alt.Tooltip("s:Q", title=unit)],
        )
    )
    chart = chart.properties(height=ROW_PIXELS * max(2, len(by_cell)))
    name = file_name("stages", group.name)
    return Chart(name, f"{group.name}: stages", f"{group.name}: {title}.", (("", chart),))


def _stage_colours(count: int) -> list[str]:
    return [STAGE_COLOURS[i % len(STAGE_COLOURS)] for i in range(count)]


def fronts(group: Group, looks: Looks) -> Chart | None:
    """The score against training time and each cost that was measured; what another cell beats is pale."""
    forms = []
    timed = {row.cell: row.times.best for row in group.rows if row.times}
    divisor, unit = time_unit(spread.median for spread in timed.values())
    clock = "CPU " if group.clock == CPU_CLOCK else ""
    measured = [(f"{clock}training time to the best epoch ({unit})", _time(group, divisor))]
    measured += [(title, _cost(group, read)) for title, read in COSTS]
    for title, rows in measured:
        if len(rows) > 1 and len({row["x"] for row in rows}) > 1:
            forms.append((title, _front(group, looks, title, rows)))
    if not forms:
        return None
    about = f"{group.name}: {group.split} {group.metric} against what it costs; dominated points are pale."
    return Chart(file_name("front", group.name), f"{group.name}: score against cost", about, tuple(forms))


def _time(group: Group, divisor: float) -> list[Row]:
    return [
        _point(
            group,
            row,
            row.times.best.median / divisor,
            row.times.best.low / divisor,
            row.times.best.high / divisor,
        )
        for row in group.rows
        if row.times and math.isfinite(row.times.best.median) and row.score.n
    ]


def _cost(group: Group, read: Callable[[values.Row], float]) -> list[Row]:
    return [
        _point(group, row, read(row), math.nan, math.nan)
        for row in group.rows
        if math.isfinite(read(row)) and row.score.n
    ]


def _point(group: Group, row: values.Row, x: float, low: float, high: float) -> Row:
    value = row.score.mean * group.scale
    down, up = whiskers(value, row.score.half * group.scale, group.scale, group.metric)
    return {
        "cell": row.label,
        "x": num(x),
        "x1": num(low if math.isfinite(low) else x),
        "x2": num(high if math.isfinite(high) else x),
        "y": num(value),
        "y1": num(value - down),
        "y2": num(value + up),
    }


def _front(group: Group, looks: Looks, title: str, rows: list[Row]) -> alt.LayerChart:
    sign = 1.0 if group.maximize else -1.0
    for row in rows:
        row["pale"] = any(
            sign * other["y"] >= sign * row["y"]
            and other["x"] <= row["x"]
            and (other["y"], other["x"]) != (row["y"], row["x"])
            for other in rows
        )
    names, by = Names(looks, tuple((row["cell"], row["cell"]) for row in rows)), pick()
    xs = [row["x"] for row in rows]
    logarithmic = min(xs) > 0 and max(xs) > 8 * min(xs)
    scale = (
        alt.Scale(type="log", nice=False, padding=14) if logarithmic else alt.Scale(zero=False, padding=14)
    )
    score = f"{group.split} {axis_name(group.metric, group.scale)}"
    x = alt.X("x:Q", title=title, scale=scale)
    y = alt.Y("y:Q", title=score, scale=alt.Scale(zero=False))
    base = table(rows)
    opacity = alt.condition("datum.pale", alt.value(0.3), alt.value(1.0))
    tall = base.mark_rule().encode(
        x=x,
        y=alt.Y("y1:Q", title=score, scale=alt.Scale(zero=False)),
        y2="y2:Q",
        color=names.colour(),
        opacity=opacity,
    )
    wide = base.mark_rule().encode(
        x=alt.X("x1:Q", title=title, scale=scale), x2="x2:Q", y=y, color=names.colour(), opacity=opacity
    )
    tooltip = ["cell:N", alt.Tooltip("x:Q", title=title), alt.Tooltip("y:Q", title=score)]
    dots = base.mark_point(filled=True, size=110).encode(
        x=x, y=y, color=names.colour(), shape=names.shape(), opacity=opacity, tooltip=tooltip
    )
    return layered(tall, wide, dots.add_params(by), height=320)
