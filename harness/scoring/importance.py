"""How much each searched parameter decides whether a trial is among the best quarter (PED-ANOVA).

Optuna's evaluator (Watanabe et al. 2023, arXiv 2304.10255), over the ranges that were tried, with its spread
over random halves of the trials. Below 40 complete trials it says little: there are rank correlations then.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.scoring.tables import StudyView, parse
from harness.scoring.values import Interval

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

LEAST = 40
SHOWN = 400  # trials of a cell, drawn at random where there are more
QUANTILE = 0.25
HALVES, EVALUATIONS = 40, 400  # halves of a cell; evaluations over all cells, some 5 ms each
LOG_FROM = 100.0  # a range over two decades is looked at in logarithms
Shares = Mapping[str, Mapping[str, Interval]]


def importances(view: StudyView, own: pd.DataFrame) -> dict[str, dict[str, Interval]]:
    """Per cell each parameter's share, the largest first; shares of a cell add up to 1.

    The interval holds 90 % of the shares that random halves of the trials give. Cells with fewer than 40
    complete search trials, or with one value of everything: none. ``own`` are the study's last attempts.
    """
    found = {}
    done = own[(own["phase"] == "search") & (own["state"] == "COMPLETE") & own["value"].notna()]
    halves = max(5, min(HALVES, EVALUATIONS // max(1, len(view.cells))))
    for cell in view.cells:
        rows = done[done["cell"] == cell.name].sort_values("number", kind="stable")
        if len(rows) < LEAST or rows["value"].nunique() < 2:
            continue
        rng = np.random.default_rng(0)
        rows = rows.iloc[np.sort(rng.permutation(len(rows))[:SHOWN])]
        trials = _trials(rows, maximize=cell.objectives[0][1])
        if trials:
            found[cell.name] = _shares(trials, halves, rng)
    return found


def _shares(trials: Sequence[FrozenTrial], halves: int, rng: np.random.Generator) -> dict[str, Interval]:
    whole = _evaluate(trials)
    count = len(trials)
    parts = [_evaluate([trials[i] for i in rng.permutation(count)[: count // 2]]) for _ in range(halves)]
    spread = {name: [part.get(name, 0.0) for part in parts] for name in whole}
    return {
        name: Interval(share, *map(float, np.quantile(spread[name], [0.05, 0.95])))
        for name, share in sorted(whole.items(), key=lambda item: -item[1])
    }


def _evaluate(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    from harness.search.models import quiet

    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is experimental, and says so at each call
        study = optuna.create_study()
        study.add_trials(trials)
        evaluator = PedAnovaImportanceEvaluator(target_quantile=QUANTILE)
        return dict(get_param_importances(study, evaluator=evaluator))


def _trials(rows: pd.DataFrame, *, maximize: bool) -> list[FrozenTrial]:
    """Trials of a study that minimises, with the parameters that took two values; [] if there are none."""
    from optuna.trial import create_trial

    searched = [parse(names, []) for names in rows["searched"]]
    given = [parse(params, {}) for params in rows["params"]]
    points = [{n: p[n] for n in names if n in p} for names, p in zip(searched, given, strict=True)]
    names = dict.fromkeys(name for point in points for name in point)
    made = {name: _distribution([point[name] for point in points if name in point]) for name in names}
    fitting = {name: one for name, one in made.items() if one is not None}
    if not fitting:
        return []
    sign = -1.0 if maximize else 1.0
    return [
        create_trial(
            params={name: _value(value) for name, value in point.items() if name in fitting},
            distributions={name: fitting[name] for name in point if name in fitting},
            value=sign * float(value),
        )
        for point, value in zip(points, rows["value"], strict=True)
    ]


def _distribution(values: Sequence[Any]) -> BaseDistribution | None:
    """The range that was tried; None where it is one value."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    kept = [_value(value) for value in values]
    if len(set(kept)) < 2:
        return None
    if any(isinstance(value, str) for value in kept):
        return CategoricalDistribution(sorted(set(map(str, kept))))
    low, high = min(kept), max(kept)
    if not all(map(math.isfinite, kept)):
        return None
    return FloatDistribution(low, high, log=low > 0 and high / low >= LOG_FROM)


def _value(value: Any) -> Any:
    return str(value) if isinstance(value, (bool, str)) else float(value)
