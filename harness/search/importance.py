"""PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255) by Optuna: what puts a trial among the best."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from harness.search.models import quiet

QUANTILE = 0.25
LOG_FROM = 100.0  # a range over two decades is looked at in logarithms


def measured_trials(points: Sequence[Mapping[str, Any]], losses: Sequence[float]) -> list[FrozenTrial]:
    """Complete trials, lower is better, with the parameters that took two values, over the ranges tried.

    Empty where no parameter did.
    """
    names = dict.fromkeys(name for point in points for name in point)
    made = {name: _distribution([point[name] for point in points if name in point]) for name in names}
    fitting = {name: one for name, one in made.items() if one is not None}
    if not fitting:
        return []
    return [
        create_trial(
            params={name: _value(value) for name, value in point.items() if name in fitting},
            distributions={name: fitting[name] for name in point if name in fitting},
            value=loss,
        )
        for point, loss in zip(points, losses, strict=True)
    ]


def shares(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Each parameter's share in being among the best quarter; they add up to 1."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is experimental, and says so at each call
        study = optuna.create_study()
        study.add_trials(trials)
        evaluator = PedAnovaImportanceEvaluator(target_quantile=QUANTILE)
        return dict(get_param_importances(study, evaluator=evaluator))


def _distribution(values: Sequence[Any]) -> BaseDistribution | None:
    """The range that was tried; None where it is one value."""
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
