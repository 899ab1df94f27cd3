"""Interactive plots as Plotly's own JSON (data and layout), built from values without importing Plotly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.report.canvas import axis_name, style, whiskers
from harness.report.formatting import fixed, time_unit
from harness.scoring.curves import CurveSet, LineSet, Steps, TimeCurve
from harness.scoring.families import is_histogram
from harness.scoring.hardware import CPU_CLOCK
from harness.scoring.search import History
from harness.scoring.values import Group, Row

Plot = dict[str, Any]
DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "pentagon", "x", "star")
STAGE_COLOURS = ("#44546A", "#8EA9C1", "#C9B26B", "#7F9F7F", "#B98B82")
VIEWS = {"total": "pretraining included", "snn": "without pretraining"}


def time_accuracy(curves: CurveSet) -> Plot:
    """Validation against training time; a button takes pretraining out where there is any."""
    divisor, unit = time_unit(curve.total.x[-1] for curve in curves.curves)
    views = [view for view in VIEWS if view == "total" or curves.pretrained]
    data: list[Plot] = []
    for view in views:
        for i, curve in enumerate(curves.curves):
            found = _curve(getattr(curve, view), curve, i, divisor, curves.scale)
            x, y = curve.best if view == "total" else curve.best_snn
            found.append(_best(x / divisor, y * curves.scale, curve.cell, i))
            data += [one | {"visible": view == "total"} for one in found]
    clock = "CPU " if curves.clock == CPU_CLOCK else ""
    layout = _layout(f"{clock}training time ({unit})", f"validation {axis_name(curves.metric, curves.scale)}")
    layout["xaxis"]["rangemode"] = "tozero"
    targets = [t * curves.scale for t in curves.targets]
    layout["margin"] = layout["margin"] | {"r": 120 if targets else 20}
    layout["shapes"] = [_target_line(y, i) for i, y in enumerate(targets)]
    layout["annotations"] = [_target_text(y, i, curves.scale) for i, y in enumerate(targets)]
    if len(views) > 1:
        half = len(data) // 2
        masks = [[(i < half) == (view == "total") for i in range(len(data))] for view in views]
        buttons = [
            {"label": VIEWS[view], "method": "restyle", "args": ["visible", mask]}
            for view, mask in zip(views, masks, strict=True)
        ]
        place = {"direction": "right", "x": 0, "xanchor": "left", "y": 1.16}
        layout["updatemenus"] = [place | {"type": "buttons", "buttons": buttons}]
    return {"data": data, "layout": layout}


def seeds(group: Group, order: Sequence[str]) -> Plot:
    """Every seed of every cell, with mean and interval; crosses are failed seeds at chance level.

    ``order`` are the cells as the curves have them, so that a cell keeps its colour.
    """
    rows = list(group.rows)[::-1]
    colours = {cell: style(i)[0] for i, cell in enumerate(order)}
    data = [trace for row in rows for trace in _seed_traces(row, group, colours[row.cell])]
    layout = _layout(f"{group.split} {axis_name(group.metric, group.scale)}", "")
    return {"data": data, "layout": _wide(layout, 160 + 44 * len(rows))}


def stages(group: Group) -> Plot | None:
    """Median training seconds by stage, stacked; None if every cell has one stage."""
    table = {row.label: dict(row.times.stages) for row in group.rows[::-1] if row.times and row.times.stages}
    longest = sorted(table.values(), key=len, reverse=True)  # it knows the order of the stages
    names = list(dict.fromkeys(name for row in longest for name in row))
    if len(names) < 2:
        return None
    divisor, unit = time_unit(s for found in table.values() for s in found.values())
    data = []
    for i, name in enumerate(names):
        x = [_num(found.get(name, 0.0) / divisor) for found in table.values()]
        data.append(_bars(list(table), x, name, STAGE_COLOURS[i % len(STAGE_COLOURS)]))
    layout = _layout(f"training time by stage ({unit}, wall clock, median over seeds)", "")
    return {"data": data, "layout": _wide(layout, 180 + 40 * len(table)) | {"barmode": "stack"}}


def history(found: Iterable[History], metric: str, scale: float) -> Plot:
    """Search values by trial number with the best so far; open circles ended early or failed."""
    data: list[Plot] = []
    for i, one in enumerate(found):
        colour, number = style(i)[0], list(one.number)
        thinned = f" ({len(number)} of {one.total} shown)" if len(number) < one.total else ""
        symbols = ["circle" if state == "COMPLETE" else "circle-open" for state in one.state]
        hover = "trial %{x}: %{y:.4g} (%{text})<extra>" + one.label + "</extra>"
        dots = _scatter("markers", number, [_num(v * scale) for v in one.value], name=one.label + thinned)
        marker = {"color": colour, "symbol": symbols, "size": 6, "opacity": 0.55}
        data.append(dots | {"text": list(one.state), "marker": marker, "hovertemplate": hover})
        best = _scatter("lines", number, [_num(v * scale) for v in one.best], showlegend=False)
        data.append(best | {"line": {"shape": "hv", "color": colour, "width": 2}, "hoverinfo": "skip"})
        data[-1]["legendgroup"] = data[-2]["legendgroup"] = one.cell
    layout = _layout("search trial", f"validation {axis_name(metric, scale)}")
    last = max((n for trace in data for n in trace["x"]), default=0)
    layout["xaxis"] |= {"dtick": 1} if last <= 12 else {}
    return {"data": data, "layout": layout}


def importance(found: Mapping[str, Mapping[str, float]], labels: Mapping[str, str], title: str) -> Plot:
    """Grouped bars, one colour a cell."""
    names = list(dict.fromkeys(name for values in found.values() for name in values))[::-1]
    data = [
        _bars(names, [_num(values.get(n, math.nan)) for n in names], labels.get(cell, cell), style(i)[0])
        for i, (cell, values) in enumerate(found.items())
    ]
    height = 190 + (14 + 8 * len(found)) * max(len(names), 1)
    return {"data": data, "layout": _wide(_layout(title, ""), height)}


def lines(found: LineSet) -> Plot:
    """A metric against a parameter with intervals, or a histogram."""
    data: list[Plot] = []
    for i, line in enumerate(found.lines):
        colour, dash, _ = style(i)
        x, y = [p.x for p in line.points], [_num(p.value * found.scale) for p in line.points]
        if is_histogram(found.y_name):
            bars = {"type": "bar", "name": line.label, "x": x, "y": y, "opacity": 0.6}
            data.append(bars | {"marker": {"color": colour}})
            continue
        spans = [
            whiskers(p.value * found.scale, p.half * found.scale, found.scale, found.y_name)
            for p in line.points
        ]
        dots = _scatter("lines+markers", x, y, name=line.label, line={"color": colour, "dash": DASHES[dash]})
        bars = {"type": "data", "symmetric": False, "visible": any(map(any, spans))}
        bars |= {"array": [_num(up) for _, up in spans], "arrayminus": [_num(down) for down, _ in spans]}
        data.append(dots | {"marker": {"symbol": SYMBOLS[i % len(SYMBOLS)]}, "error_y": bars})
    histogram = is_histogram(found.y_name)
    name = "mean over seeds" if histogram else f"{found.split} {axis_name(found.y_name, found.scale)}"
    layout = _layout(found.x_name or "value", name)
    return {"data": data, "layout": layout | {"barmode": "overlay", "showlegend": True}}


def _curve(steps: Steps, curve: TimeCurve, index: int, divisor: float, scale: float) -> list[Plot]:
    """Lower edge, upper edge with the band between, and the median of one cell."""
    colour, dash, _ = style(index)
    x = [_num(v / divisor) for v in steps.x]
    low, middle, high = ([_num(v * scale) for v in row] for row in (steps.low, steps.median, steps.high))
    edge: Plot = {
        "line": {"width": 0, "shape": "hv", "color": colour},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    failed = f", {curve.failed} failed" if curve.failed else ""
    name = f"{curve.label} ({curve.seeds} {'seed' if curve.seeds == 1 else 'seeds'}{failed})"
    name += "" if curve.comparable else "; time not comparable"
    hover = "%{y:.4g} (%{customdata[0]:.4g} to %{customdata[1]:.4g}) after %{x:.4g}"
    main: Plot = {"line": {"color": colour, "dash": DASHES[dash], "width": 2, "shape": "hv"}, "name": name}
    main |= {
        "customdata": list(zip(low, high, strict=True)),
        "hovertemplate": hover + "<extra>%{fullData.name}</extra>",
    }
    found = [
        _scatter("lines", x, low, **edge),
        _scatter("lines", x, high, **edge, fill="tonexty", fillcolor=_pale(colour)),
        _scatter("lines", x, middle, **main),
    ]
    return [one | {"legendgroup": curve.cell} for one in found]


def _best(x: float, y: float, cell: str, index: int) -> Plot:
    symbol = SYMBOLS[index % len(SYMBOLS)]
    marker = {
        "color": style(index)[0],
        "size": 10,
        "symbol": symbol,
        "line": {"color": "white", "width": 1.5},
    }
    hover = "best epoch: %{y:.4g} after %{x:.4g}<extra></extra>"
    dot = _scatter("markers", [_num(x)], [_num(y)], marker=marker, hovertemplate=hover)
    return dot | {"legendgroup": cell, "showlegend": False}


def _seed_traces(row: Row, group: Group, colour: str) -> list[Plot]:
    scale = group.scale
    text = [f"seed {s.seed}" + (f": failed, {s.reason}" if s.failed else "") for s in row.seeds]
    symbols = ["x" if s.failed else "circle" for s in row.seeds]
    dots = _scatter("markers", [_num(s.value * scale) for s in row.seeds], [row.label] * len(row.seeds))
    dots |= {"marker": {"color": colour, "symbol": symbols, "size": 9, "opacity": 0.7}, "text": text}
    dots |= {"hovertemplate": "%{x:.4g}<br>%{text}<extra></extra>", "showlegend": False}
    if not row.score.n:
        return [dots]
    value = row.score.mean * scale
    down, up = whiskers(value, row.score.half * scale, scale, group.metric)
    mean = _scatter("markers", [_num(value)], [row.label], showlegend=False)
    mean |= {"marker": {"symbol": "line-ns-open", "size": 16, "color": "#222"}}
    bars = {"type": "data", "symmetric": False, "array": [_num(up)], "arrayminus": [_num(down)]}
    mean |= {"error_x": bars | {"color": "#222", "visible": bool(up or down)}}
    return [dots, mean | {"hovertemplate": "mean %{x:.4g}<extra></extra>"}]


def _scatter(mode: str, x: Sequence[object], y: Sequence[object], **more: Any) -> Plot:
    return {"type": "scatter", "mode": mode, "x": list(x), "y": list(y), **more}


def _bars(names: Sequence[str], x: Sequence[float | None], name: str, colour: str) -> Plot:
    bars = {"type": "bar", "orientation": "h", "y": list(names), "x": list(x), "name": name}
    return bars | {"marker": {"color": colour}}


def _target_line(y: float, index: int) -> Plot:
    line = {"color": "#555", "width": 1, "dash": "dash" if index == 0 else "dot"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}


def _target_text(y: float, index: int, scale: float) -> Plot:
    text = f"target {fixed(y, 2)}{' %' if scale == 100.0 else ''}"
    place = {"xref": "paper", "x": 1.005, "xanchor": "left", "y": y, "showarrow": False}
    anchor = "bottom" if index == 0 else "top"
    return place | {"yanchor": anchor, "font": {"size": 11, "color": "#444"}, "text": text}


def _layout(x: str, y: str) -> Plot:
    axis = {"gridcolor": "#e4e4e4", "zeroline": False, "linecolor": "#444", "ticks": "outside"}
    return {
        "xaxis": axis | {"title": {"text": x}},
        "yaxis": axis | {"title": {"text": y}},
        "margin": {"l": 70, "r": 20, "t": 50, "b": 95},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#222"},
        "legend": {"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom"},
        "hovermode": "closest",
        "height": 430,
    }


def _wide(layout: Plot, height: int) -> Plot:
    """For horizontal bars: room for long names."""
    return layout | {"height": height, "yaxis": layout["yaxis"] | {"automargin": True}}


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"


def _num(value: float) -> float | None:
    """A JSON number with six significant digits; None for what JSON has no number for."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
