"""10,000 trials of 20 epochs are scored in a moment (CPU time: a busy machine counts less)."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from harness.scoring.leaderboard import leaderboard
from tests.scoring.synthetic import Tables, as_table, curve, trial

TRIALS_IN_STORE = 10_000
EPOCHS_EACH = 20
LIMIT_S = 1.5


def large() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """One cell: 10,000 search trials and five final seeds."""
    tables = Tables()
    for seed in range(5):
        tables.add(trial(seed=seed), [0.5 + 0.01 * i for i in range(EPOCHS_EACH)])
    finals, curves, studies = tables.as_tables()
    one = trial(phase="search", exclusive=False)
    rng = np.random.default_rng(0)
    names = np.array([f"t{i:05d}" for i in range(TRIALS_IN_STORE)])
    trials = as_table([one], "trials").loc[[0] * TRIALS_IN_STORE].reset_index(drop=True)
    trials = trials.assign(trial_id=names, config=names, number=range(TRIALS_IN_STORE))
    trials = trials.assign(value=rng.random(TRIALS_IN_STORE))
    count = TRIALS_IN_STORE * EPOCHS_EACH
    epochs = as_table(curve(one, [0.5]), "epochs").loc[[0] * count].reset_index(drop=True)
    epochs = epochs.assign(trial_id=np.repeat(names, EPOCHS_EACH), value=rng.random(count))
    epochs = epochs.assign(epoch=np.tile(np.arange(1, EPOCHS_EACH + 1), TRIALS_IN_STORE).astype("int32"))
    trials = pd.concat([trials, finals], ignore_index=True)
    return trials, pd.concat([epochs, curves], ignore_index=True), studies


def test_ten_thousand_trials() -> None:
    trials, epochs, studies = large()
    searched = trials[trials["phase"] == "search"]
    for table, expected in ((trials, 0.79), (searched, searched["value"].max())):
        begin = time.process_time()
        board = leaderboard(table, epochs, studies, study="demo", target=0.6)
        assert time.process_time() - begin < LIMIT_S
        assert abs(board.groups[0].rows[0].score.mean - expected) < 1e-12
        assert board.groups[0].rows[0].budget.finished == TRIALS_IN_STORE
