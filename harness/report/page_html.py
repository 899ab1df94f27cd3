"""The page of a study as HTML text: tables, interactive plots, study text. Everything is inline."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from dataclasses import dataclass

from harness.guard import printable
from harness.report import plots
from harness.report.board_tables import BoardTable, board_tables, title
from harness.report.formatting import DASH, fixed, significant
from harness.report.layout import legend_layout
from harness.report.notes import notes
from harness.report.page_style import CSS
from harness.scoring.curves import CurveSet, LineSet
from harness.scoring.search import History, Importance
from harness.scoring.tables import StudyView
from harness.scoring.values import Board, Group

SHORT, LONG = 22, 60
CORRELATION = "squared rank correlation with the objective (one parameter at a time)"


@dataclass(frozen=True)
class Content:
    """Everything that the page shows, computed."""

    view: StudyView
    board: Board
    curves: tuple[CurveSet, ...]
    lines: tuple[LineSet, ...]
    histories: tuple[History, ...]
    importance: Importance
    hardware: tuple[str, ...]


def render_page(content: Content, figures: Iterable[str] = ()) -> str:
    """The page as HTML; ``figures`` are names of files beside it to link."""
    from plotly.offline import get_plotlyjs

    view, board = content.view, content.board
    drawn: list[plots.Plot] = []
    body = [_head(content, figures)]
    for group in board.groups:
        body.append(_group(content, group, drawn))
    for one in content.lines:
        name = f"{one.y_name.replace('_', ' ')} against {one.x_name or 'value'}"
        body.append(f"<h3>{_e(one.name)}: {_e(name)}</h3>{_plot(plots.lines(one), drawn)}")
    body.append(_search(content, drawn))
    body.append(_environment(content))
    plotting = json.dumps(drawn, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{_e(view.study)}: report</title><style>{CSS}</style></head>\n<body><main>"
        + "\n".join(body)
        + f"</main>\n<script>{get_plotlyjs()}</script>\n<script>const plots={plotting};"
        "plots.forEach((p,i)=>Plotly.newPlot('plot'+i,p.data,p.layout,"
        "{responsive:true,displaylogo:false,modeBarButtonsToRemove:['lasso2d','select2d']}));"
        "</script></body></html>\n"
    )


def _head(content: Content, figures: Iterable[str]) -> str:
    view, board = content.view, content.board
    links = [*(f"leaderboard.{suffix}" for suffix in ("md", "csv", "tex")), *figures]
    files = " ".join(f"<a href='{_e(name)}'>{_e(name)}</a>" for name in links)
    objectives = dict.fromkeys(", ".join(group.objectives) for group in board.groups)
    parts = [
        f"<h1>{_e(view.study)}</h1>",
        f"<p class='sub'>Launch {board.launch}, {_e(board.launched_at)}. Scoring version {board.scoring}. "
        f"Objective: {_e('; '.join(objectives))}.</p>",
        f"<p class='files'>Files: {files}</p>",
    ]
    return "\n".join(parts)


def _group(content: Content, group: Group, drawn: list[plots.Plot]) -> str:
    board, made = content.board, board_tables(group)
    curves = [c for c in content.curves if c.name == group.name and c.curves]
    order = [cell.name for cell in content.view.cells if cell.short == group.name]
    head = [f"<section><h2>{_e(title(group))}</h2>"]
    head += [f"<p class='banner'>{_e(note)}</p>" for note in group.notes]
    first, later = made[0], made[1:]
    parts = [*head, _table(first, heading=False), _footnotes(group)]
    for one in curves:
        parts.append("<h3>Validation against training time</h3>" + _plot(plots.time_accuracy(one), drawn))
    if any(row.seeds for row in group.rows):
        parts.append("<h3>Every seed</h3>" + _plot(plots.seeds(group, order), drawn) + _seed_table(group))
    stages = plots.stages(group)
    if stages is not None:
        parts.append("<h3>Stages</h3>" + _plot(stages, drawn))
    parts += [_table(board_table) for board_table in later]
    parts.append(
        "<ul class='notes'>" + "".join(f"<li>{_e(line)}</li>" for line in notes(board, group)) + "</ul>"
    )
    parts.append(_configurations(group))
    return "\n".join(parts) + "</section>"


def _table(board_table: BoardTable, *, heading: bool = True) -> str:
    sides = ["num" if side == "r" else "" for side in board_table.align]
    head = "".join(
        f"<th class='{side}'>{_e(h)}</th>" for h, side in zip(board_table.headers, sides, strict=True)
    )
    rows = []
    for i, cells in enumerate(board_table.rows):
        texts = [_e(cell) for cell in cells]
        marks = board_table.marks[i] if board_table.marks else ()
        texts[board_table.marked] += f"<sup>{','.join(map(str, marks))}</sup>" if marks else ""
        kinds = [f"{side} {_width(t)}".strip() for t, side in zip(cells, sides, strict=True)]
        rows.append("".join(f"<td class='{k}'>{t}</td>" for t, k in zip(texts, kinds, strict=True)))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    name = f"<h3>{_e(board_table.title)}</h3>" if heading else ""
    long = " long" if len(rows) > 20 else ""
    inner = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f"{name}<div class='scroll{long}'><table>{inner}</table></div>"


def _width(text: str) -> str:
    """Short cells stay on one line, long ones get room."""
    return "short" if len(text) <= SHORT else "wide" if len(text) > LONG else ""


def _footnotes(group: Group) -> str:
    lines = [f"<li value='{i}'>{_e(text)}</li>" for text, i in group.footnotes().items()]
    return f"<ol class='notes'>{''.join(lines)}</ol>" if lines else ""


def _seed_table(group: Group) -> str:
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
    table = _table(BoardTable("", headers, "lrrrll", rows), heading=False)
    return f"<details><summary>All {len(rows)} seeds as a table</summary>{table}</details>"


def _configurations(group: Group) -> str:
    """The scored configuration and the firing rates by layer of each cell."""
    parts = []
    for row in group.rows:
        if not row.params:
            continue
        pairs = [(name, str(value)) for name, value in row.params]
        pairs += [(f"firing rate of {layer}", significant(rate)) for layer, rate in row.cost.layers]
        table = _table(BoardTable("", ("parameter", "value"), "ll", tuple(pairs)), heading=False)
        parts.append(
            f"<details><summary>{_e(row.label)}: configuration {_e(row.config)}</summary>{table}</details>"
        )
    return "<h3>Configurations</h3>" + "".join(parts) if parts else ""


def _search(content: Content, drawn: list[plots.Plot]) -> str:
    parts = ["<section><h2>Search</h2>"]
    for group in content.board.groups:
        cells = {row.cell for row in group.rows}
        found = [one for one in content.histories if one.cell in cells]
        if found:
            plot = plots.history(found, group.metric, group.scale)
            parts.append(f"<h3>History on {_e(group.name)}</h3>" + _plot(plot, drawn))
    if content.importance:
        labels = {cell.name: cell.label for cell in content.view.cells}
        if len(content.board.groups) > 1:
            labels = {cell.name: f"{cell.short}/{cell.label}" for cell in content.view.cells}
        plot = plots.importance(content.importance, labels, CORRELATION)
        parts.append("<h3>Parameter importance</h3>" + _plot(plot, drawn))
    return "\n".join(parts) + "</section>" if len(parts) > 1 else ""


def _environment(content: Content) -> str:
    view = content.view
    rows = [("host", view.host), ("hardware", "; ".join(content.hardware)), ("commit", view.git)]
    rows += [(str(name), str(version)) for name, version in sorted(view.packages.items())]
    table = _table(
        BoardTable("", ("what", "value"), "ll", tuple((a, b or DASH) for a, b in rows)), heading=False
    )
    return (
        f"<section><h2>Study</h2><pre>{_e(view.text)}</pre><h2>Environment</h2>{table}"
        f"<p class='sub'>Protocol: {_e(json.dumps(dict(view.protocol), sort_keys=True))}</p></section>"
    )


def _plot(plot: plots.Plot, drawn: list[plots.Plot]) -> str:
    drawn.append(legend_layout(plot))
    return f"<div class='plot' id='plot{len(drawn) - 1}'></div>"


def _e(text: str) -> str:
    return html.escape(printable(text), quote=True)
