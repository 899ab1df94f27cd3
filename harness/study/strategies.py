"""Which sampler and pruner would have found a study's best with the fewest epochs: replays, side by side."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, get_args

import numpy as np

from harness.engine.simulated import CurveSource, Measured, SimulatedEngine
from harness.ids import derive_seed
from harness.search import optuna_loop
from harness.space import Params
from harness.study.study import Study
from harness.studyfile.values import Cell, ConfirmPlan, FinalPlan, PrunerName, SamplerName, StudySpec
from harness.train.task import Task
from harness.trial import Objective, Phase, TrialSpec, freeze

MEMORY = Path("/dev/shm")
WITHIN = 0.01  # of the best value
OPTUNA = "Optuna's TPE + Hyperband"


class KnownBest(CurveSource, Protocol):
    """A source that knows the best value of each cell."""

    def best(self, cell: str) -> float:
        """The best value that can be reached."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A sampler with a pruner."""

    sampler: SamplerName
    pruner: PrunerName

    def __str__(self) -> str:
        return self.sampler if self.pruner == "none" else f"{self.sampler} + {self.pruner}"


STRATEGIES = (
    Strategy("random", "none"),
    *(Strategy("tpe", pruner) for pruner in ("none", *(p for p in get_args(PrunerName) if p != "none"))),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Trial-epochs until a value within one percent of the best, a number a replay; inf: not reached."""

    strategy: str
    epochs: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over replays."""
        return float(np.median(self.epochs))

    def quantile(self, share: float) -> float:
        """A quantile over replays, an order statistic: infinite values stay what they are."""
        return float(np.quantile(self.epochs, share, method="nearest"))

    @property
    def reached(self) -> int:
        """Replays that reached it."""
        return int(np.isfinite(self.epochs).sum())


def compare(
    spec: StudySpec, source: KnownBest, *, replays: int, slots: int = 1
) -> dict[str, tuple[Outcome, ...]]:
    """Outcomes by cell, ours through director and store, Optuna's own loop last.

    Every strategy has the epochs that the study's plan would run without a pruner, and as many trials as
    they hold. Replay k of every strategy has the study seed derived from k; start points are left out, so
    that no strategy is helped by them.
    """
    names = [str(strategy) for strategy in STRATEGIES]
    found: dict[str, dict[str, list[float]]] = {
        cell.name: {name: [] for name in (*names, OPTUNA)} for cell in spec.cells
    }
    for index in range(replays):
        seed = derive_seed(spec.seed, "replay", index)
        for strategy in STRATEGIES:
            trace = _replay(spec, source, strategy, seed, slots)
            for cell in spec.cells:
                mine = [(item.epoch, item.value) for item in trace if item.cell == cell.name]
                count = _until([value for _, value in mine], source.best(cell.name), cell.objectives[0])
                found[cell.name][str(strategy)].append(count)
        for cell in spec.cells:
            values = _optuna_values(spec, cell, source, seed)
            found[cell.name][OPTUNA].append(_until(values, source.best(cell.name), cell.objectives[0]))
    return {
        cell: tuple(Outcome(name, tuple(epochs)) for name, epochs in outcomes.items())
        for cell, outcomes in found.items()
    }


def _replay(
    spec: StudySpec, source: CurveSource, strategy: Strategy, seed: int, slots: int
) -> list[Measured]:
    search = replace(
        spec.search,
        sampler=strategy.sampler,
        pruner=strategy.pruner,
        trials=_budget(spec),
        hours=0.0,
        plateau=0,
    )
    trace: list[Measured] = []
    for cell in spec.cells:  # a budget each
        mine = replace(
            spec,
            cells=(replace(cell, start=()),),
            search=search,
            confirm=ConfirmPlan(1, 0),
            final=FinalPlan(seeds=0),
            seed=seed,
        )
        engine = SimulatedEngine(source, slots=slots, keep_trace=True, limit=_budget(spec))
        with tempfile.TemporaryDirectory(prefix="harness-simulate-", dir=_scratch()) as folder:
            Study(mine, folder).run(engine)
        trace += engine.trace
    return trace


def _scratch() -> str | None:
    """Memory where the system has a folder in it: the tables of a replay are thrown away."""
    return str(MEMORY) if os.access(MEMORY, os.W_OK) else None


def _budget(spec: StudySpec) -> int:
    """Epochs a cell: what the plan would run if no trial were stopped."""
    return spec.search.trials * spec.search.epochs


def _until(values: Sequence[float], best: float, objective: Objective) -> float:
    """How many values it takes until one lies within :data:`WITHIN` of the best; inf if none does."""
    sign = 1.0 if objective.maximize else -1.0
    bound = sign * best - WITHIN * abs(best)
    return next(
        (float(count) for count, value in enumerate(values, 1) if sign * value >= bound), float("inf")
    )


def _optuna_values(spec: StudySpec, cell: Cell, source: CurveSource, seed: int) -> list[float]:
    """What Optuna's own loop measures on the same curves, epoch by epoch."""

    def curve(params: Params) -> Sequence[float]:
        made = TrialSpec(
            dataset=cell.dataset,
            pipeline=cell.pipeline,
            params=freeze({**dict(cell.fixed), **params}),
            seed=spec.seed,
            phase=Phase.SEARCH,
            epochs=spec.search.epochs,
            objectives=cell.objectives,
            variant=cell.variant,
        )
        return source.replay(Task(spec.name, cell.name, made, 0, 1, "")).values

    return optuna_loop.measured(
        cell.space,
        dict(cell.fixed),
        curve,
        maximize=cell.objectives[0].maximize,
        startup=spec.search.startup,
        limit=_budget(spec),
        seed=seed,
    )
