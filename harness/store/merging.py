"""Which attempts of another store a merge takes over, under which numbers: pure functions of two tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pandas as pd

from harness.trial import FINAL_STATES, State

Key = tuple[str, int]
_OUTCOME = ("state", "value", "values", "test", "epochs", "best_epoch")


def plain(row: dict[Any, Any]) -> dict[str, Any]:
    """A pandas record with None for every missing value."""
    return {str(key): None if _missing(value) else value for key, value in row.items()}


def keys(rows: pd.DataFrame) -> list[Key]:
    """(trial, attempt) of every row."""
    return list(zip(rows["trial_id"].tolist(), rows["attempt"].tolist(), strict=True))


def adopt(here: pd.DataFrame, there: pd.DataFrame) -> Iterator[tuple[Key, dict[str, Any]]]:
    """The rows of ``there`` that ``here`` lacks, each with the key it had there.

    A trial that ended here is left alone, so that none ends twice. One that is open here and ended there gets
    the next attempt; a number that another trial of the cell and phase has here becomes the next free one.
    """
    ended = set(here.loc[here["state"].isin(FINAL_STATES), "trial_id"])
    attempts: dict[str, set[int]] = defaultdict(set)
    for trial_id, attempt in keys(here):
        attempts[trial_id].add(attempt)
    numbers = _Numbers(here)
    for record in there.sort_values(["number", "attempt"], kind="stable").to_dict("records"):
        row = plain(record)
        trial_id, attempt = str(row["trial_id"]), int(row["attempt"])
        final = row["state"] in FINAL_STATES
        if trial_id in ended or row["state"] == State.RUNNING.value:
            continue
        if attempt in attempts[trial_id]:
            if not final:
                continue
            row["attempt"] = max(attempts[trial_id]) + 1
        attempts[trial_id].add(int(row["attempt"]))
        if final:
            ended.add(trial_id)
        row["number"] = numbers.of(row)
        yield (trial_id, attempt), row


def disagreements(here: pd.DataFrame, there: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """(trial, how it ended here, how there) of trials that ended in both and not alike, times apart."""
    ours = {str(row["trial_id"]): row for row in _ended(here)}
    for row in _ended(there):
        mine = ours.get(str(row["trial_id"]))
        if mine is not None and any(mine[name] != row[name] for name in _OUTCOME):
            yield str(row["trial_id"]), _said(mine), _said(row)


def _ended(rows: pd.DataFrame) -> list[dict[str, Any]]:
    final = rows[rows["state"].isin(FINAL_STATES)].sort_values(["number", "attempt"], kind="stable")
    return [plain(row) for row in final[["trial_id", *_OUTCOME]].to_dict("records")]


def _said(row: dict[str, Any]) -> str:
    """``COMPLETE 0.5 (2 epochs)``."""
    value = "" if row["value"] is None else f" {row['value']!r}"
    return f"{row['state']}{value} ({row['epochs'] or 0:g} epochs)"


class _Numbers:
    """The order of asking in every cell and phase, without a number given twice."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._of: dict[str, int] = {}
        self._taken: dict[tuple[str, str], set[int]] = defaultdict(set)
        for row in rows[["cell", "phase", "trial_id", "number"]].to_dict("records"):
            self._of[row["trial_id"]] = row["number"]
            self._taken[(row["cell"], row["phase"])].add(row["number"])

    def of(self, row: dict[str, Any]) -> int:
        """The number of a trial."""
        known = self._of.get(row["trial_id"])
        if known is not None:
            return known
        taken, number = self._taken[(row["cell"], row["phase"])], int(row["number"])
        if number in taken:
            number = max(taken) + 1
        taken.add(number)
        self._of[row["trial_id"]] = number
        return number


def _missing(value: Any) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and value != value)
