"""The whole board as terminal tables, Markdown and LaTeX. Nothing is computed here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from harness.guard import one_line
from harness.report.across_tables import across_notes, across_tables
from harness.report.board_tables import BoardTable, board_tables
from harness.report.notes import notes
from harness.scoring.values import Board, Group

if TYPE_CHECKING:
    from rich.console import Console

_TEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "∞": r"$\infty$",
    "–": "--",
    "<": "$<$",
    ">": "$>$",
}


LEAST = 5  # columns that stay however narrow the terminal is


def _fitting(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The least widths of the columns that fit without a cell broken in two; words of headers may break."""
    least = [
        max([len(word) for word in header.split()] + [len(cells[i]) for cells in rows])
        for i, header in enumerate(headers)
    ]
    count = len(headers)
    while count > LEAST and sum(least[:count]) + 3 * count > width:
        count -= 1
    return least[:count]


def render_terminal(board: Board, console: Console) -> None:
    """Print the board; a console narrower than 100 columns gets the main tables only."""
    from rich.text import Text

    for number, group in enumerate(board.groups):
        if number:
            console.print()
        for board_table in board_tables(group, compact=True):
            _print_table(board_table, console)
        for line in _lines(board, group):
            style = "bold yellow" if line in group.notes else "dim"
            console.print(Text(one_line(line), style=style))
    if board.across:
        console.print()
        for board_table in across_tables(board.across):
            _print_table(board_table, console)
        for line in across_notes(board.across):
            console.print(Text(one_line(line), style="dim"))


def _print_table(board_table: BoardTable, console: Console) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not board_table.main and console.width < 100:
        return
    table = Table(
        title=Text(one_line(board_table.title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    rows = list(_marked(board_table, "{} [{}]"))
    shown = _fitting(board_table.headers, rows, console.width)
    fits = sum(shown) + 3 * len(shown) <= console.width
    for header, side, least in zip(board_table.headers, board_table.align, shown, strict=False):
        justify: Literal["left", "right"] = "left" if side == "l" else "right"
        table.add_column(Text(one_line(header)), justify=justify, overflow="fold", min_width=least * fits)
    for cells in rows:
        table.add_row(*(Text(one_line(cell)) for cell in cells[: len(shown)]))
    if len(shown) < len(board_table.headers):
        left = ", ".join(board_table.headers[len(shown) :])
        table.caption = Text(f"left out, the terminal is narrow: {left}", justify="left")
    console.print(table)


def render_markdown(board: Board) -> str:
    """The board as GitHub Markdown."""
    parts = [f"# Leaderboard of {board.study}"]
    for group in board.groups:
        parts += [f"> **{_md_line(note)}**" for note in group.notes]
        for board_table in board_tables(group, compact=True):
            parts += _md_table(board_table)
        said = [line for line in _lines(board, group) if line not in group.notes]
        parts.append("\n".join(f"- {_md_line(line)}" for line in said))
    if board.across:
        for board_table in across_tables(board.across):
            parts += _md_table(board_table)
        parts.append("\n".join(f"- {_md_line(line)}" for line in across_notes(board.across)))
    return "\n\n".join(parts) + "\n"


def _md_table(board_table: BoardTable) -> list[str]:
    """Its heading, and the table."""
    rule = ["---:" if side == "r" else ":---" for side in board_table.align]
    rows = [[_md(cell) for cell in cells] for cells in _marked(board_table, "{} <sup>{}</sup>")]
    lines = [[_md(h) for h in board_table.headers], rule, *rows]
    return [f"## {_md(board_table.title)}", "\n".join("| " + " | ".join(line) + " |" for line in lines)]


def render_latex(board: Board) -> str:
    """The board as LaTeX tables; needs the package booktabs."""
    parts = [
        f"% Leaderboard of {board.study}, scoring version {board.scoring}. Needs \\usepackage{{booktabs}}."
    ]
    for group in board.groups:
        parts += [_latex_table(board_table) for board_table in board_tables(group, compact=True)]
        parts.append("\n\n".join(_tex(line) for line in _lines(board, group)))
    if board.across:
        parts += [_latex_table(board_table) for board_table in across_tables(board.across)]
        parts.append("\n\n".join(_tex(line) for line in across_notes(board.across)))
    return "\n\n".join(parts) + "\n"


def _latex_table(board_table: BoardTable) -> str:
    rows = []
    for cells, marks in zip(board_table.rows, _marks_of(board_table), strict=True):
        line = [_tex(cell) for cell in cells]
        line[board_table.marked] += f"$^{{{','.join(map(str, marks))}}}$" if marks else ""
        rows.append(" & ".join(line) + r" \\")
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        f"\\caption{{{_tex(board_table.title)}.}}",
        f"\\begin{{tabular}}{{{board_table.align}}}",
        r"\toprule",
        " & ".join(_tex(h) for h in board_table.headers) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _lines(board: Board, group: Group) -> list[str]:
    """Remarks, then the numbered footnotes."""
    return [*notes(board, group), *(f"[{i}] {text}" for text, i in group.footnotes().items())]


def _marks_of(board_table: BoardTable) -> tuple[tuple[int, ...], ...]:
    return board_table.marks or ((),) * len(board_table.rows)


def _marked(board_table: BoardTable, form: str) -> list[list[str]]:
    """The rows with their footnote numbers behind the marked column."""
    found = []
    for cells, marks in zip(board_table.rows, _marks_of(board_table), strict=True):
        line = list(cells)
        if marks:
            line[board_table.marked] = form.format(line[board_table.marked], ",".join(map(str, marks)))
        found.append(line)
    return found


def _md(text: str) -> str:
    return _md_line(text).replace("|", "\\|")


def _md_line(text: str) -> str:
    """On one line, and no HTML but our own."""
    return re.sub(r"<(?!/?sup>)(?=[A-Za-z/!?])", "&lt;", one_line(text))


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in one_line(text))
