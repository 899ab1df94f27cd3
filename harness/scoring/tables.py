"""From the three tables to what one study's report needs: last launch, last attempts, clean curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import HarnessError, UnknownNameError
from harness.scoring.names import options_of, short_names
from harness.trial import COSTS, FINAL_STATES

KEY = ["cell", "trial_id"]
SAME_DATA = {"horizon", "window", "normalize", "valid"}
"""Options that leave the test data as the papers have it."""


@dataclass(frozen=True, slots=True)
class CellInfo:
    """A cell as its study declares it. ``chance`` is NaN where none is known; ``chances`` are by metric.

    ``place`` is the data set's printed name with its options, ``ett-h1[horizon=24]``: the part of the cell's
    name before its slash. ``short`` is that name as headings and files have it, unique in the study.
    ``dataset`` is the name on the card, ``notes`` what the card has a board say of the data.
    """

    name: str
    label: str
    place: str
    dataset: str
    revision: str
    pipeline: str
    task: str
    chance: float
    objectives: tuple[tuple[str, bool], ...]
    test_count: int = 0
    chances: Mapping[str, float] = field(default_factory=dict)
    horizon: int | None = None
    short: str = ""
    notes: tuple[str, ...] = ()

    @property
    def group(self) -> tuple[str, str, int | None]:
        """Cells are compared within one data set with its options, revision and horizon only."""
        return self.place, self.revision, self.horizon

    @property
    def published_name(self) -> str:
        """The name to look up published numbers by; "" where options make it other data than the papers'."""
        options = options_of(self.place)
        same = self.place.split("[")[0] == self.dataset and options is not None and set(options) <= SAME_DATA
        return self.dataset if same else ""


@dataclass(frozen=True, slots=True)
class StudyView:
    """The last launch of a study. ``parts`` are what its fingerprint hashes, by name."""

    study: str
    launch: int
    launched_at: str
    cells: tuple[CellInfo, ...]
    objectives: tuple[tuple[str, bool], ...]
    protocol: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    host: str = ""
    git: str = ""
    packages: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)

    def starts(self, cell: str) -> bool:
        """Whether the first trial of a cell's search was a start point."""
        return any(name.startswith(f"cells.{cell}.start/0/") for name in self.parts)

    def of(self, cells: Sequence[CellInfo]) -> StudyView:
        """The view for cells that are compared: with their objectives, which are one task's."""
        return replace(self, objectives=cells[0].objectives)

    @property
    def metric(self) -> str:
        """The first objective's metric."""
        return self.objectives[0][0]

    @property
    def maximize(self) -> bool:
        """Whether more of it is better."""
        return self.objectives[0][1]

    def budget(self, phase: str, key: str) -> int:
        """A number of the protocol's budgets, 0 where it is not stated."""
        plan = self.protocol.get(phase)
        value = plan.get(key, 0) if isinstance(plan, Mapping) else 0
        return int(value or 0)

    def groups(self, dataset: str | None = None) -> dict[tuple[str, str, int | None], tuple[CellInfo, ...]]:
        """The cells by group, in the order of the study. Raises UnknownNameError for another data set."""
        names = {name for cell in self.cells for name in (cell.place, cell.dataset, cell.short)}
        if dataset is not None and dataset not in names:
            raise UnknownNameError("data set", dataset, names)
        found: dict[tuple[str, str, int | None], list[CellInfo]] = {}
        for cell in self.cells:
            if dataset in (None, cell.place, cell.dataset, cell.short):
                found.setdefault(cell.group, []).append(cell)
        return {key: tuple(cells) for key, cells in found.items()}


def study_view(studies: pd.DataFrame, study: str) -> StudyView:
    """The last launch of ``study``. Raises UnknownNameError, or HarnessError where it cannot be read."""
    if len(studies) == 0:
        raise HarnessError(
            f"study '{study}': no study has been launched here yet; run `harness launch` first"
        )
    rows = studies[studies["study"] == study]
    if len(rows) == 0:
        raise UnknownNameError("study", study, studies["study"].dropna().unique().tolist())
    row = rows.sort_values("launch", kind="stable").iloc[-1]
    protocol, cells = parse(row["protocol"], {}), parse(row["cells"], [])
    objectives = tuple(_objective(str(text)) for text in protocol.get("objectives", ["accuracy max"]))
    if not cells or not objectives:
        raise HarnessError(
            f"study '{study}': its row names no cells or no objective; was it written by hand?"
        )
    return StudyView(
        study=study,
        launch=int(row["launch"]),
        launched_at=when(row["launched_at"]),
        cells=_named([_cell(cell, objectives) for cell in cells]),
        objectives=objectives,
        protocol=protocol,
        text=text_of(row["text"]),
        host=text_of(row["host"]),
        git=text_of(row["git"]),
        packages=parse(row["packages"], {}),
        parts=parse(row["parts"], {}),
    )


def _named(cells: Sequence[CellInfo]) -> tuple[CellInfo, ...]:
    names = short_names(list(dict.fromkeys(cell.group for cell in cells)))
    return tuple(replace(cell, short=names[cell.group]) for cell in cells)


def last_attempts(trials: pd.DataFrame, study: str) -> pd.DataFrame:
    """One row a trial of ``study``: its last attempt, which says where the trial stands."""
    own = trials[trials["study"] == study]
    if len(own) == 0:
        return own.assign(final=np.zeros(0, dtype=bool))
    own = own.assign(final=own["state"].isin(FINAL_STATES))
    own = own.sort_values(["attempt", "final", "finished_at"], kind="stable", na_position="first")
    return own.drop_duplicates(KEY, keep="last").reset_index(drop=True)


def scored_trials(trials: pd.DataFrame) -> list[str]:
    """The trials whose epochs a board may show: of a cell without finished final seeds, all."""
    final = trials[(trials["phase"] == "final") & trials["state"].isin(FINAL_STATES)]
    others = trials[~trials["cell"].isin(set(final["cell"]))]
    return [*final["trial_id"], *others["trial_id"]]


def curves_of(epochs: pd.DataFrame, study: str, keys: pd.DataFrame) -> pd.DataFrame:
    """The epoch rows of the trials in ``keys`` (columns cell, trial_id), one row a measured number.

    An attempt that started again from a checkpoint replaces what the one before it measured after
    that checkpoint.
    """
    wanted = pd.unique(keys["trial_id"])
    own = epochs[epochs["trial_id"].isin(wanted) & (epochs["study"] == study)]
    own = own.merge(keys[KEY].drop_duplicates(), on=KEY)
    if len(own) == 0:
        return own
    starts = own.groupby([*KEY, "attempt"], sort=True)["epoch"].min().rename("start").reset_index()
    if len(starts) > len(starts[KEY].drop_duplicates()):
        later = starts.iloc[::-1].groupby(KEY, sort=False)["start"].transform(_min_before)
        starts["until"] = later.reindex(starts.index)
        own = own.merge(starts[[*KEY, "attempt", "until"]], on=[*KEY, "attempt"])
        own = own[own["epoch"] < own["until"]].drop(columns="until")
    own = own.drop_duplicates([*KEY, "attempt", "epoch", "stage", "split", "metric"], keep="last")
    return own.sort_values([*KEY, "epoch"], kind="stable").reset_index(drop=True)


def _min_before(starts: pd.Series) -> pd.Series:
    """For attempts from last to first: the smallest first epoch of all later attempts."""
    return starts.cummin().shift(1).fillna(math.inf)


def parse(value: object, default: Any) -> Any:
    """A map or list of a column; ``default`` where there is none."""
    return value if isinstance(value, type(default)) else default


def number(value: object) -> float:
    """A float, NaN for anything that is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return math.nan
    return float(value)


def text_of(value: object) -> str:
    """A text column's value, "" for null."""
    return value if isinstance(value, str) else ""


def when(value: object) -> str:
    """A timestamp as ``2026-05-01 12:00 UTC``, "" for null."""
    return value.strftime("%Y-%m-%d %H:%M UTC") if isinstance(value, pd.Timestamp) else ""


def _objective(text: str) -> tuple[str, bool]:
    metric, _, direction = text.partition(" ")
    return metric, direction.strip() != "min"


def _cell(cell: Mapping[str, Any], all_objectives: tuple[tuple[str, bool], ...]) -> CellInfo:
    objectives = tuple(_objective(str(text)) for text in cell.get("objectives", ())) or all_objectives
    counts, name = cell.get("counts") or (), str(cell["cell"])
    place = name.rpartition("/")[0] or str(cell.get("dataset", ""))
    horizon = str(cell.get("horizon") or (options_of(place) or {}).get("horizon"))
    return CellInfo(
        name=name,
        label=str(cell.get("label") or name),
        place=place,
        dataset=str(cell.get("dataset", "")),
        revision=str(cell.get("dataset_revision", "")),
        pipeline=str(cell.get("pipeline", "")),
        task=str(cell.get("task", "classification")),
        chance=_chance(cell, *objectives[0]),
        objectives=objectives,
        chances=_chances(cell),
        test_count=int(counts[-1]) if counts else 0,
        horizon=int(horizon) if horizon.isdecimal() and int(horizon) else None,
        notes=tuple(str(note) for note in parse(cell.get("notes"), [])),
    )


def _chance(cell: Mapping[str, Any], metric: str, maximize: bool) -> float:
    """The chance level of the objective; NaN where what is stated cannot be one.

    An error or loss of 0 is the best value there is, not chance; a classifier's chance loss is ln(classes).
    Costs have no chance level, and a forecaster's is the train mean's score, which the table knows.
    """
    stated, classes = number(cell.get("chance")), number(cell.get("classes"))
    if metric == "loss" and classes > 1:
        return math.log(classes)
    if metric in COSTS or (stated <= 0 and (not maximize or cell.get("task") == "forecasting")):
        return math.nan
    return stated


def _chances(cell: Mapping[str, Any]) -> dict[str, float]:
    """What a classifier that knows nothing scores in the metrics that every classifier has."""
    classes = number(cell.get("classes"))
    if str(cell.get("task", "classification")) != "classification" or not classes > 1:
        return {}
    return {"accuracy": 1.0 / classes, "loss": math.log(classes)}
