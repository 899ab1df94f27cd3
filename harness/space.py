"""The search space as frozen values: domains of parameters and the conditions they need.

A space is a tuple of :class:`Parameter`. It knows nothing of Optuna or YAML; ``search`` turns it into
distributions, ``studyfile`` reads it from a study file. What can be done with the values of a domain (which
it holds, the nearest one, the way to and from the unit interval, its words) is a method of it, here alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.errors import HarnessError

Scalar = bool | int | float | str
Params = Mapping[str, Scalar]
Point = dict[str, Scalar]
Conditions = tuple[tuple[str, tuple[Scalar, ...]], ...]
MAX_POINTS = 10**6
_GRID = 1e-6  # of a step: how far from a grid point a number may be


class DomainError(HarnessError):
    """A domain that holds nothing or contradicts itself; ``part`` (range or step) says which."""

    def __init__(self, message: str, part: str = "range") -> None:
        super().__init__(message)
        self.part = part


def word(value: Scalar) -> str:
    """A value as a study file writes it.

    >>> word(True), word(0.5), word("lif")
    ('true', '0.5', 'lif')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_number(value: Scalar) -> bool:
    """Whether a value is a number; true and false are none."""
    return not isinstance(value, (bool, str))


@dataclass(frozen=True, slots=True)
class FloatRange:
    """Real numbers in [low, high]; ``log`` searches the logarithm, ``step`` makes a grid.

    Raises DomainError.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        _validate_order(self.low, self.high)
        if not math.isfinite(self.high - self.low):
            ends = f"[{self.low:g}, {self.high:g}]"
            raise DomainError(f"the range {ends} is too wide for a computer's numbers.")
        if self.log and self.low <= 0:
            raise DomainError(f"low {self.low} with log: true. A logarithm needs low above 0.")
        if self.step is not None:
            _validate_step(self.low, self.high, self.step, log=self.log)

    @property
    def size(self) -> float:
        """The number of points, infinite without a step."""
        if self.low == self.high:
            return 1
        return math.inf if self.step is None else _points(self.low, self.high, self.step)

    def contains(self, value: Scalar) -> bool:
        """Whether the value is a number in the range, and on its grid."""
        return _between(self.low, value, self.high) and (self.step is None or _on_grid(self, value))

    def settle(self, value: Scalar) -> Scalar:
        """The value as a real number, exactly on the grid where it is near it."""
        if isinstance(value, (bool, str)):
            return value
        if self.step is not None and self.contains(value):
            return self.at(round((value - self.low) / self.step))
        return float(value)

    def nearest(self, value: Scalar) -> float:
        """The point of the range that is nearest; the low end for what is no number."""
        if isinstance(value, (bool, str)):
            return float(self.low)
        near = min(max(value, self.low), self.high)
        return float(near) if self.step is None else self.at(round((near - self.low) / self.step))

    def at(self, index: int) -> float:
        """The point with this index, from 0; the low end of a range without a grid."""
        return float(self.low) if self.step is None else float(f"{self.low + index * self.step:.12g}")

    def from_unit(self, unit: float) -> float:
        """The value at ``unit`` in [0, 1]: uniform, uniform in the logarithm, or by equal bins."""
        if not math.isinf(self.size):
            return self.at(_bin(unit, self.size))
        if self.log:
            return min(max(_exponential(self.low, self.high, unit), float(self.low)), float(self.high))
        return min(max(self.low + unit * (self.high - self.low), self.low), self.high)

    def to_unit(self, value: float) -> float:
        """The number that :meth:`from_unit` maps to the value; the middle of its bin if it has one."""
        if self.low == self.high:
            return 0.5
        if self.log:
            return _logarithmic(self.low, self.high, value)
        if self.step is None:
            return (value - self.low) / (self.high - self.low)
        return ((value - self.low) / self.step + 0.5) / self.size

    def __str__(self) -> str:
        parts = ["log"] * self.log + [f"step {self.step:g}" for _ in [0] if self.step is not None]
        return f"{self.low:g} to {self.high:g}" + (f" ({', '.join(parts)})" if parts else "")


@dataclass(frozen=True, slots=True)
class IntRange:
    """Whole numbers from low to high, both included. Raises DomainError."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        _validate_order(self.low, self.high)
        if self.log and self.low < 1:
            raise DomainError(f"low {self.low} with log: true. A logarithm needs low of 1 or more.")
        if self.step != 1:
            _validate_step(self.low, self.high, self.step, log=self.log)

    @property
    def size(self) -> float:
        """The number of points."""
        return (self.high - self.low) // self.step + 1

    def contains(self, value: Scalar) -> bool:
        """Whether the value is a whole number in the range, and on its grid."""
        return isinstance(value, int) and _between(self.low, value, self.high) and _on_grid(self, value)

    def settle(self, value: Scalar) -> Scalar:
        """The value as a whole number where it is one."""
        return value if isinstance(value, (bool, str)) or value != int(value) else int(value)

    def nearest(self, value: Scalar) -> int:
        """The point of the range that is nearest; the low end for what is no number."""
        if isinstance(value, (bool, str)):
            return self.low
        return self.at(round((min(max(value, self.low), self.high) - self.low) / self.step))

    def at(self, index: int) -> int:
        """The point with this index, from 0."""
        return self.low + index * self.step

    def from_unit(self, unit: float) -> int:
        """The value at ``unit`` in [0, 1], by equal bins, in the logarithm where it is searched so.

        As in Optuna, the bins of a log range reach half a unit to either side.
        """
        if not self.log:
            return self.at(_bin(unit, self.size))
        return min(max(round(_exponential(self.low - 0.5, self.high + 0.5, unit)), self.low), self.high)

    def to_unit(self, value: float) -> float:
        """The number that :meth:`from_unit` maps to the value: the middle of its bin."""
        if self.low == self.high:
            return 0.5
        if self.log:
            return _logarithmic(self.low - 0.5, self.high + 0.5, value)
        return ((value - self.low) / self.step + 0.5) / self.size

    def __str__(self) -> str:
        step = f", step {self.step}" if self.step != 1 else ""
        return f"{self.low} to {self.high} (whole{', log' if self.log else ''}{step})"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the options, without an order. Raises DomainError."""

    options: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.options:
            raise DomainError("choice is empty. Name at least one option.")
        for number, option in enumerate(self.options):
            if any(option == other and type(option) is type(other) for other in self.options[:number]):
                shown = word(option) if is_number(option) or isinstance(option, bool) else repr(option)
                raise DomainError(f"choice names {shown} twice. Keep one.")

    @property
    def size(self) -> float:
        """The number of options."""
        return len(self.options)

    def contains(self, value: Scalar) -> bool:
        """Whether the value is one of the options, 1 and 1.0 being equal, 1 and true not."""
        return any(_equal(option, value) for option in self.options)

    def settle(self, value: Scalar) -> Scalar:
        """The option that equals the value; else the value."""
        return next((option for option in self.options if _equal(option, value)), value)

    def nearest(self, value: Scalar) -> Scalar:
        """The option that equals the value, else the nearest number, else the first option."""
        numbers = [option for option in self.options if not isinstance(option, (bool, str))]
        if self.contains(value):
            return self.settle(value)
        if isinstance(value, (bool, str)) or not numbers:
            return self.options[0]
        number = value
        return min(numbers, key=lambda option: abs(option - number))

    def at(self, index: int) -> Scalar:
        """The option with this index, from 0."""
        return self.options[index]

    def from_unit(self, unit: float) -> Scalar:
        """The option at ``unit`` in [0, 1], by equal bins."""
        return self.options[_bin(unit, self.size)]

    def __str__(self) -> str:
        return "one of " + ", ".join(map(word, self.options))


Domain = FloatRange | IntRange | Choice


def ends(domain: Domain) -> tuple[Scalar, ...]:
    """The options of a choice, low and high of a range."""
    return domain.options if isinstance(domain, Choice) else (domain.low, domain.high)


def _equal(option: Scalar, value: Scalar) -> bool:
    return option == value and isinstance(option, bool) == isinstance(value, bool)


def _between(low: float, value: Scalar, high: float) -> bool:
    return not isinstance(value, (bool, str)) and low <= value <= high


def _on_grid(domain: FloatRange | IntRange, value: Scalar) -> bool:
    steps = (float(value) - domain.low) / (domain.step or 1)
    return abs(steps - round(steps)) < _GRID


def _points(low: float, high: float, step: float) -> int:
    return math.floor((high - low) / step + 1e-9) + 1


def _bin(unit: float, size: float) -> int:
    return min(int(unit * size), int(size) - 1)


def _exponential(low: float, high: float, unit: float) -> float:
    return math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))


def _logarithmic(low: float, high: float, value: float) -> float:
    return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))


def _validate_order(low: float, high: float) -> None:
    if low > high:
        raise DomainError(f"low {low} is above high {high}. Write the smaller one first.")


def _validate_step(low: float, high: float, step: float, *, log: bool) -> None:
    if log:
        raise DomainError("step and log: true exclude each other. Drop one.", "step")
    if step <= 0:
        raise DomainError(f"step {step} is not above 0.", "step")
    ratio = (high - low) / step
    if ratio > MAX_POINTS:
        raise DomainError(f"step {step} makes over {MAX_POINTS} points. Drop it or widen it.", "step")
    if abs(ratio - round(ratio)) > _GRID:
        last = low + math.floor(ratio) * step
        remedy = f"Write high {last:g} or {last + step:g}."
        raise DomainError(f"step {step} does not lead from low {low:g} to high {high:g}. {remedy}", "step")


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
