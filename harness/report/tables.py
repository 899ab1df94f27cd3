"""The board as terminal tables, Markdown, LaTeX and CSV. Nothing is computed here."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from harness.guard import csv_text, one_line
from harness.report.board_tables import BoardTable, board_tables
from harness.report.formatting import natural
from harness.report.notes import notes
from harness.scoring.values import Board, Group, Row

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
    from rich import box
    from rich.table import Table
    from rich.text import Text

    for number, group in enumerate(board.groups):
        if number:
            console.print()
        for board_table in board_tables(group, compact=True):
            if not board_table.main and console.width < 100:
                continue
            table = Table(
                title=Text(one_line(board_table.title)),
                title_justify="left",
                box=box.SIMPLE_HEAD,
                pad_edge=False,
            )
            rows = list(_marked(board_table, "{} [{}]"))
            shown = _fitting(board_table.headers, rows, console.width)
            fits = sum(shown) + 3 * len(shown) <= console.width
            for header, side, least in zip(board_table.headers, board_table.align, shown, strict=False):
                justify: Literal["left", "right"] = "left" if side == "l" else "right"
                table.add_column(
                    Text(one_line(header)), justify=justify, overflow="fold", min_width=least * fits
                )
            for cells in rows:
                table.add_row(*(Text(one_line(cell)) for cell in cells[: len(shown)]))
            if len(shown) < len(board_table.headers):
                left = ", ".join(board_table.headers[len(shown) :])
                table.caption = Text(f"left out, the terminal is narrow: {left}", justify="left")
            console.print(table)
        for line in _lines(board, group):
            style = "bold yellow" if line in group.notes else "dim"
            console.print(Text(one_line(line), style=style))


def render_markdown(board: Board) -> str:
    """The board as GitHub Markdown."""
    parts = [f"# Leaderboard of {board.study}"]
    for group in board.groups:
        parts += [f"> **{_md_line(note)}**" for note in group.notes]
        for board_table in board_tables(group, compact=True):
            rule = ["---:" if side == "r" else ":---" for side in board_table.align]
            rows = [[_md(cell) for cell in cells] for cells in _marked(board_table, "{} <sup>{}</sup>")]
            lines = [[_md(h) for h in board_table.headers], rule, *rows]
            parts.append(f"## {_md(board_table.title)}")
            parts.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
        said = [line for line in _lines(board, group) if line not in group.notes]
        parts.append("\n".join(f"- {_md_line(line)}" for line in said))
    return "\n\n".join(parts) + "\n"


def render_latex(board: Board) -> str:
    """The board as LaTeX tables; needs the package booktabs."""
    parts = [
        f"% Leaderboard of {board.study}, scoring version {board.scoring}. Needs \\usepackage{{booktabs}}."
    ]
    for group in board.groups:
        parts += [_latex_table(board_table) for board_table in board_tables(group, compact=True)]
        parts.append("\n\n".join(_tex(line) for line in _lines(board, group)))
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


def render_csv(board: Board) -> str:
    """One line a cell with every number unrounded, times in seconds, accuracies as stored."""
    parts = [_records(board, group, row) for group, row in board.rows()]
    blocks = [
        list(dict.fromkeys(name for row in block for name in row)) for block in zip(*parts, strict=True)
    ]
    for block in FAMILIES:
        blocks[block].sort(key=natural)
    names = [name for block in blocks for name in block]
    rows = [{name: value for block in row for name, value in block.items()} for row in parts]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writerow({name: _raw(name) for name in names})
    writer.writerows({k: _raw(v) for k, v in row.items()} for row in rows)
    return out.getvalue()


FAMILIES = (1, 3)  # of the blocks of a record: further metrics, targets
Records = tuple[dict[str, object], ...]


def _records(board: Board, group: Group, row: Row) -> Records:
    """One line in blocks, which stand in this order whatever rows have of them."""
    metrics: dict[str, object] = {}
    for name, summary in row.metrics:
        metrics |= {f"{name}.mean": summary.mean, f"{name}.half_95": summary.half}
    return _record(board, group, row), metrics, _time_record(row), _target_record(row), _cost_record(row)


def _record(board: Board, group: Group, row: Row) -> dict[str, object]:
    low, high = row.rank or ("", "")
    return {
        "study": board.study,
        "scoring_version": board.scoring,
        "dataset": group.dataset,
        "dataset_revision": group.revision,
        "cell": row.cell,
        "label": row.label,
        "pipeline": row.pipeline,
        "provisional": group.provisional,
        "split": group.split,
        "metric": group.metric,
        "rank_low": low,
        "rank_high": high,
        "mean": row.score.mean,
        "half_95": row.score.half,
        "sd": row.score.sd,
        "n": row.score.n,
        "failed": row.failed,
        "unfinished": row.unfinished,
        "planned": row.planned,
        "worst": row.worst,
        "seeds": ";".join(str(s.seed) for s in row.seeds),
        "values": ";".join(str(_raw(s.value)) for s in row.seeds),
        "trained": row.trained,
        "test_reads": group.test_reads.times,
    }


def _time_record(row: Row) -> dict[str, object]:
    found: dict[str, object] = {}
    if row.times is not None:
        found |= {"clock": row.times.clock, "device_name": row.times.device_name}
        for name in ("best", "best_snn", "total", "total_snn"):
            spread = getattr(row.times, name)
            name = name.replace("_snn", "_without_pretrain")
            found |= {f"{name}_s": spread.median, f"{name}_low_s": spread.low, f"{name}_high_s": spread.high}
        found["stages_s"] = ";".join(f"{name}={value!r}" for name, value in row.times.stages)
    return found


def _target_record(row: Row) -> dict[str, object]:
    found: dict[str, object] = {}
    for i, target in enumerate(row.targets, start=1):
        p = f"target{i}"
        found |= {p: target.target, f"{p}.s": target.total, f"{p}.without_pretrain_s": target.snn}
        found |= {f"{p}.reached": target.reached, f"{p}.n": target.n}
        for name, ratio in (("ratio", target.ratio), ("ratio_without_pretrain", target.ratio_snn)):
            if ratio is not None:
                p_name = f"{p}.{name}"
                found |= {p_name: ratio.value, f"{p_name}_low": ratio.low, f"{p_name}_high": ratio.high}
    return found


def _cost_record(row: Row) -> dict[str, object]:
    names = ("parameters", "timesteps", "firing_rate", "spikes", "synops", "energy_nj", "peak_mib")
    return {name: getattr(row.cost, name) for name in names} | {
        "search_trials": row.budget.finished,
        "search_pruned": row.budget.pruned,
        "search_failed": row.budget.failed,
        "search_train_s": row.budget.train_s,
        "flags": ";".join(warning.code for warning in row.warnings),
    }


def _raw(value: object) -> object:
    if isinstance(value, str):
        return csv_text(one_line(value))
    return "" if isinstance(value, float) and math.isnan(value) else value


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
