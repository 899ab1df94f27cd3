"""How much each searched parameter decides whether a trial is among the best quarter, and how sure that is.

Below 40 complete trials PED-ANOVA says little: there are rank correlations then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from harness.scoring.tables import StudyView, parse
from harness.scoring.values import Interval

LEAST = 40
SHOWN = 400  # trials of a cell, drawn at random where there are more
HALVES, EVALUATIONS = 40, 400  # halves of a cell; evaluations over all cells, some 5 ms each
Shares = Mapping[str, Mapping[str, Interval]]


def importances(view: StudyView, own: pd.DataFrame) -> dict[str, dict[str, Interval]]:
    """Per cell each parameter's share, the largest first; shares of a cell add up to 1.

    The interval holds 90 % of the shares that random halves of the trials give. Cells with fewer than 40
    complete search trials, or with one value of everything: none. ``own`` are the study's last attempts.
    """
    done = own[(own["phase"] == "search") & (own["state"] == "COMPLETE") & own["value"].notna()]
    halves = max(5, min(HALVES, EVALUATIONS // max(1, len(view.cells))))
    found = {}
    for cell in view.cells:
        rows = done[done["cell"] == cell.name].sort_values("number", kind="stable")
        if len(rows) >= LEAST and rows["value"].nunique() > 1:
            found[cell.name] = _of_cell(rows, halves, maximize=cell.objectives[0][1])
    return {name: shares for name, shares in found.items() if shares}


def _of_cell(rows: pd.DataFrame, halves: int, *, maximize: bool) -> dict[str, Interval]:
    from harness.search.importance import measured_trials, shares

    rng = np.random.default_rng(0)
    rows = rows.iloc[np.sort(rng.permutation(len(rows))[:SHOWN])]
    sign = -1.0 if maximize else 1.0
    trials = measured_trials(_points(rows), [sign * float(value) for value in rows["value"]])
    if not trials:
        return {}
    count = len(trials)
    whole = shares(trials)
    parts = [shares([trials[i] for i in rng.permutation(count)[: count // 2]]) for _ in range(halves)]
    ends = {name: np.quantile([part.get(name, 0.0) for part in parts], [0.05, 0.95]) for name in whole}
    ordered = sorted(whole.items(), key=lambda item: -item[1])
    return {name: Interval(share, *map(float, ends[name])) for name, share in ordered}


def _points(rows: pd.DataFrame) -> Sequence[Mapping[str, object]]:
    """What the search chose of each trial."""
    searched = [parse(names, []) for names in rows["searched"]]
    given = [parse(params, {}) for params in rows["params"]]
    return [{n: p[n] for n in names if n in p} for names, p in zip(searched, given, strict=True)]
