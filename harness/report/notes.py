"""What a reader needs to know to judge a table, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.report.formatting import significant
from harness.scoring.hardware import CPU_CLOCK
from harness.scoring.stats import LEVEL, median_level
from harness.scoring.values import Board, Group, Readings


def notes(board: Board, group: Group) -> tuple[str, ...]:
    """What a reader needs to judge the tables, without the numbered footnotes."""
    return (
        *group.notes,
        *_of_statistics(group),
        *_of_times(group),
        *_of_targets(group),
        *_of_columns(group),
        *_of_versions(group),
        *board.notes,
        f"Scoring version {board.scoring}; launch {board.launch}, {board.launched_at}.",
    )


def _of_statistics(group: Group) -> Iterator[str]:
    if group.name != group.dataset:
        yield f"{group.name} is the data set {group.dataset}."
    if not group.provisional:
        yield "Mean ± half width of the 95 % t interval over final seeds; test is read in that phase only."
        yield _test_reads(group.test_reads)
        yield "A rank range holds every rank that paired differences (Holm, 5 %) leave open."
    if any(not row.trained and row.constant for row in group.rows):
        yield "Deterministic: every seed gives the same forecast; two of them need no test."
    if not math.isnan(group.smallest_gap):
        few = group.scale == 100 and group.smallest_gap >= 1
        gap = "none, there are too few seeds" if few else _points(group, group.smallest_gap)
        yield f"Smallest gap these seeds can separate (80 % power): {gap}."
    if not math.isnan(group.test_gap):
        yield f"The size of the test set alone leaves ± {_points(group, group.test_gap)} (95 %, binomial)."


def _test_reads(found: Readings) -> str:
    times = "once" if found.times == 1 else f"{found.times} times"
    configs = "1 configuration" if found.configurations == 1 else f"{found.configurations} configurations"
    more = ", ".join(f"{label} {count}" for label, count in found.repeated)
    return f"Test has been read {times} so far in this study, for {configs}{f'; of {more}' if more else ''}."


def _of_times(group: Group) -> Iterator[str]:
    free = [row.label for row in group.rows if not row.trained]
    if free:
        yield f"Not trained (or in closed form): {', '.join(free)}: no time, no rank by it, no ratio."
    timed = [row.times for row in group.rows if row.times]
    if timed:
        clock = "CPU seconds inside the training clock" if group.clock == CPU_CLOCK else "training clock"
        yield f"Times: {clock}, on {group.device_name or 'unnamed hardware'}; evaluation is not in it."
    if any(times.total != times.total_snn for times in timed):
        yield "SNN only: the same times without those of pretraining stages."


def _of_targets(group: Group) -> Iterator[str]:
    if not group.targets:
        return
    yield f"Target: {group.target_from}. Not reached counts as infinite."
    ratios = [t.ratio for row in group.rows for t in row.targets if t.ratio and row.cell != group.baseline]
    counts = [min(r.n, r.base_n) for r in ratios]
    if not counts:
        return
    if max(counts) > 1:
        level = min(median_level(n) for n in counts if n > 1)
        few = "" if level == LEVEL else f"; so few seeds cover at most {math.floor(100 * level)} % of cases"
        yield f"Intervals of ratios: 95 % bootstrap over seeds{few}."
    if any(r.reached < r.n or r.base_reached < r.base_n for r in ratios):
        yield "Seeds that never reach a target leave an end of the interval open: > and < give the other end."


def _of_columns(group: Group) -> Iterator[str]:
    if any(name.startswith("legacy_") for row in group.rows for name, _ in row.metrics):
        yield "Legacy columns take the best epoch on the test set; nothing is ranked by them."
    if any(not math.isnan(row.budget.gain) for row in group.rows):
        yield "Tuning gain: the best search trial less the start point, validation, one seed each: no test."
    if group.published:
        yield (
            "Published: numbers on the data set of that name; windows, normalisation and selection "
            "may differ, see the report."
        )
    for rule in dict.fromkeys(row.cost.energy_rule for row in group.rows if row.cost.energy_rule):
        yield f"Energy is an estimate: {rule}."


def _of_versions(group: Group) -> Iterator[str]:
    if len(group.versions) > 1:
        named = [f"{name} ({', '.join(labels)})" for name, labels in group.versions]
        yield f"Made by {'; '.join(named)}."


def _points(group: Group, gap: float) -> str:
    return f"{significant(gap * group.scale, 2)} {'points' if group.scale == 100 else group.metric}"
