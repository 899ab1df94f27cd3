"""NSGA-II (Deb et al. 2002) whose generations are rebuilt from records, never stored."""

from __future__ import annotations

import numpy as np

from harness.search.conditional_space import ConditionalSpace
from harness.search.history import History, Record
from harness.search.ranking import crowding, fronts
from harness.search.sampler import AskContext
from harness.space import Choice, Parameter, Point, Scalar
from harness.trial import State

POPULATION = 20
CROSSOVER = 0.9  # how often a child has two parents
SPREAD = 0.1  # standard deviation of a small mutation, in units of the domain


class Nsga2Sampler:
    """NSGA-II: COMPLETE trials in the order of their numbers are cut into generations of 20.

    The parents of a generation are the 20 elites of the last one and its parents (constrained dominance,
    then crowding). A child takes each value from one of two parents by tournament, a conditional parameter
    from whichever has it; one value in a point mutates on average: a number by a small step or a fresh draw,
    a category by a fresh draw. Works with one objective, too.
    """

    def __init__(self, conditional_space: ConditionalSpace) -> None:
        self._conditional_space = conditional_space
        self._memo: list[tuple[list[Record], list[Record]]] = []

    def propose(self, history: History, context: AskContext) -> Point:
        """A child of the present elites, or a uniform point in the first generation."""
        rng = context.rng()
        parents = self._parents(history)
        if not parents:
            return self._conditional_space.draw(rng)
        mother, father = (parents[rng.integers(len(parents), size=2).min()] for _ in range(2))
        if rng.random() >= CROSSOVER:
            father = mother
        chance = 1 / max(1, len(mother.params))
        child: Point = {}
        for parameter in self._conditional_space.parameters:
            first, second = (mother, father) if rng.random() < 0.5 else (father, mother)
            mutates, fresh = rng.random() < chance, parameter.domain.from_unit(rng.random())
            small, step = rng.random() < 0.5, SPREAD * rng.standard_normal()
            if not parameter.active(child):
                continue
            value = first.params.get(parameter.name, second.params.get(parameter.name, fresh))
            if mutates:
                value = _near(parameter, value, step) if small else fresh
            child[parameter.name] = value
        return child

    def _parents(self, history: History) -> list[Record]:
        """The elites after the last full generation, best first."""
        complete = [record for record in history.fitting if record.state is State.COMPLETE]
        elites: list[Record] = []
        for index in range(len(complete) // POPULATION):
            generation = complete[index * POPULATION : (index + 1) * POPULATION]
            if index < len(self._memo) and _same(self._memo[index][0], generation):
                elites = self._memo[index][1]
                continue
            elites = _elites(generation + elites, history)
            self._memo[index:] = [(generation, elites)]
        return elites


def _elites(records: list[Record], history: History) -> list[Record]:
    """The POPULATION best, best first: by front, within a front the less crowded first."""
    losses = np.array([history.losses(record) for record in records])
    violations = np.array([record.violation for record in records])
    elites: list[Record] = []
    for front in fronts(losses, violations):
        order = np.argsort(-crowding(losses[front]), kind="stable")
        elites += [records[index] for index in front[order]]
        if len(elites) >= POPULATION:
            break
    return elites[:POPULATION]


def _same(left: list[Record], right: list[Record]) -> bool:
    return all(one is other for one, other in zip(left, right, strict=True))


def _near(parameter: Parameter, value: Scalar, step: float) -> Scalar:
    """A number a small step away, reflected at the ends; a category stays."""
    domain = parameter.domain
    if isinstance(domain, Choice) or isinstance(value, (bool, str)):
        return value
    unit = abs(domain.to_unit(value) + step)
    return domain.from_unit(float(np.clip(2 - unit if unit > 1 else unit, 0.0, 1.0)))
