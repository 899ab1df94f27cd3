"""Results in Python: tables as pandas, boards as frozen values, charts, trained networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.errors import UnknownNameError
from harness.scoring.leaderboard import leaderboard
from harness.scoring.tables import scored_trials
from harness.scoring.values import Board
from harness.store.results import ResultStore

if TYPE_CHECKING:
    from harness.kept.network import KeptModel


class Results:
    """The tables below a folder or URI (``s3://...``).

    Nothing is cached: each call reads what is there now.
    """

    def __init__(self, root: str | Path = "results") -> None:
        self.root = str(root)
        self._store = ResultStore(root)

    @property
    def studies(self) -> tuple[str, ...]:
        """The names of all studies."""
        return tuple(self._store.study_names())

    def trials(self, study: str) -> pd.DataFrame:
        """One row an attempt of a trial; ``docs/data-formats.md`` names the columns."""
        return self._whole(lambda store: store.trials(self._known(study)))

    def epochs(self, study: str) -> pd.DataFrame:
        """One row a number that was measured after an epoch."""
        return self._whole(lambda store: store.epochs(self._known(study)))

    def board(self, study: str, *, target: float | None = None) -> Board:
        """The leaderboard as frozen values: a group a data set, a row a cell, best first."""
        trials = self.trials(study)
        epochs = self._scored(study, trials)
        return leaderboard(trials, epochs, self._store.studies(study), study=study, target=target)

    def chart(self, study: str, kind: str = "time-accuracy") -> Any:
        """An Altair chart of the report: ``time-accuracy``, ``learning`` (over epochs) or ``seeds``."""
        from harness.api.charts import chart

        trials = self.trials(study)
        return chart(trials, self._scored(study, trials), self._store.studies(study), study, kind)

    def model(self, study: str, cell: str = "", *, trial: str = "", trust: bool = False) -> KeptModel:
        """The winner's network as a ``torch.nn.Module`` with ``.card``: the seed best on validation, or
        ``trial``.

        Raises UnknownNameError, StoreError and HarnessError as ``harness predict`` does.
        """
        from harness.kept.choose import choose
        from harness.kept.network import open_model

        wanted = f"{self._known(study)}/{cell}" if cell else self._known(study)
        chosen = choose(self._store, wanted, trial=trial)
        return open_model(self._store, chosen.cards[0], trusted=trust)

    def _scored(self, study: str, trials: pd.DataFrame) -> pd.DataFrame:
        ids = scored_trials(trials)
        return self._whole(lambda store: store.epochs(study, only={"trial_id": ids}))

    def _whole(self, read: Callable[[ResultStore], pd.DataFrame]) -> pd.DataFrame:
        """What a table holds; a warning names each file that was left out."""
        store = ResultStore(self.root)
        found = read(store)
        for problem in store.problems:
            warnings.warn(f"left out: {problem.why} Run 'harness verify'.", stacklevel=4)
        return found

    def _known(self, study: str) -> str:
        if study not in self.studies:
            raise UnknownNameError(f"study in {self.root}", study, self.studies)
        return study

    def __repr__(self) -> str:
        return f"Results({self.root!r}: {', '.join(self.studies) or 'no study yet'})"
