"""Charts of a search: its history, and what it says of each parameter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
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
from harness.scoring.importance import Shares
from harness.scoring.search import History

POINTS = 4000


def history(found: Iterable[History], dataset: str, metric: str, scale: float, looks: Looks) -> Chart:
    """Search values by trial number with the best so far; open points ended early or failed."""
    some = _thinned(list(found))
    names = Names(looks, tuple((one.label, _name(one)) for one in some))
    rows: list[Row] = []
    for one in some:
        for number, value, best, state in zip(one.number, one.value, one.best, one.state, strict=True):
            row = {"cell": _name(one), "x": number, "y": num(value * scale), "best": num(best * scale)}
            rows.append(row | {"state": state})
    title, by = f"validation {axis_name(metric, scale)}", pick()
    x = alt.X("x:Q", title="search trial", axis=alt.Axis(format="d", tickMinStep=1))
    zero = alt.Scale(zero=False)
    base = table(rows)
    done = alt.condition("datum.state == 'COMPLETE'", alt.value(1.0), alt.value(0.0))
    dots = base.mark_point(size=36).encode(
        x=x,
        y=alt.Y("y:Q", title=title, scale=zero),
        color=names.colour(),
        fill=names.colour(),
        fillOpacity=done,
        opacity=faded(by, 0.6),
        tooltip=["cell:N", alt.Tooltip("x:Q", title="trial"), alt.Tooltip("y:Q", title=title), "state:N"],
    )
    best_y = alt.Y("best:Q", title=title, scale=zero)
    line = base.mark_line(interpolate="step-after").encode(
        x=x, y=best_y, color=names.colour(), opacity=faded(by)
    )
    chart = layered(line, dots.add_params(by), height=280)
    about = f"{dataset}: validation value of every search trial, and the best so far."
    return Chart(file_name("history", dataset), f"{dataset}: search", about, (("", chart),))


def importance(
    found: Shares,
    labels: Mapping[str, str],
    called: Mapping[str, str],
    title: str,
    looks: Looks,
    name: str = "importance",
) -> Chart:
    """Bars by parameter with their intervals, a cell in its label's colour.

    ``called`` is what the legend calls each cell, ``name`` that of the chart's files.
    """
    order = list(dict.fromkeys(parameter for values in found.values() for parameter in values))
    shown = {cell: called[cell] for cell in found}
    names = Names(looks, tuple((labels[cell], text) for cell, text in shown.items()))
    rows = [
        {"cell": shown[cell], "p": parameter, "v": num(one.value), "l": num(one.low), "h": num(one.high)}
        for cell, values in found.items()
        for parameter, one in values.items()
    ]
    spread = any(not math.isnan(one.low) for values in found.values() for one in values.values())
    ends = [alt.Tooltip("l:Q", title="from"), alt.Tooltip("h:Q", title="to")] if spread else []
    told: list[str | alt.Tooltip] = [
        "cell:N",
        alt.Tooltip("p:N", title="parameter"),
        alt.Tooltip("v:Q", title=title),
        *ends,
    ]
    base = table(rows).encode(
        y=alt.Y("p:N", sort=order, title=None, axis=alt.Axis(labelLimit=260)),
        yOffset=alt.YOffset("cell:N", sort=list(shown.values())),
        tooltip=told,
    )
    chart = base.mark_bar().encode(x=alt.X("v:Q", title=title), color=names.colour())
    if spread:
        chart = chart + base.mark_rule(color="#777").encode(x=alt.X("l:Q", title=title), x2="h:Q")
    chart = chart.properties(height=(18 + 10 * len(found)) * max(1, len(order)))
    return Chart(name, "what the search says of each parameter", f"{title}, by parameter.", (("", chart),))


def _thinned(found: list[History]) -> list[History]:
    """Every k-th trial of each, and the last, where there are more than :data:`POINTS` in all."""
    step = -(-sum(len(one.number) for one in found) // POINTS)
    if step <= 1:
        return found

    def kept(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*values[:-1:step], *values[-1:])

    return [
        replace(
            one,
            number=kept(one.number),
            value=kept(one.value),
            best=kept(one.best),
            state=kept(one.state),
        )
        for one in found
    ]


def _name(one: History) -> str:
    thinned = f" ({len(one.number)} of {one.total} shown)" if len(one.number) < one.total else ""
    return one.label + thinned
