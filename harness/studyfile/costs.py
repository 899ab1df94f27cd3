"""What past rows say an epoch costs; free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class PastCosts:
    """From past rows: mean wall seconds of one epoch by cell name, and how many trials say so."""

    epoch_s: tuple[tuple[str, float], ...] = ()
    trials: int = 0


def past_costs(trials: pd.DataFrame, study: str = "") -> PastCosts:
    """Mean wall seconds of an epoch by cell, from the finished attempts of a trials table.

    A cell takes the rows of ``study`` where that has any, otherwise those of all studies with a cell of
    that name. Attempts that ran no epoch say nothing.
    """
    ran = trials[
        trials["state"].isin(("COMPLETE", "PRUNED")) & (trials["epochs"] > 0) & (trials["wall_s"] > 0)
    ]
    own = ran[ran["study"] == study]
    used = ran[(ran["study"] == study) | ~ran["cell"].isin(own["cell"])]
    sums = used.groupby("cell")[["wall_s", "epochs"]].sum()
    epoch_s = {str(cell): float(row["wall_s"] / row["epochs"]) for cell, row in sums.iterrows()}
    return PastCosts(tuple(sorted(epoch_s.items())), len(used))
