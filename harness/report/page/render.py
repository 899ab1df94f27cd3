"""A page from values: which charts and tables stand where, then jinja2 templates with everything inline."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.guard import printable
from harness.report.across_tables import across_notes, across_tables
from harness.report.board_tables import BoardTable, board_tables, title
from harness.report.charts import board, curves, lines, search
from harness.report.charts.chart import Chart, library
from harness.report.charts.look import Looks, theme
from harness.report.formatting import DASH, fixed, rank, score, significant
from harness.report.notes import notes
from harness.report.page.content import Content
from harness.scoring.values import Group, Interval, Row

SHARE = "share in being among the best quarter (PED-ANOVA; lines: 90 % of random halves)"
CORRELATION = "squared rank correlation with the objective (one parameter at a time)"


@dataclass(frozen=True)
class Drawn:
    """All charts: those of each data set by their heading, and those of the search."""

    groups: tuple[tuple[tuple[str, Chart], ...], ...]
    search: tuple[tuple[str, Chart], ...]

    def all(self) -> list[Chart]:
        """Every chart once, in the order of the page."""
        return [chart for part in (*self.groups, self.search) for _, chart in part]


def charts_of(content: Content) -> Drawn:
    """Every chart of the page. One label has one look through all of them."""
    looks = Looks(tuple(dict.fromkeys(cell.label for cell in content.view.cells)))
    groups = tuple(tuple(_of_group(content, group, looks)) for group in content.board.groups)
    return Drawn(groups, tuple(_of_search(content, looks)))


def _of_group(content: Content, group: Group, looks: Looks) -> list[tuple[str, Chart]]:
    own = [one for one in content.curves if one.name == group.name]
    found = [("Validation against training time", curves.time_accuracy(one, looks)) for one in own]
    if any(row.seeds for row in group.rows):
        found.append(("Every seed", board.seeds(group, looks)))
    optional = [("Score against cost", board.fronts(group, looks)), ("Stages", board.stages(group))]
    found += [(heading, chart) for heading, chart in optional if chart is not None]
    found += [("Learning curves", curves.learning(one, looks)) for one in own]
    for one in content.lines:
        if one.name == group.name:
            what = one.y_name.replace("_", " ").capitalize()
            found.append((f"{what} against {one.x_name or 'value'}", lines.lines(one, looks)))
    return found


def _of_search(content: Content, looks: Looks) -> list[tuple[str, Chart]]:
    found = []
    for group in content.board.groups:
        cells = {row.cell for row in group.rows}
        own = [one for one in content.histories if one.cell in cells]
        if own:
            chart = search.history(own, group.name, group.metric, group.scale, looks)
            found.append((f"History on {group.name}", chart))
    several = len(content.board.groups) > 1
    shown = {c.name: f"{c.short}/{c.label}" if several else c.label for c in content.view.cells}
    own_labels = {c.name: c.label for c in content.view.cells}
    if content.shares:
        chart = search.importance(content.shares, own_labels, shown, SHARE, looks)
        found.append(("What the search says of each parameter", chart))
    if content.importance:
        points = {
            cell: {name: Interval(value, math.nan, math.nan) for name, value in values.items()}
            for cell, values in content.importance.items()
        }
        chart = search.importance(points, own_labels, shown, CORRELATION, looks, name="rank-correlation")
        found.append(("What the search says of each parameter, by rank alone", chart))
    return found


def render_page(content: Content, drawn: Drawn, files: Sequence[str] = (), cache: Path | None = None) -> str:
    """The page as HTML; ``files`` are names of files beside it to link, ``cache`` keeps the library."""
    plots, data = _plots(drawn.all())
    groups = [
        {
            "id": f"data-set-{number}",
            "group": group,
            "title": title(group),
            "tables": board_tables(group),
            "charts": charts,
            "notes": notes(content.board, group),
            "seeds": _seed_table(group),
            "configurations": [(row, _configuration(row)) for row in group.rows if row.params],
        }
        for number, (group, charts) in enumerate(zip(content.board.groups, drawn.groups, strict=True))
    ]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            view=content.view,
            board=content.board,
            objectives=list(dict.fromkeys(", ".join(group.objectives) for group in content.board.groups)),
            files=files,
            groups=groups,
            overview=_overview(content),
            across=across_tables(content.board.across) if content.board.across else (),
            across_notes=across_notes(content.board.across) if content.board.across else (),
            search=drawn.search,
            numbers={chart.name: i for i, chart in enumerate(drawn.all())},
            machine=_machine(content),
            protocol=json.dumps(dict(content.view.protocol), sort_keys=True),
            script=_inline({"charts": plots, "data": data, "config": theme()}),
            library=library(cache),
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("harness.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    found.filters["width"] = _width
    return found


def _width(text: str) -> str:
    """Short cells stay on one line, long ones get room."""
    return "short" if len(text) <= 22 else "wide" if len(text) > 60 else ""


def _plots(charts: Sequence[Chart]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Each chart's forms, and all their rows once."""
    data: dict[str, Any] = {}
    found = []
    for chart in charts:
        forms = []
        for label, spec in chart.specs():
            data |= spec.pop("datasets", {})
            spec.pop("$schema", None)
            forms.append({"label": label, "spec": spec | {"description": printable(chart.about)}})
        found.append({"forms": forms})
    return found, data


def _inline(value: Any) -> str:
    """JSON that a script may hold whatever text is in it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _overview(content: Content) -> BoardTable | None:
    """Data sets by pipelines; None where there is one data set."""
    groups = content.board.groups
    labels = list(dict.fromkeys(row.label for group in groups for row in group.rows))
    if len(groups) < 2:
        return None
    rows = []
    for group in groups:
        found = {row.label: row for row in group.rows}
        cells = (_in_overview(found.get(label), group) for label in labels)
        rows.append((group.name, f"{group.metric}{f' ({group.unit})' if group.unit else ''}", *cells))
    return BoardTable("", ("data set", "metric", *labels), "ll" + "r" * len(labels), tuple(rows))


def _in_overview(row: Row | None, group: Group) -> str:
    if row is None:
        return DASH
    if not row.score.n:
        return "failed" if row.failed else "no final seed"
    place = f" (rank {rank(row.rank)})" if row.rank else ""
    return score(row.score, group.scale) + place


def _seed_table(group: Group) -> BoardTable:
    digits = 2 if group.scale == 100 else 4
    rows = tuple(
        (
            *(row.label, str(s.seed), fixed(s.value * group.scale, digits)),
            *(fixed(s.valid * group.scale, digits), s.reason or DASH, s.trial_id),
        )
        for row in group.rows
        for s in row.seeds
    )
    headers = ("cell", "seed", f"{group.split} {group.metric}", "validation", "failed because", "trial")
    return BoardTable("", headers, "lrrrll", rows)


def _configuration(row: Row) -> BoardTable:
    """The scored configuration and the firing rates by layer."""
    pairs = [(name, str(value)) for name, value in row.params]
    pairs += [(f"firing rate of {layer}", significant(rate)) for layer, rate in row.cost.layers]
    return BoardTable("", ("parameter", "value"), "ll", tuple(pairs))


def _machine(content: Content) -> BoardTable:
    view = content.view
    rows = [("host", view.host), ("hardware", "; ".join(content.hardware)), ("code", view.git)]
    rows += [(str(name), str(version)) for name, version in sorted(view.packages.items())]
    return BoardTable("", ("what", "value"), "ll", tuple((what, text or DASH) for what, text in rows))
