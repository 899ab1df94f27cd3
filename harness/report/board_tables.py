"""A board as small tables of text, the same for terminal, Markdown, LaTeX and HTML."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.report.formatting import (
    DASH,
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
from harness.scoring.cell_rows import FORECAST_METRICS
from harness.scoring.families import FAMILY
from harness.scoring.hardware import CPU_CLOCK
from harness.scoring.stats import Difference, Summary
from harness.scoring.values import Budget, Group, PublishedRow, Row

TIME_WARNINGS = {
    warnings.SHARED.code,
    warnings.HARDWARE.code,
    warnings.MIXED.code,
    warnings.CPU_PART.code,
    warnings.STARVED.code,
}

PROVENANCE = {"memory": "memory, unverified"}
SHORT = 12


@dataclass(frozen=True, slots=True)
class BoardTable:
    """A table of text. ``align`` has ``l`` or ``r`` for each column; ``marks`` are footnotes of each row,
    printed behind the column ``marked``. ``main`` marks what a narrow renderer must show."""

    title: str
    headers: tuple[str, ...]
    align: str
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[tuple[int, ...], ...] = ()
    marked: int = 0
    main: bool = True


def board_tables(group: Group, *, compact: bool = False) -> tuple[BoardTable, ...]:
    """All tables of a group that have anything to show; ``compact`` keeps long ones short."""
    made = [scores(group), training(group), targets(group), costs(group)]
    made += [pairs(group, compact), front(group), published(group, SHORT if compact else None)]
    return tuple(board_table for board_table in made if board_table.rows)


def title(group: Group) -> str:
    """``digits (revision 1): test accuracy, higher is better``."""
    revision = f" (revision {group.revision})" if group.revision else ""
    direction = "higher" if group.maximize else "lower"
    return f"{group.name}{revision}: {group.split} {group.metric}, {direction} is better"


def scores(group: Group) -> BoardTable:
    """Rank, mean with interval, worst seed, number of seeds, further metrics."""
    digits = score_digits((row.score for row in group.rows), group.scale)
    unit = f" ({group.unit})" if group.unit else ""
    names = list(dict.fromkeys(name for row in group.rows for name, _ in row.metrics if _shown(name)))
    columns = {name: [dict(row.metrics).get(name) for row in group.rows] for name in names}
    further = [_metric_column(group, name, found) for name, found in columns.items()]
    rows = []
    for i, row in enumerate(group.rows):
        n = str(row.score.n) + (f" ({row.failed} failed)" if row.failed else "")
        n += f" of {row.planned}" if row.score.n and len(row.seeds) < row.planned else ""
        own = (
            rank(row.rank),
            row.label,
            score(row.score, group.scale, digits, constant="" if row.trained else "deterministic"),
            fixed(row.worst * group.scale, digits),
            n,
        )
        rows.append((*own, *(column[i] for _, column in further)))
    what = "best trial" if group.provisional else "mean"
    headers = ("rank", "cell", f"{what} {group.metric}{unit}", "worst seed", "seeds")
    return BoardTable(
        title(group),
        (*headers, *(header for header, _ in further)),
        "llrrr" + "r" * len(further),
        tuple(rows),
        tuple(_marks(group, row) for row in group.rows),
        1,
    )


def training(group: Group) -> BoardTable:
    """Median training time to the best epoch and of the whole run, with and without pretraining, by rank."""
    timed = [(row, row.times) for row in group.rows if row.times is not None]
    timed.sort(key=lambda pair: pair[1].rank or (len(timed) + 1, 0))
    raced = sum(times.rank is not None for _, times in timed) > 1  # one alone has no rank
    divisor, unit = time_unit(times.total.median for _, times in timed)
    both = any(times.total != times.total_snn for _, times in timed)
    rows = []
    for row, times in timed:
        pairs = ((times.best, times.best_snn), (times.total, times.total_snn))
        spreads = [significant(one.median / divisor) for pair in pairs for one in pair[: 1 + both]]
        rows.append((rank(times.rank if raced else None), row.label, *spreads, times.device_name or DASH))
    without = ("SNN only",) if both else ()
    headers = ("rank", "cell", "to best epoch", *without, "whole run", *without, "hardware")
    return BoardTable(
        f"Training time ({_clock(group, unit)}, median over seeds)",
        headers,
        "ll" + "r" * (len(headers) - 3) + "l",
        tuple(rows),
        tuple(_marks(group, row, TIME_WARNINGS) for row, _ in timed),
        1,
    )


def targets(group: Group) -> BoardTable:
    """Median time to each target with the seeds that reached it and the ratio to the baseline."""
    found = [
        (t, row) for i in range(len(group.targets)) for row in group.rows for t in row.targets[i : i + 1]
    ]
    divisor, unit = time_unit(value for t, _ in found for value in (t.total, t.snn))
    both = any(t.total != t.snn or t.ratio != t.ratio_snn for t, _ in found)
    compared = any(t.ratio is not None for t, _ in found)
    rows = []
    for t, row in found:
        times = [significant(value / divisor) for value in (t.total, t.snn)[: 1 + both]]
        times.append(f"{t.reached}/{t.n}")
        if compared:
            own = row.cell == group.baseline
            times += ["baseline" if own else ratio(r) for r in (t.ratio, t.ratio_snn)[: 1 + both]]
        rows.append((fixed(t.target * group.scale, 2) + group.unit, row.label, *times))
    headers = ["target", "cell", "time", *(["SNN only"] if both else []), "reached"]
    if compared:
        headers += ["ratio to baseline (interval)", *(["SNN only"] if both else [])]
    return BoardTable(
        f"Time to target on validation ({_clock(group, unit)}, median over seeds)",
        tuple(headers),
        "ll" + "r" * (len(headers) - 2),
        tuple(rows),
        tuple(_marks(group, row, TIME_WARNINGS) for _, row in found),
        1,
    )


def costs(group: Group) -> BoardTable:
    """Parameters, timesteps, activity and energy a sample, memory, search budget and what it gained."""
    gains = any(not math.isnan(row.budget.gain) for row in group.rows)
    rows = tuple(
        (
            row.label,
            quantity(row.cost.parameters),
            quantity(row.cost.timesteps),
            significant(row.cost.firing_rate),
            quantity(row.cost.spikes),
            quantity(row.cost.synops),
            significant(row.cost.energy_nj),
            quantity(row.cost.peak_mib),
            _trials(row.budget),
            *((_gain(group, row.budget.gain),) if gains else ()),
        )
        for row in group.rows
    )
    headers = ("cell", "parameters", "timesteps", "firing rate", "spikes/sample", "synops/sample")
    more = ("energy (nJ/sample)", "peak memory (MiB)", "search trials")
    last = (f"tuning gain{' (points)' if group.scale == 100 else ''}",) if gains else ()
    return BoardTable("Cost", (*headers, *more, *last), "lrrrrrrrr" + "r" * gains, rows, main=False)


def pairs(group: Group, compact: bool = False) -> BoardTable:
    """Paired differences, first against the baseline (the best row without one); only those if many."""
    labels = {row.cell: row.label for row in group.rows}
    pivot = group.baseline or next((row.cell for row in group.rows if row.rank), None)
    ordered = sorted(group.differences, key=lambda d: pivot not in (d.a, d.b))
    if compact and len(ordered) > SHORT:
        ordered = [d for d in ordered if pivot in (d.a, d.b)]
    unit = " (points)" if group.scale == 100 else ""
    rows = []
    for d in ordered:
        sign = -1.0 if d.a == pivot else 1.0
        first, second = (d.b, d.a) if d.a == pivot else (d.a, d.b)
        gap = Summary(d.n, sign * d.mean, math.nan, d.half)
        name = f"{labels[first]} minus {labels[second]}"
        constant = f"in all {d.n}" if d.paired else "no spread"
        rows.append((name, score(gap, group.scale, constant=constant), str(d.n), *_verdict(d)))
    headers = ("difference", f"mean{unit}", "seeds", "test", "p (Holm)", "at 5 %")
    return BoardTable("Paired differences (95 % interval)", headers, "lrrlrl", tuple(rows), main=False)


def _verdict(d: Difference) -> tuple[str, str, str]:
    """The test, its p, and what both allow to say."""
    if d.exact:
        return "none needed", DASH, "differ" if d.separated else "equal"
    if math.isnan(d.p_holm):
        return "none", DASH, "too few seeds"
    p = "< 0.001" if d.p_holm < 0.001 else fixed(d.p_holm, 3)
    return "paired" if d.paired else "Welch", p, "separated" if d.separated else "not separated"


def front(group: Group) -> BoardTable:
    """The Pareto front of a study with several objectives."""
    rows = tuple((p.label, *(significant(v, 4) for v in p.values), p.trial_id) for p in group.front)
    headers = ("cell", *group.objectives, "trial")
    return BoardTable(
        "Pareto front of the search (validation)", headers, "l" + "r" * len(group.objectives) + "l", rows
    )


def published(group: Group, limit: int | None) -> BoardTable:
    """Papers' numbers for the same data set, never ranked with ours; all of them come with their notes."""
    shown = group.published[:limit]
    notes = limit is None
    rows = tuple(
        (
            *(r.method, r.horizon or DASH, r.metric, _published_value(r), r.n_seeds or DASH, _selection(r)),
            *(PROVENANCE.get(r.provenance, r.provenance.replace("_", " ")), _source(r)),
            *((r.note or DASH,) if notes else ()),
        )
        for r in shown
    )
    rest = len(group.published) - len(shown)
    more = f"; {rest} more in the report" if rest else ""
    headers = ("method", "horizon", "metric", "value", "seeds", "epoch selected on", "provenance", "source")
    return BoardTable(
        f"Published numbers on {group.name}, not ranked with ours{more}",
        (*headers, *(("note",) if notes else ())),
        "lrlrrlll" + "l" * notes,
        rows,
        main=False,
    )


def _marks(group: Group, row: Row, only: set[str] | None = None) -> tuple[int, ...]:
    numbers = group.footnotes()
    return tuple(sorted(numbers[f.text] for f in row.warnings if only is None or f.code in only))


def _clock(group: Group, unit: str) -> str:
    return f"CPU {unit}" if group.clock == CPU_CLOCK else unit


def _gain(group: Group, gain: float) -> str:
    return DASH if math.isnan(gain) else f"{'+' if gain > 0 else ''}{significant(gain * group.scale)}"


def _trials(budget: Budget) -> str:
    parts = [f"{n} {what}" for n, what in ((budget.pruned, "pruned"), (budget.failed, "failed")) if n]
    return f"{budget.finished} ({', '.join(parts)})" if parts else str(budget.finished)


def _shown(name: str) -> bool:
    """Which further metrics a table has room for; the CSV has all."""
    accuracy = "accuracy" in name and FAMILY.match(name) is None
    return name in FORECAST_METRICS or accuracy or name.endswith("_mean")


def _metric_column(group: Group, name: str, found: list[Summary | None]) -> tuple[str, list[str]]:
    """Header and texts of a further metric; accuracies in percent like the main one."""
    scale = group.scale if "accuracy" in name else 1.0
    digits = score_digits([s for s in found if s is not None], scale)
    texts = [
        DASH
        if s is None or s.n == 0
        else score(s, scale, digits)
        if s.half > 0
        else fixed(s.mean * scale, digits)
        for s in found
    ]
    spoken = name.replace("legacy_best_test_", "legacy, best test epoch: ").replace("last_", "last epoch: ")
    return (f"{spoken} (%)" if scale == 100 else spoken), texts


def _published_value(row: PublishedRow) -> str:
    unit = " %" if row.unit == "percent" else ""
    if math.isnan(row.spread):
        return f"{row.value:g}{unit}"
    return f"{row.value:g}{unit} ± {row.spread:g} ({row.spread_kind or 'kind not stated'})"


def _source(row: PublishedRow) -> str:
    name = row.paper if row.year in row.paper else f"{row.paper} {row.year}"
    return f"{name}, {row.table}" if row.table else name


def _selection(row: PublishedRow) -> str:
    return (
        "best test epoch (tainted)" if row.selection == "best_test_epoch" else row.selection.replace("_", " ")
    )
