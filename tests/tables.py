"""Compare result tables: everything that must not depend on how often a study was cut."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness.store.results import ResultStore

FINAL = ["COMPLETE", "PRUNED", "FAILED"]
TRIAL_COLUMNS = ["cell", "phase", "number", "trial_id", "state", "reason", "seed", "params", "values", "test"]
TRIAL_COLUMNS += ["epochs", "best_epoch", "config"]
EPOCH_COLUMNS = ["cell", "trial_id", "epoch", "stage", "split", "metric", "value"]


def final_rows(root: Path, study: str = "toy") -> pd.DataFrame:
    """The rows in a final state, in a fixed order, without times."""
    rows = ResultStore(root).trials(study)
    rows = rows[rows["state"].isin(FINAL)]
    rows = rows.astype({"best_epoch": "int64", "epochs": "int64"})  # other attempts may have none
    return rows[TRIAL_COLUMNS].sort_values(["cell", "phase", "number"]).reset_index(drop=True)


def final_epochs(root: Path, study: str = "toy") -> pd.DataFrame:
    """The epochs of the attempts that ended in a final state, without times."""
    store = ResultStore(root)
    rows = store.trials(study)
    ended = rows[rows["state"].isin(FINAL)][["trial_id", "attempt"]]
    epochs = store.epochs(study).merge(ended, on=["trial_id", "attempt"])
    return epochs[EPOCH_COLUMNS].sort_values(EPOCH_COLUMNS[:-1]).reset_index(drop=True)


def assert_whole(root: Path, planned: int, study: str = "toy") -> None:
    """Exactly the planned trials ended, none twice, and no number of an epoch is there twice."""
    store = ResultStore(root)
    rows, epochs = store.trials(study), store.epochs(study)
    assert not store.problems
    assert not epochs.duplicated([*EPOCH_COLUMNS[:-1], "attempt"]).any()
    ended = rows[rows["state"].isin(FINAL)]
    assert len(ended) == planned
    assert not ended.duplicated(["cell", "trial_id"]).any()
    assert not ended.duplicated(["cell", "phase", "number"]).any()
    assert "RUNNING" not in set(rows["state"])


def assert_same(left: Path, right: Path, study: str = "toy") -> None:
    """Two stores hold the same numbers, times apart."""
    pd.testing.assert_frame_equal(final_rows(left, study), final_rows(right, study))
    pd.testing.assert_frame_equal(final_epochs(left, study), final_epochs(right, study))
