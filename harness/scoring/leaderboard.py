"""The leaderboard: from the three tables to frozen values. Pure, versioned, pinned by golden tests.

Rules (docs/protocol.md, Boards): final seeds of one configuration only; failed seeds at chance level and
counted; rank ranges from paired differences with Holm's correction; only exclusive rows of one hardware class
compare times; without final seeds the board is provisional and says so.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from harness.scoring import stats, times, warnings
from harness.scoring.across import over_data_sets
from harness.scoring.cell_rows import FORECAST_METRICS, pareto
from harness.scoring.provenance import readings_of, versions_of
from harness.scoring.published import beside
from harness.scoring.reading import StudyRows, read_study
from harness.scoring.scoring import Table, baseline_of, row_of
from harness.scoring.tables import CellInfo
from harness.scoring.values import SCORING_VERSION, Board, Group, PublishedRow, Row
from harness.studyfile.values import TRIVIAL

Scores = dict[str, dict[int, float]]
PUBLISHED_TIMES = ("time_ratio", "speedup_time", "hours_to_theta")
PROVISIONAL_NOTE = "Provisional: validation, one seed: not a result. Finish the final phase to get one."


def leaderboard(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    studies: pd.DataFrame,
    *,
    study: str,
    dataset: str | None = None,
    target: float | None = None,
    published: pd.DataFrame | None = None,
) -> Board:
    """The board of a study (of one ``dataset`` of it), a group for each data set.

    ``target`` overrides the protocol's. Raises UnknownNameError for an unknown study or data set and
    HarnessError for a forecasting board without its trivial baselines.
    """
    return board_of(
        read_study(trials, epochs, studies, study=study, dataset=dataset, target=target), published
    )


def board_of(rows: StudyRows, published: pd.DataFrame | None = None) -> Board:
    """The board of a study that has been read; ``published`` are the papers' numbers to put beside it."""
    view = rows.view
    groups = tuple(_group(table, rows.own, published) for table in rows.tables)
    strangers = sorted(set(rows.own["cell"].unique()) - {cell.name for cell in view.cells})
    note = f"Rows of cells that the last launch no longer has are left out: {', '.join(strangers)}."
    said = (note,) if strangers else ()
    return Board(
        view.study, view.launch, view.launched_at, SCORING_VERSION, groups, said, over_data_sets(groups)
    )


def _group(table: Table, own: pd.DataFrame, published: pd.DataFrame | None) -> Group:
    view, first = table.view, table.cells[0].cell
    rows = _warn_of_budgets(_with_time_ranks(table, [row_of(table, data) for data in table.cells]))
    rows, scores, pairs = _with_ranks(table, rows, _resolution(view.metric, first))
    share, base = is_share(view.metric, rows), baseline_of(view, table.cells)
    return Group(
        dataset=first.place,
        name=first.short,
        revision=first.revision,
        task=first.task,
        metric=view.metric,
        maximize=view.maximize,
        split="validation" if table.provisional else "test",
        provisional=table.provisional,
        chance=next((c.cell.chance for c in table.cells if not math.isnan(c.cell.chance)), math.nan),
        scale=100.0 if share else 1.0,
        clock=table.hardware.clock,
        device_name=table.hardware.device_name,
        targets=table.targets,
        target_from=table.target_from,
        baseline=base.cell.name if base else None,
        rows=tuple(rows),
        differences=pairs,
        smallest_gap=_smallest_gap(table, scores),
        test_gap=_test_gap(rows, first.test_count) if share and scores else math.nan,
        objectives=tuple(f"{m} {'max' if up else 'min'}" for m, up in view.objectives),
        front=pareto(view, [data.cell for data in table.cells], own),
        published=_published(table, published),
        test_reads=readings_of([data.cell for data in table.cells], own),
        versions=versions_of(table.cells),
        notes=_notes(table),
    )


def _with_ranks(
    table: Table, rows: list[Row], step: float
) -> tuple[list[Row], Scores, tuple[stats.Difference, ...]]:
    """The rows with rank ranges, best first, the seeds' scores that are ranked, and their differences."""
    scores = {row.cell: {s.seed: s.value for s in row.seeds} for row in rows if row.score.n and row.rank}
    pairs = () if table.provisional else stats.differences(scores, resolution=step)
    ranks = stats.rank_ranges(list(scores), pairs, maximize=table.view.maximize)
    ranked = [replace(row, rank=ranks.get(row.cell)) for row in rows]
    return sorted(ranked, key=lambda row: _place(row, table.view.maximize, table.provisional)), scores, pairs


def _smallest_gap(table: Table, scores: Scores) -> float:
    step = _resolution(table.view.metric, table.cells[0].cell)
    return math.nan if table.provisional else stats.smallest_gap(scores, resolution=step)


def _test_gap(rows: list[Row], count: int) -> float:
    """What ``count`` test samples alone leave open around the best ranked row."""
    return stats.binomial_half(next((row.score.mean for row in rows if row.rank), math.nan), count)


def _published(table: Table, published: pd.DataFrame | None) -> tuple[PublishedRow, ...]:
    first = table.cells[0].cell
    further = FORECAST_METRICS if first.task == "forecasting" else PUBLISHED_TIMES
    metrics = dict.fromkeys((table.view.metric, *further))
    return beside(published, dataset=first.published_name, metrics=metrics, horizon=first.horizon)


def _with_time_ranks(table: Table, rows: list[Row]) -> list[Row]:
    """Rank the total time to the best epoch among the rows that may be compared."""
    if table.provisional:
        return rows
    seconds: dict[str, dict[int, float]] = {}
    for row, data in zip(rows, table.cells, strict=True):
        timing = table.timings[data.cell.name]
        if row.times is not None and timing.chosen.comparable:
            best = timing.table
            seconds[row.cell] = dict(zip(best["seed"].tolist(), best["best"].tolist(), strict=True))
    ranks = times.rank_times(seconds)
    return [
        replace(row, times=replace(row.times, rank=ranks.get(row.cell))) if row.times else row for row in rows
    ]


def _warn_of_budgets(rows: list[Row]) -> list[Row]:
    """Flag cells whose search had fewer finished trials than another's; trivial baselines have no search."""
    counts = [row.budget.finished for row in rows if row.pipeline not in TRIVIAL]
    most = max(counts, default=0)
    return [
        replace(row, warnings=(*row.warnings, warnings.BUDGET))
        if row.pipeline not in TRIVIAL and row.budget.finished < most
        else row
        for row in rows
    ]


def _place(row: Row, maximize: bool, provisional: bool) -> tuple[bool, tuple[int, int], float, str]:
    """Ranked rows by rank range, then by mean."""
    unranked = row.score.n == 0 or (row.rank is None and not provisional)
    mean = row.score.mean if not math.isnan(row.score.mean) else (-math.inf if maximize else math.inf)
    return unranked, row.rank or (0, 0), -mean if maximize else mean, row.cell


def _resolution(metric: str, cell: CellInfo) -> float:
    """The smallest step of an accuracy on the test split, 0 for real-valued metrics."""
    return 1.0 / cell.test_count if metric.endswith("accuracy") and cell.test_count else 0.0


def is_share(metric: str, rows: list[Row]) -> bool:
    """Whether the metric is an accuracy stored in 0..1."""
    values = [s.value for row in rows for s in row.seeds if not math.isnan(s.value)]
    return metric.endswith("accuracy") and all(0 <= v <= 1 for v in values)


def _notes(table: Table) -> tuple[str, ...]:
    notes = [PROVISIONAL_NOTE] if table.provisional else []
    said = dict.fromkeys(note for data in table.cells for note in data.cell.notes)
    notes += [f"{note[:1].upper()}{note[1:]}." for note in said]
    waiting = [c.cell.pipeline for c in table.cells if c.cell.pipeline in TRIVIAL and not c.final]
    if waiting and not table.provisional:
        notes.append(f"Trivial baselines without final seeds yet: {', '.join(waiting)}. Not comparable yet.")
    count = len(versions_of(table.cells))
    if count > 1:
        notes.append(f"Rows of {count} versions of the harness stand here: they may differ by that alone.")
    return tuple(notes)
