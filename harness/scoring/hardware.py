"""Which times may be compared: exclusive devices of one hardware class, on one clock."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from harness.scoring import warnings
from harness.scoring.tables import StudyView
from harness.scoring.values import RowWarning

CPU_CLOCK, WALL_CLOCK = "train_cpu_s", "train_s"


@dataclass(frozen=True, slots=True)
class Hardware:
    """The hardware class whose times a table compares, and the clock that it is read on."""

    device_name: str
    clock: str


def hardware_of(view: StudyView, rows: pd.DataFrame) -> Hardware:
    """The class that most cells, then most rows, ran on exclusively (else at all), and its clock."""
    if len(rows) == 0:
        return Hardware("", WALL_CLOCK)
    alone = rows[rows["exclusive"].eq(True)]
    rows = alone if len(alone) else rows
    names = rows["device_name"].fillna("")
    counts = rows.groupby(names)["cell"].agg(["nunique", "size"]).sort_index()
    name = str(counts.sort_values(["nunique", "size"], ascending=False, kind="stable").index[0])
    return Hardware(name, clock_of(view, rows[names == name]))


def clock_of(view: StudyView, rows: pd.DataFrame) -> str:
    """``train_cpu_s`` for CPU rows, unless the study asked for whole nodes or CPU time was not recorded."""
    if view.protocol.get("exclusive") == "node" or len(rows) == 0:
        return WALL_CLOCK
    recorded = bool((pd.to_numeric(rows[CPU_CLOCK], errors="coerce") > 0).any())
    return CPU_CLOCK if bool((rows["device"] == "cpu").all()) and recorded else WALL_CLOCK


@dataclass(frozen=True)
class Chosen:
    """The rows of a cell whose times count, all COMPLETE, on one clock, and what to say about the others."""

    rows: pd.DataFrame
    clock: str
    device_name: str
    warnings: tuple[RowWarning, ...] = ()

    @property
    def comparable(self) -> bool:
        """Whether these times may be compared with the rest of the table."""
        return len(self.rows) > 0 and not {warnings.SHARED, warnings.HARDWARE} & set(self.warnings)


def choose(view: StudyView, scored: pd.DataFrame, hardware: Hardware) -> Chosen:
    """Choose the rows whose times count: exclusive ones of the table's hardware class, if there are any."""
    good = scored[scored["state"] == "COMPLETE"]
    if len(good) == 0:
        return Chosen(good, hardware.clock, hardware.device_name)
    alone = good[good["exclusive"].eq(True)]
    rows = alone if len(alone) else good
    names = rows["device_name"].fillna("")
    same = bool((names == hardware.device_name).any())
    name = hardware.device_name if same else str(names.mode().iloc[0])
    rows = rows[names == name]
    clock = hardware.clock if same else clock_of(view, rows)
    found = [] if len(alone) else [warnings.SHARED]
    found += [] if same else [warnings.HARDWARE]
    found += [warnings.MIXED] if len(rows) < len(good) else []
    return Chosen(rows, clock, name, tuple(found))
