"""The search space as frozen values: domains of parameters and the conditions they need.

A space is a tuple of :class:`Parameter`. It knows nothing of Optuna or YAML; ``search``
turns it into distributions, ``studyfile`` reads it from a study file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Scalar = bool | int | float | str
Params = Mapping[str, Scalar]
Point = dict[str, Scalar]
Conditions = tuple[tuple[str, tuple[Scalar, ...]], ...]


@dataclass(frozen=True, slots=True)
class FloatRange:
    """Real numbers in [low, high]; ``log`` searches the logarithm, ``step`` makes a grid."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def contains(self, value: Scalar) -> bool:
        """Whether the value is a number in the range."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and self.low <= float(value) <= self.high

    @property
    def size(self) -> float:
        """The number of points, infinite without a step."""
        if self.low == self.high:
            return 1
        if self.step is None:
            return math.inf
        return math.floor((self.high - self.low) / self.step + 1e-9) + 1


@dataclass(frozen=True, slots=True)
class IntRange:
    """Whole numbers from low to high, both included."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def contains(self, value: Scalar) -> bool:
        """Whether the value is a whole number in the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    @property
    def size(self) -> float:
        """The number of points."""
        return (self.high - self.low) // self.step + 1


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the options, without an order."""

    options: tuple[Scalar, ...]

    def contains(self, value: Scalar) -> bool:
        """Whether the value is one of the options, with the same type."""
        return any(value == option and type(value) is type(option) for option in self.options)

    @property
    def size(self) -> float:
        """The number of options."""
        return len(self.options)


Domain = FloatRange | IntRange | Choice


@dataclass(frozen=True, slots=True)
class Parameter:
    """A searched parameter: its dotted name, its domain and the conditions under which it exists.

    ``when`` is a tuple of (name, allowed values); all must hold.
    """

    name: str
    domain: Domain
    when: Conditions = ()

    def active(self, chosen: Params) -> bool:
        """Whether every condition holds for the values chosen so far."""
        return all(chosen.get(name) in allowed for name, allowed in self.when)


@dataclass(frozen=True, slots=True)
class Space:
    """Parameters in an order in which every condition comes before what it governs."""

    parameters: tuple[Parameter, ...] = ()

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    @property
    def names(self) -> tuple[str, ...]:
        """The dotted names, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def size(self) -> float:
        """An upper bound on the number of points; infinite if any domain is continuous."""
        return math.prod(parameter.domain.size for parameter in self.parameters)

    def active(self, chosen: Params, fixed: Params) -> tuple[Parameter, ...]:
        """The parameters that exist given fixed values and the values chosen for the others."""
        values = {**fixed, **chosen}
        return tuple(parameter for parameter in self.parameters if parameter.active(values))
