"""Layout with room for a legend below an interactive plot: as many rows as its names need."""

from __future__ import annotations

from harness.report.plots import Plot

#: Pixels: the plot's usual width, a letter, what stands before a name, a row.
WIDTH, LETTER, BEFORE, ROW = 900, 7, 60, 30


def legend_layout(plot: Plot) -> Plot:
    """The plot, made higher by the rows that its legend has beyond the first."""
    names = [
        str(trace["name"])
        for trace in plot["data"]
        if trace.get("name") and trace.get("showlegend", True) and trace.get("visible", True) is not False
    ]
    more = (legend_rows(names) - 1) * ROW
    layout = plot["layout"]
    if more <= 0:
        return plot
    margin = layout["margin"] | {"b": layout["margin"]["b"] + more}
    return plot | {"layout": layout | {"height": layout["height"] + more, "margin": margin}}


def legend_rows(names: list[str]) -> int:
    """The rows that names fill, one after another."""
    rows, used = 0, WIDTH + 1
    for name in names:
        wide = BEFORE + LETTER * len(name)
        if used + wide > WIDTH:
            rows, used = rows + 1, 0
        used += wide
    return rows
