"""The first screen of a board: a short table and one sentence for each data set. Nothing is computed here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from harness.guard import one_line
from harness.report.board_tables import title
from harness.report.formatting import (
    factor,
    fixed,
    quantity,
    rank,
    ratio,
    score,
    score_digits,
    significant,
    time_unit,
)
from harness.scoring import warnings
from harness.scoring.stats import Ratio
from harness.scoring.values import Board, Group, Row, TargetTime

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WIDTH = 100  # at most, however wide the terminal is
SHOWN = 10  # rows of a data set
LABEL, LEAST_LABEL = 28, 12
NAMED = 2  # labels in a sentence
ENOUGH = 6  # seeds from which an interval of a median can cover 95 %
Columns = list[tuple[str, list[str]]]


def first_screen(board: Board, width: int, more: Sequence[str] = ()) -> RenderableType:
    """The board for a terminal of that width; ``more`` are lines that say where the rest is."""
    from rich.console import Group as Lines
    from rich.text import Text

    parts: list[RenderableType] = []
    for group in board.groups:
        parts.append(Text(short(one_line(title(group)), min(width, WIDTH)), style="bold"))
        parts += [_table(group, min(width, WIDTH)), Text(sentence(group))]
        parts += [Text(line, style="dim") for line in _remarks(group)]
        parts.append(Text())
    said = dict.fromkeys(note for group in board.groups if not group.provisional for note in group.notes)
    parts += [Text(one_line(note), style="yellow") for note in (*said, *board.notes)]
    return Lines(*parts, *(Text(line, style="dim", overflow="fold") for line in more))


def render_first(board: Board, console: Console, more: Sequence[str] = ()) -> None:
    """Print the first screen."""
    console.print(first_screen(board, console.width, more), width=min(console.width, WIDTH))


def columns(group: Group) -> Columns:
    """Header and texts of every column, the most important first. A missing number is a word."""
    digits = score_digits((row.score for row in group.rows), group.scale)
    unit = f" ({group.unit})" if group.unit else ""
    rows = group.rows[:SHOWN]
    return [
        ("rank", [rank(row.rank) if row.rank else "none" for row in rows]),
        ("pipeline", [one_line(row.label) for row in rows]),
        (f"{group.metric}{unit}", [_score(group, row, digits) for row in rows]),
        _time_column(group, rows),
        ("synops", [_count(row, row.cost.synops) for row in rows]),
        ("parameters", [_count(row, row.cost.parameters) for row in rows]),
    ]


def sentence(group: Group) -> str:
    """What the seeds of a data set allow to say."""
    if group.provisional:
        if not any(row.score.n for row in group.rows):
            return "No trial has finished yet."
        return "Provisional: the best search trial of each on validation, one seed: not a result."
    parts = [_of_order(group, [row for row in group.rows if row.rank]), _of_time(group)]
    return one_line("; ".join(part for part in parts if part) + ".")


def _table(group: Group, width: int) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    shown = columns(group)
    widths = [max([cell_len(header), *map(cell_len, texts)]) for header, texts in shown]
    widths[1] = min(widths[1], LABEL)
    while len(shown) > 3 and sum(widths) + 2 * len(widths) > width:
        shown.pop()
        widths.pop()
    widths[1] = max(LEAST_LABEL, min(widths[1], width - sum(widths) + widths[1] - 2 * len(widths)))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for i, (header, _) in enumerate(shown):
        table.add_column(Text(one_line(header)), justify="left" if i < 2 else "right", no_wrap=True)
    for cells in zip(*(texts for _, texts in shown), strict=True):
        table.add_row(*(Text(short(cell, widths[1]) if i == 1 else cell) for i, cell in enumerate(cells)))
    return table


def short(text: str, width: int) -> str:
    """Text cut to a width in columns of a terminal, with a sign that it was."""
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"


def _score(group: Group, row: Row, digits: int) -> str:
    if row.score.n:
        return score(row.score, group.scale, digits, constant="" if row.trained else "deterministic")
    return "none yet" if not row.seeds else "all failed" if row.failed == len(row.seeds) else "not measured"


def _count(row: Row, value: float) -> str:
    return quantity(value) if not math.isnan(value) else "not measured" if row.score.n else "none yet"


def shown_target(group: Group) -> int | None:
    """The target that is shown: the first that every seed of the baseline reaches, else the first."""
    base = next((row for row in group.rows if row.cell == group.baseline), None)
    reached = [i for i, t in enumerate(base.targets) if t.reached == t.n] if base else []
    return reached[0] if reached else 0 if group.targets else None


def _time_column(group: Group, rows: Sequence[Row]) -> tuple[str, list[str]]:
    """Time to the target, as a factor of the baseline's if there is one; without a target, of training."""
    index = shown_target(group)
    timed = [row for row in group.rows if row.times]
    if index is None:
        divisor, unit = time_unit(row.times.best.median for row in timed if row.times)
        texts = [significant(row.times.best.median / divisor) if row.times else _no_time(row) for row in rows]
        return f"training ({unit})", texts
    found = [row.targets[index] if len(row.targets) > index else None for row in rows]
    divisor, unit = time_unit(t.total for t in found if t)
    compared = any(t and t.ratio for t in found)
    head = f"time to {_target(group, index)}"
    texts = []
    for row, target in zip(rows, found, strict=True):
        if target is None:
            texts.append(_no_time(row))
        elif compared and row.cell != group.baseline:
            texts.append(_factor(row, target))
        else:
            seconds = f"{significant(target.total / divisor)} {unit}"
            seconds = seconds if math.isfinite(target.total) else f"{target.reached} of {target.n} reached"
            texts.append(f"baseline, {seconds.removesuffix(' reached')}" if compared else seconds)
    return head, texts


def _factor(row: Row, target: TargetTime) -> str:
    if target.ratio is None:
        other = any(
            warning.code in (warnings.SHARED.code, warnings.HARDWARE.code) for warning in row.warnings
        )
        return "not comparable" if other else "no factor"
    found = ratio(target.ratio).split(" (")[0].split("; ")
    return f"{found[0]} x" if "reached" not in found[0] and "baseline" not in found[0] else found[0]


def _no_time(row: Row) -> str:
    return "no training" if not row.trained else "none yet" if not row.seeds else "all failed"


def _target(group: Group, index: int) -> str:
    return fixed(group.targets[index] * group.scale, 2) + (f" {group.unit}" if group.unit else "")


def _of_order(group: Group, ranked: Sequence[Row]) -> str:
    """Which rows the scores separate from the best one."""
    if len(ranked) < 2:
        if not ranked and any(row.score.n for row in group.rows):
            return f"nothing is ranked by {group.metric}"
        return "one row with final seeds: nothing to compare" if ranked else "no final seeds yet"
    top, *others = sorted(ranked, key=lambda row: row.rank or (0, 0))
    pairs = {frozenset((d.a, d.b)): d for d in group.differences}
    found = [(row.label, pairs.get(frozenset((top.cell, row.cell)))) for row in others]
    tested = [(label, d) for label, d in found if d is not None and (d.exact or not math.isnan(d.p_holm))]
    if not tested:
        return "one seed each or none in common: nothing can be separated"
    near = [label for label, d in found if d is None or not d.separated]
    apart = [label for label, d in tested if d.separated]
    parts = [f"separated from {_names(apart) if near else 'all others'}"] if apart else []
    parts += [f"not {'' if apart else 'separated '}from {_names(near)}"] if near else []
    seeds = min(d.n for _, d in tested)
    return f"{short(top.label, LABEL)} is {', '.join(parts)} in {group.metric} ({seeds} seeds)"


def _of_time(group: Group) -> str:
    """How soon the best row beside the baseline reaches the target."""
    index = shown_target(group)
    base = next((row for row in group.rows if row.cell == group.baseline), None)
    if index is None or base is None:
        return ""
    for row in group.rows:
        found = row.targets[index].ratio if len(row.targets) > index else None
        if row is not base and found is not None:
            return _of_ratio(row.label, base.label, _target(group, index), found)
    return ""


def _of_ratio(label: str, base: str, target: str, found: Ratio) -> str:
    label, base = short(label, LABEL), short(base, LABEL)
    if found.reached == 0:
        return f"{label} never reaches {target} (0 of {found.n} seeds)"
    if found.reached < found.n or found.base_reached < found.base_n:
        counts = f"{found.reached} of {found.n} seeds, {base} in {found.base_reached} of {found.base_n}"
        bound = ratio(found).split("; ")[0]
        words = {">": "more than", "<": "less than"}.get(bound[0], "")
        known = f"in {words} {bound[2:]} x its time" if words else "no factor is known"
        return f"{label} reaches {target} in {counts}: {known}"
    head = f"{label} reaches {target} in {factor(found.value)} x the time of {base}"
    if math.isnan(found.low):
        return f"{head} (one seed): not separated"
    n, apart = min(found.n, found.base_n), not found.low <= 1 <= found.high
    verdict = "not separated" if not apart else "separated" if n >= ENOUGH else "too few seeds for 95 %"
    return f"{head} ({n} seeds; {factor(found.low)} to {factor(found.high)}): {verdict}"


def _remarks(group: Group) -> list[str]:
    """What the numbers of single rows rest on, and what does not stand here."""
    counts = {(len(row.seeds), row.planned) for row in group.rows}
    alike = len(group.rows) > 1 and len(counts) == 1
    said = ["{} of {} seeds so far".format(*c) for c in counts if alike and 0 < c[0] < c[1]]
    for row in group.rows[:SHOWN]:
        name = short(one_line(row.label), LABEL)
        if row.failed:
            said.append(f"{name}: {row.failed} of {len(row.seeds)} seeds failed")
        if row.seeds and len(row.seeds) < row.planned and not alike:
            said.append(f"{name}: {len(row.seeds)} of {row.planned} seeds so far")
    more = len(group.rows) - SHOWN
    said += [f"{more} more rows: --full"] if more > 0 else []
    return [f"({'; '.join(said)})"] if said else []


def _names(labels: Sequence[str]) -> str:
    named = [short(label, LABEL) for label in labels[:NAMED]]
    rest = len(labels) - len(named)
    return f"{', '.join(named)} and {rest} more" if rest else " and ".join(named)
