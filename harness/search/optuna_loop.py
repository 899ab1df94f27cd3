"""Optuna's own loop, TPE with Hyperband, over given curves: what ours is compared with."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import optuna

from harness.search.distributions import distribution
from harness.search.models import quiet
from harness.space import Params, Point, Space


def measured(
    space: Space,
    fixed: Params,
    curve: Callable[[Params], Sequence[float]],
    *,
    maximize: bool,
    startup: int,
    limit: int,
    seed: int,
) -> list[float]:
    """Every value in the order of measuring, ``limit`` of them, one trial after the other.

    ``curve`` gives a trial's values by epoch for its searched parameters.
    """
    seen: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        values = curve(_suggest(trial, space, fixed))
        for epoch, value in enumerate(values, 1):
            seen.append(value)
            if len(seen) >= limit:
                study.stop()
                raise optuna.TrialPruned
            trial.report(value, epoch)
            if epoch < len(values) and trial.should_prune():
                raise optuna.TrialPruned
        return max(values) if maximize else min(values)

    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(
            study_name="loop",  # Hyperband hashes it into brackets
            direction="maximize" if maximize else "minimize",
            sampler=optuna.samplers.TPESampler(seed=seed % 2**32, n_startup_trials=startup),
            pruner=optuna.pruners.HyperbandPruner(),
        )
        study.optimize(objective, n_trials=limit)
    return seen


def _suggest(trial: optuna.Trial, space: Space, fixed: Params) -> Point:
    chosen: Point = {}
    for parameter in space:
        if parameter.active({**fixed, **chosen}):
            domain = distribution(parameter.domain)
            chosen[parameter.name] = trial._suggest(parameter.name, domain)
    return chosen
