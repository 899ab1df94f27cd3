"""CMA-ES (the ``cmaes`` package) whose state is replayed from records, never stored.

Finished trials in the order of their numbers are told in generations. Ranks are all that CMA-ES uses, so a
trial without a value enters by rank: feasible, infeasible, pruned (longest first), failed.
"""

from __future__ import annotations

from typing import Any

import cmaes
import numpy as np

from harness.ids import derive_seed
from harness.search.conditional_space import ConditionalSpace
from harness.search.history import History, Record
from harness.search.models import ModelSampler
from harness.search.sampler import AskContext
from harness.space import Choice, FloatRange, IntRange, Point
from harness.trial import Objective, State

SIGMA = 1 / 6  # of the unit interval, as in Optuna
_CLASS = {State.COMPLETE: 0, State.PRUNED: 2, State.FAILED: 3}
Rank = tuple[int, float, float]


class CmaesSampler:
    """CMA-ES over the numbers that always exist; categories and conditional parameters come from TPE.

    The first mean is the middle of the space. A converged distribution starts anew at a random mean with
    twice the population (IPOP, Auger and Hansen 2005). Numbers live in a unit cube, in the logarithm for
    log ranges; whole numbers and steps are bins of it. A space without such numbers is left to TPE.
    """

    def __init__(
        self,
        conditional_space: ConditionalSpace,
        objectives: tuple[Objective, ...],
        *,
        startup: int,
        seed: int,
    ) -> None:
        self._seed = seed
        self._axes: tuple[tuple[str, FloatRange | IntRange], ...] = tuple(
            (parameter.name, parameter.domain)
            for parameter in conditional_space.parameters
            if not parameter.when and not isinstance(parameter.domain, Choice)
            if parameter.domain.size > 1
        )
        self._others = ModelSampler(conditional_space, objectives, startup=startup)
        self._complete = len(self._axes) == len(conditional_space.parameters)
        self._conditional_space = conditional_space
        self._told: list[Record] = []
        self._restarts = 0
        self._optimizer: Any = self._start() if self._axes else None

    def propose(self, history: History, context: AskContext) -> Point:
        """A draw from the present distribution, completed by TPE."""
        if self._optimizer is None:
            return self._others.propose(history, context)
        self._replay(history)
        self._optimizer.reseed_rng(context.seed)
        unit = np.clip(self._optimizer.ask(), 0.0, 1.0)
        point: Point = {
            name: domain.from_unit(float(number))
            for (name, domain), number in zip(self._axes, unit, strict=True)
        }
        if self._complete:
            return self._conditional_space.settle(point)
        return self._others.propose(history, context, point)

    def _start(self) -> cmaes.CMA:
        size = len(self._axes)
        mean, population = np.full(size, 0.5), None
        if self._restarts:
            seed = derive_seed(self._seed, "cmaes restart", self._restarts)
            mean = np.random.default_rng(seed).random(size)
            population = 2 * self._optimizer.population_size
        bounds = np.tile([0.0, 1.0], (size, 1))
        return cmaes.CMA(mean=mean, sigma=SIGMA, bounds=bounds, seed=0, population_size=population)

    def _replay(self, history: History) -> None:
        """Tell what is new; if a record below those told came in between, begin again."""
        records = [record for record in history.fitting if record.state is not State.RUNNING]
        if len(records) < len(self._told) or any(
            told is not record for told, record in zip(self._told, records, strict=False)
        ):
            self._told, self._restarts = [], 0
            self._optimizer = self._start()
        while len(records) - len(self._told) >= self._optimizer.population_size:
            done = len(self._told)
            generation = records[done : done + self._optimizer.population_size]
            self._told += generation
            self._tell(generation, history)

    def _tell(self, generation: list[Record], history: History) -> None:
        if all(record.state is State.FAILED for record in generation):
            return
        ranks = [_rank(record, history) for record in generation]
        order = {rank: float(place) for place, rank in enumerate(sorted(set(ranks)))}
        self._optimizer.tell(
            [(self._encode(record), order[rank]) for record, rank in zip(generation, ranks, strict=True)]
        )
        if self._optimizer.should_stop():
            self._restarts += 1
            self._optimizer = self._start()

    def _encode(self, record: Record) -> np.ndarray:
        return np.array([domain.to_unit(float(record.params[name])) for name, domain in self._axes])


def _rank(record: Record, history: History) -> Rank:
    """Lower is better, comparable over all final states."""
    place = _CLASS[record.state]
    if record.state is State.COMPLETE:
        if record.feasible:
            return place, history.losses(record)[0], 0.0
        return place + 1, record.violation, history.losses(record)[0]
    if record.state is State.PRUNED and record.curve:
        epoch, value = max(record.curve)
        return place, -float(epoch), -value if history.objectives[0].maximize else value
    return place, 0.0, 0.0
