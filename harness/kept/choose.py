"""Which kept network a user means by ``STUDY``, ``STUDY/CELL`` and a trial's id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.errors import HarnessError, UnknownNameError
from harness.scoring.cell_rows import winner
from harness.scoring.leaderboard import leaderboard
from harness.scoring.tables import last_attempts, study_view
from harness.store.models import ModelCard, Models
from harness.store.results import ResultStore
from harness.trial import State


@dataclass(frozen=True, slots=True)
class Chosen:
    """Kept networks of one cell's final seeds, and in words why these."""

    cards: tuple[ModelCard, ...]
    why: str


def choose(store: ResultStore, wanted: str, *, trial: str = "", ensemble: bool = False) -> Chosen:
    """The network of ``trial``; else of the cell's winner the final seed that is best on validation, or all.

    A study of several cells means the first row of its board. The test split chooses no seed. Raises
    UnknownNameError, StoreError and HarnessError with what to write instead.
    """
    study, _, cell = wanted.partition("/")
    names = store.study_names()
    if study not in names:
        raise UnknownNameError(f"study in {store.files.root}", study, names)
    models = Models(store.files.root, study)
    if trial:
        return _of_trial(store, models, trial, cell)
    rows = last_attempts(store.trials(study), study)
    view = study_view(store.studies(study), study)
    cells = [info.name for info in view.cells]
    if cell and cell not in cells:
        raise UnknownNameError(f"cell of '{study}'", cell, cells)
    cell = cell or (cells[0] if len(cells) == 1 else _first_of_board(store, study))
    done = rows[(rows["cell"] == cell) & (rows["phase"] == "final") & rows["final"]]
    scored = done[done["config"].fillna("") == winner(done)]
    good = scored[scored["state"] == State.COMPLETE.value]
    if good.empty:
        raise HarnessError(
            f"'{study}/{cell}' has no final trial that ended well: finish its final phase (harness resume "
            f"{study}), or name another cell."
        )
    maximize = next(info for info in view.cells if info.name == cell).objectives[0][1]
    ordered = good.sort_values(["value", "seed"], ascending=[not maximize, True], kind="stable")
    kept = set(models.trials())
    here = [str(trial_id) for trial_id in ordered["trial_id"] if trial_id in kept]
    if not here:
        raise HarnessError(_not_kept(study, cell, len(good)))
    if ensemble:
        left = f" ({len(good) - len(here)} more are not kept)" if len(here) < len(good) else ""
        return Chosen(tuple(models.card(t) for t in here), f"the mean of {len(here)} final seeds{left}")
    best = here[0]
    why = f"best on validation of {len(good)} final seeds"
    return Chosen((models.card(best),), why)


def _not_kept(study: str, cell: str, count: int) -> str:
    return (
        f"none of the {count} final trials of '{study}/{cell}' has its network kept: the study says keep: "
        "none, "
        "or they ran before networks were kept. Launch it under another name with keep: finals."
    )


def _of_trial(store: ResultStore, models: Models, trial: str, cell: str) -> Chosen:
    if trial not in models.trials():
        for other in store.study_names():
            if other != models.study and trial in Models(store.files.root, other).trials():
                raise HarnessError(
                    f"trial {trial} is of study '{other}': write {other} instead of {models.study}."
                )
        raise UnknownNameError(f"kept trial of '{models.study}'", trial, models.trials())
    card = models.card(trial)
    if cell and card.cell != cell:
        raise HarnessError(f"trial {trial} is of '{card.study}/{card.cell}', not of cell '{cell}'.")
    return Chosen((card,), "the trial that was named")


def _first_of_board(store: ResultStore, study: str) -> str:
    """The cell in the first row of the board, where all cells are of one data set."""
    trials, studies = store.trials(study), store.studies(study)
    nothing: pd.DataFrame = store.epochs(study, only={"trial_id": []})
    board: Any = leaderboard(trials, nothing, studies, study=study)
    rows = [row.cell for group in board.groups for row in group.rows]
    if len(board.groups) > 1:
        shown = ", ".join(f"{study}/{cell}" for cell in rows[:12])
        raise HarnessError(f"'{study}' has {len(board.groups)} data sets; name a cell, one of: {shown}.")
    first: str = rows[0]
    return first
