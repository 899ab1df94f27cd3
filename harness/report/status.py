"""Where a study stands, from its rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.trial import FINAL_STATES

SHOWN = 5
STATES = ("RUNNING", "INTERRUPTED", *FINAL_STATES)


@dataclass(frozen=True, slots=True)
class CellStatus:
    """One cell in one phase. ``counts`` are trials by :data:`STATES`; ``best`` is None before any ended."""

    cell: str
    phase: str
    counts: tuple[int, ...]
    best: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """A study: cells, budget in words, launches, when something last happened, why trials failed."""

    study: str
    cells: tuple[CellStatus, ...]
    objective: str
    budget: str
    launches: int
    last: str
    failures: tuple[str, ...] = ()
    models: str = ""


def study_status(
    trials: pd.DataFrame, studies: pd.DataFrame, study: str, kept: tuple[int, int] = (0, 0)
) -> Status:
    """Count the last attempt of every trial; ``kept`` is how many models there are, and their bytes."""
    mine = trials[trials["study"] == study]
    launches = studies[studies["study"] == study].sort_values("launch")
    protocol = dict(launches["protocol"].iloc[-1]) if len(launches) else {}
    objectives = [str(one) for one in protocol.get("objectives") or ["value max"]]
    declared = list(launches["cells"].iloc[-1]) if len(launches) else []
    by_cell = {str(cell["cell"]): str((cell.get("objectives") or objectives)[0]) for cell in declared}
    last = mine.sort_values("attempt").drop_duplicates(["cell", "trial_id"], keep="last")
    cells = []
    for (cell, phase), rows in last.groupby(["cell", "phase"], sort=False):
        counts = tuple(int((rows["state"] == state).sum()) for state in STATES)
        values = rows.loc[rows["state"] == "COMPLETE", "value"].dropna()
        best = None
        if len(values):
            maximize = by_cell.get(str(cell), objectives[0]).endswith("max")
            best = float(values.max() if maximize else values.min())
        cells.append(CellStatus(str(cell), str(phase), counts, best))
    order = {"search": 0, "confirm": 1, "final": 2}
    cells.sort(key=lambda c: (c.cell, order.get(c.phase, 3)))
    when = pd.concat([mine["finished_at"], mine["started_at"]]).max()
    text = "never" if pd.isna(when) else pd.Timestamp(when).strftime("%Y-%m-%d %H:%M:%S UTC")
    why = _failures(last[last["state"] == "FAILED"])
    budget, models = _budget(protocol), f"{kept[0]} models kept, {kept[1] / 2**20:.1f} MiB" if kept[0] else ""
    return Status(study, tuple(cells), ", ".join(objectives), budget, len(launches), text, why, models)


def _failures(rows: pd.DataFrame) -> tuple[str, ...]:
    """The most frequent reasons in words, with how many trials each ended."""
    lines = rows["cell"] + ": " + rows["reason"] + ": " + rows["detail"]
    named = [f"{count} x {line}" for line, count in lines.value_counts().items()]
    more = [f"and {len(named) - SHOWN} further reasons"] if len(named) > SHOWN else []
    return (*named[:SHOWN], *more)


def _budget(protocol: dict[str, dict[str, int]]) -> str:
    if not protocol:
        return ""
    search, confirm, final = (protocol.get(name, {}) for name in ("search", "confirm", "final"))
    return (
        f"a cell: {search.get('trials', 0)} search, {confirm.get('top', 0)} x {confirm.get('seeds', 0)} "
        f"confirm, {final.get('seeds', 0)} final"
    )


def render_status(states: Sequence[Status]) -> Group:
    """A heading and a table for each study, for the terminal."""
    parts: list[RenderableType] = []
    for state in states:
        launches = "1 launch" if state.launches == 1 else f"{state.launches} launches"
        parts.append(Text(f"{state.study}  {state.objective}; {launches}; last change {state.last}", "bold"))
        parts.append(Text(state.budget, "dim"))
        parts.append(_table(state))
        parts += [Text(state.models, "dim")] if state.models else []
        parts += [Text(f"failed {line}", "red") for line in state.failures]
    return Group(*parts)


def _table(state: Status) -> Table:
    table = Table(box=None, pad_edge=False)
    shown = [i for i, name in enumerate(STATES) if any(cell.counts[i] for cell in state.cells)]
    table.add_column("cell", no_wrap=True)
    table.add_column("phase")
    for i in shown:
        table.add_column(STATES[i].lower(), justify="right")
    table.add_column("best", justify="right")
    for cell in state.cells:
        counts = [str(cell.counts[i]) if cell.counts[i] else "" for i in shown]
        table.add_row(cell.cell, cell.phase, *counts, "" if cell.best is None else f"{cell.best:.4g}")
    return table
