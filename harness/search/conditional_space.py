"""A space with its fixed values applied: what exists, in which groups, and every way to fill it.

Parameters that can never exist with the fixed values are dropped; conditions that the fixed values
decide are removed. What is left is chosen in order, because a condition comes before what it governs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.ids import canonical
from harness.space import Conditions, Domain, Parameter, Params, Point, Scalar, Space


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that exist under exactly the same conditions, hence always together."""

    when: Conditions
    parameters: tuple[Parameter, ...]

    @property
    def names(self) -> frozenset[str]:
        """The dotted names."""
        return frozenset(parameter.name for parameter in self.parameters)

    def active(self, chosen: Params) -> bool:
        """Whether the group exists given the values chosen so far."""
        return self.parameters[0].active(chosen)


class ConditionalSpace:
    """The searchable part of a space."""

    def __init__(self, space: Space, fixed: Params) -> None:
        self.parameters = _reduce(space, fixed)
        self.by_name = {parameter.name: parameter for parameter in self.parameters}
        members: dict[Conditions, list[Parameter]] = {}
        for parameter in self.parameters:
            members.setdefault(parameter.when, []).append(parameter)
        self.groups = tuple(Group(when, tuple(group)) for when, group in members.items())

    def fill(self, unit: Sequence[float] | np.ndarray, given: Params | None = None) -> Point:
        """A point from one number in [0, 1] a parameter; ``given`` values win where they exist."""
        given = given or {}
        chosen: Point = {}
        for parameter, number in zip(self.parameters, unit, strict=True):
            if not parameter.active(chosen):
                continue
            if parameter.name in given:
                chosen[parameter.name] = parameter.domain.settle(given[parameter.name])
            else:
                chosen[parameter.name] = parameter.domain.from_unit(float(number))
        return chosen

    def draw(self, rng: np.random.Generator, given: Params | None = None) -> Point:
        """A uniform random point."""
        return self.fill(rng.random(len(self.parameters)), given)

    def settle(self, params: Params) -> Point:
        """The values in their domains' own types, in the order of the space, strangers last."""
        known = {
            name: parameter.domain.settle(params[name])
            for name, parameter in self.by_name.items()
            if name in params
        }
        return known | {name: value for name, value in params.items() if name not in known}

    def fits(self, params: Params) -> bool:
        """Whether the values are a point of this space: every active parameter, nothing else, in range."""
        active = [parameter for parameter in self.parameters if parameter.active(params)]
        return len(active) == len(params) and all(
            parameter.name in params and parameter.domain.contains(params[parameter.name])
            for parameter in active
        )

    def walk(self, rng: np.random.Generator) -> Iterator[Point]:
        """Every point of a finite space once, the last parameter fastest.

        A continuous parameter contributes one random value, so a space that is partly continuous is walked
        too.
        """
        yield from self._walk(0, {}, rng)

    def _walk(self, index: int, chosen: Point, rng: np.random.Generator) -> Iterator[Point]:
        if index == len(self.parameters):
            yield dict(chosen)
            return
        parameter = self.parameters[index]
        if not parameter.active(chosen):
            yield from self._walk(index + 1, chosen, rng)
            return
        for value in _values(parameter.domain, rng):
            chosen[parameter.name] = value
            yield from self._walk(index + 1, chosen, rng)
        del chosen[parameter.name]


def _values(domain: Domain, rng: np.random.Generator) -> Iterator[Scalar]:
    """All values of a finite domain in order; of a continuous one a single random value."""
    if math.isinf(domain.size):
        yield domain.from_unit(rng.random())
        return
    for index in range(int(domain.size)):
        yield domain.at(index)


def key(params: Mapping[str, Scalar]) -> str:
    """What makes two points equal: the same names with the same values of the same types."""
    return canonical(dict(params))


def _reduce(space: Space, fixed: Params) -> tuple[Parameter, ...]:
    """The parameters that can exist, with the conditions that fixed values do not already decide."""
    searched = set(space.names)
    kept: dict[str, Parameter] = {}
    for parameter in space:
        open_conditions = tuple(item for item in parameter.when if item[0] in searched)
        decided = (item for item in parameter.when if item[0] not in searched)
        possible = all(name in kept for name, _ in open_conditions)
        if possible and all(fixed.get(name) in allowed for name, allowed in decided):
            kept[parameter.name] = Parameter(parameter.name, parameter.domain, open_conditions)
    return tuple(kept.values())
