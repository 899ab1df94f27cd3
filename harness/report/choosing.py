"""What a reader asks a board to show: some data sets, some rows, another metric, another order."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from harness.errors import UnknownNameError
from harness.scoring.cell_rows import ERRORS
from harness.scoring.stats import Summary
from harness.scoring.values import Board, Group, Row

OTHERS = "other pipelines"
NOTHING = Summary(0, math.nan, math.nan, math.nan)
SORTS: dict[str, Callable[[Group, Row], float | str]] = {
    "score": lambda group, row: row.score.mean * (-1 if group.maximize else 1),
    "time": lambda _, row: row.times.best.median if row.times else math.nan,
    "synops": lambda _, row: row.cost.synops,
    "energy": lambda _, row: row.cost.energy_nj,
    "parameters": lambda _, row: row.cost.parameters,
    "name": lambda _, row: row.label,
}
"""Orders beside ``rank``, which is the board's own: smaller first, what has no number last."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for; empty means everything, ``rank`` the board's own order."""

    sort: str = "rank"
    datasets: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    metric: str = ""
    only_separated: bool = False


def choose(board: Board, choice: Choice) -> Board:
    """The board with what is chosen. Ranks stay those among all rows; what is left out is said.

    Raises UnknownNameError for a name that the board does not have.
    """
    _known("order", [choice.sort], ("rank", *SORTS))
    groups = _datasets(board, choice.datasets)
    _known("pipeline", choice.pipelines, {n for group in groups for row in group.rows for n in _names(row)})
    if choice.metric:
        metrics = {name for group in groups for name in (group.metric, *_metrics(group))}
        _known("metric", [choice.metric], metrics)
        groups = [_by_metric(group, choice.metric) for group in groups]
    if choice.pipelines:
        wanted = set(choice.pipelines)
        groups = [_only(g, [r for r in g.rows if wanted & set(_names(r))], OTHERS) for g in groups]
    if choice.only_separated:
        groups = [_separated(group) for group in groups]
    if choice.sort != "rank":
        groups = [replace(group, rows=_sorted(group, SORTS[choice.sort])) for group in groups]
    whole = not (choice.datasets or choice.pipelines or choice.metric or choice.only_separated)
    chosen = tuple(group for group in groups if group.rows or not choice.pipelines)
    return replace(board, groups=chosen, across=board.across if whole else None)


def _known(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise UnknownNameError(kind, name, known)


def _datasets(board: Board, wanted: Sequence[str]) -> list[Group]:
    def names(group: Group) -> set[str]:
        return {group.dataset, group.name, group.dataset.partition("[")[0]}

    _known("data set", wanted, {name for group in board.groups for name in names(group)})
    return [group for group in board.groups if not wanted or names(group) & set(wanted)]


def _names(row: Row) -> tuple[str, ...]:
    return row.label, row.pipeline, row.cell


def _metrics(group: Group) -> list[str]:
    return [name for row in group.rows for name, _ in row.metrics]


def _by_metric(group: Group, metric: str) -> Group:
    """The group with another test metric in the place of the score: by its value, without ranks or tests."""
    if metric == group.metric:
        return group
    note = (
        f"{metric} stands here; nothing is ranked or tested by it, the study's objective is {group.metric}."
    )
    rows = [
        replace(
            row,
            score=dict(row.metrics).get(metric, NOTHING),
            rank=None,
            worst=math.nan,
            seeds=tuple(replace(seed, value=math.nan) for seed in row.seeds),
        )
        for row in group.rows
    ]
    share = group.scale == 100.0 and "accuracy" in metric
    maximize = not set(re.split(r"[_/@]", metric)) & set(ERRORS)
    found = replace(group, metric=metric, maximize=maximize, scale=100.0 if share else 1.0, differences=())
    found = replace(
        found, rows=tuple(rows), smallest_gap=math.nan, test_gap=math.nan, published=(), targets=()
    )
    found = replace(found, notes=(*group.notes, note))
    return replace(found, rows=_sorted(found, SORTS["score"]))


def _separated(group: Group) -> Group:
    """The rows that the seeds separate from the baseline (the best one without it), and that one."""
    pivot = next((row for row in group.rows if row.cell == group.baseline and row.rank), None)
    pivot = pivot or next((row for row in group.rows if row.rank), None)
    if pivot is None:
        return _only(group, [], "rows without a rank")
    apart = {
        cell for d in group.differences if d.separated and pivot.cell in (d.a, d.b) for cell in (d.a, d.b)
    }
    found = _only(
        group, [r for r in group.rows if r.cell in apart or r is pivot], f"not separated from {pivot.label}"
    )
    return replace(found, differences=tuple(d for d in found.differences if d.separated))


def _only(group: Group, rows: Sequence[Row], what: str) -> Group:
    left = len(group.rows) - len(rows)
    cells = {row.cell for row in rows}
    rows_text = "1 row" if left == 1 else f"{left} rows"
    note = f"{group.name}: {rows_text} left out ({what}); ranks are among all {len(group.rows)}."
    return replace(
        group,
        rows=tuple(rows),
        differences=tuple(d for d in group.differences if d.a in cells and d.b in cells),
        front=tuple(point for point in group.front if point.cell in cells),
        notes=(*group.notes, note) if left else group.notes,
    )


def _sorted(group: Group, key: Callable[[Group, Row], float | str]) -> tuple[Row, ...]:
    def place(row: Row) -> tuple[bool, float | str]:
        value = key(group, row)
        missing = isinstance(value, float) and math.isnan(value)
        return missing, 0.0 if missing else value

    return tuple(sorted(group.rows, key=place))
