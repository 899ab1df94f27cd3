"""One row of a table: the scores, times, costs and warnings of a cell beside the cells it stands with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from harness.errors import UnknownNameError
from harness.scoring import stats, times, warnings
from harness.scoring.cell_rows import CellRows, cost_of, measured, other_metrics, seed_scores
from harness.scoring.hardware import Hardware, choose
from harness.scoring.tables import StudyView, parse
from harness.scoring.times import Timing
from harness.scoring.values import Row, RowWarning, TargetTime


@dataclass(frozen=True)
class Table:
    """One data set's cells with what their rows share.

    ``floors`` is what a failed forecasting seed scores in each metric: the train mean's value.
    """

    view: StudyView
    cells: tuple[CellRows, ...]
    provisional: bool
    hardware: Hardware
    targets: tuple[float, ...]
    target_from: str
    floors: dict[str, float]

    @property
    def column(self) -> str:
        """The column that is scored."""
        return "value" if self.provisional else "test_value"

    @property
    def planned(self) -> int:
        """Seeds a row should have."""
        return 1 if self.provisional else self.view.budget("final", "seeds")

    @cached_property
    def timings(self) -> dict[str, Timing]:
        """The times of each cell."""
        found = {}
        for data in self.cells:
            chosen = choose(self.view, data.scored, self.hardware)
            found[data.cell.name] = times.timing_of(chosen, data.curves, self.view.metric)
        return found


def row_of(table: Table, data: CellRows) -> Row:
    """The row of one cell; ranks are filled in once all rows are known."""
    cell, scored, maximize = data.cell, data.scored, table.view.maximize
    floor, failing = floor_of(table, data)
    counted = data.final or table.provisional
    seeds = seed_scores(scored, table.column, floor, maximize=maximize) if counted else ()
    score = stats.summarize([s.value for s in seeds])
    values = [s.value for s in seeds if not math.isnan(s.value)]
    timing = table.timings[cell.name]
    return Row(
        cell=cell.name,
        label=cell.label,
        pipeline=cell.pipeline,
        rank=(1, len(table.cells)) if score.n and data.final else None,
        score=score,
        worst=(min if maximize else max)(values, default=math.nan),
        seeds=seeds,
        failed=sum(s.failed for s in seeds),
        unfinished=data.unfinished,
        planned=table.planned,
        metrics=other_metrics(data, table.view, table.floors) if data.final else (),
        times=times.cell_times(timing) if counted and data.trained else None,
        targets=tuple(target_of(table, data, target) for target in table.targets if seeds and data.trained),
        cost=cost_of(scored, data.curves),
        budget=data.budget,
        config=str(scored["config"].iloc[0]) if len(scored) else "",
        params=tuple(sorted(parse(scored["params"].iloc[0], {}).items())) if len(scored) else (),
        warnings=(
            *failing,
            *(time_warnings(timing) if data.trained else ()),
            *state_warnings(table, data, score.n),
        ),
        trained=data.trained,
    )


def floor_of(table: Table, data: CellRows) -> tuple[float, tuple[RowWarning, ...]]:
    """The value of a failed seed: chance, else the train mean's, else the table's worst; and what to say."""
    if len(measured(data.scored, table.column)) == len(data.scored):
        return data.cell.chance, ()
    if not math.isnan(data.cell.chance):
        return data.cell.chance, (warnings.FAILED,)
    if table.view.metric in table.floors:
        return table.floors[table.view.metric], (warnings.FAILED,)
    seen = [v for other in table.cells if other.final for v in measured(other.scored, table.column)]
    if seen:
        return (min if table.view.maximize else max)(seen), (warnings.NO_CHANCE,)
    return math.nan, (warnings.NO_FLOOR,)


def baseline_of(view: StudyView, cells: Sequence[CellRows]) -> CellRows | None:
    """The cell that the study calls its baseline by name, label or pipeline, or what stands for it here.

    On another data set than the baseline's own that is the cell with its label, else the only cell with its
    pipeline. Raises UnknownNameError where no cell of the whole study fits.
    """
    wanted = view.protocol.get("baseline")
    if not wanted:
        return None
    named = next((c for c in view.cells if wanted in (c.name, c.label, c.pipeline)), None)
    if named is None:
        raise UnknownNameError("baseline cell", wanted, [cell.name for cell in view.cells])
    for key, value in (("name", wanted), ("label", wanted), ("label", named.label)):
        found = [data for data in cells if getattr(data.cell, key) == value]
        if found:
            return found[0]
    alike = [data for data in cells if data.cell.pipeline == named.pipeline]
    return alike[0] if len(alike) == 1 else None


def target_of(table: Table, data: CellRows, target: float) -> TargetTime:
    """The time to a target, beside the baseline cell's where both may be compared."""
    base, name = baseline_of(table.view, table.cells), data.cell.name
    own = _seconds(table, data, target)
    comparable = (
        base is not None
        and base.trained
        and all(table.timings[cell].chosen.comparable for cell in (base.cell.name, name))
    )
    against = _seconds(table, base, target) if base is not None and comparable else None
    return times.target_time(own, against, target=target, cell=name)


def _seconds(table: Table, data: CellRows, target: float) -> times.Seconds:
    """Over the seeds whose times count and the failed ones, which never reach it."""
    scored = data.scored
    lost = [int(seed) for seed in scored["seed"][scored["state"] != "COMPLETE"]]
    return times.seconds_to(table.timings[data.cell.name], lost, target, maximize=table.view.maximize)


def time_warnings(timing: Timing) -> tuple[RowWarning, ...]:
    """What to say about a cell's times, where it has any."""
    found = (warnings.CPU_PART,) if bool(timing.table["estimated"].any()) else ()
    train, wait = (pd.to_numeric(timing.chosen.rows[name]).sum() for name in ("train_s", "data_wait_s"))
    return timing.chosen.warnings + found + ((warnings.STARVED,) if wait > 0 and wait >= train / 5 else ())


def state_warnings(table: Table, data: CellRows, n: int) -> list[RowWarning]:
    """What to say about how far a cell has come."""
    found = [] if data.feasible else [warnings.INFEASIBLE]
    found += warnings.no_gradient(parse(text, {}) for text in data.scored["metadata"])
    if table.provisional:
        return [*found, *([warnings.PROVISIONAL] if n else [])]
    if not data.final:
        return [*found, warnings.NOT_FINAL]
    found += [warnings.SUPERSEDED] if data.superseded else []
    found += [warnings.FEWER_SEEDS] if len(data.scored) < table.planned else []
    return [*found, *([warnings.ONE_SEED] if n == 1 else [])]
