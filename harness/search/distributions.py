"""Domains and the unit interval: values by index, by a number in [0, 1], and as Optuna distributions.

Every sampler of the package that is not Optuna's own works on a unit cube, one axis a parameter;
these functions are the only place where a number becomes a value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from harness.errors import HarnessError
from harness.space import Choice, Domain, FloatRange, IntRange, Parameter, Scalar


def check(parameter: Parameter) -> None:
    """Raise HarnessError for a domain that no sampler can take."""
    domain, name = parameter.domain, parameter.name
    if isinstance(domain, Choice):
        if not domain.options:
            raise HarnessError(f"space: {name}: no options. Give at least one.")
        return
    if domain.low > domain.high:
        raise HarnessError(f"space: {name}: low {domain.low} is above high {domain.high}.")
    if domain.log and domain.low <= 0:
        raise HarnessError(f"space: {name}: a log range needs low > 0, not {domain.low}.")
    if domain.log and domain.step not in (None, 1):
        raise HarnessError(f"space: {name}: 'log' and 'step' exclude each other. Remove one.")
    if domain.step is not None and domain.step <= 0:
        raise HarnessError(f"space: {name}: step {domain.step} must be above 0.")
    if isinstance(domain, FloatRange) and domain.log and domain.step is not None:
        raise HarnessError(f"space: {name}: 'log' and 'step' exclude each other. Remove one.")


def value_at(domain: Domain, index: int) -> Scalar:
    """The value with this index in a finite domain, from 0."""
    if isinstance(domain, Choice):
        return domain.options[index]
    if isinstance(domain, IntRange):
        return domain.low + index * domain.step
    if domain.step is None:
        return float(domain.low)
    return float(f"{domain.low + index * domain.step:.12g}")


def values(domain: Domain, rng: np.random.Generator) -> Iterator[Scalar]:
    """All values of a finite domain in order; of a continuous one a single random value."""
    if math.isinf(domain.size):
        yield from_unit(domain, rng.random())
        return
    for index in range(int(domain.size)):
        yield value_at(domain, index)


def from_unit(domain: Domain, unit: float) -> Scalar:
    """The value at ``unit`` in [0, 1]: uniform, uniform in the logarithm, or by equal bins."""
    if isinstance(domain, Choice) or not domain.log:
        size = domain.size
        if math.isinf(size) and isinstance(domain, FloatRange):
            return min(max(domain.low + unit * (domain.high - domain.low), domain.low), domain.high)
        return value_at(domain, min(int(unit * size), int(size) - 1))
    low, high = _log_ends(domain)
    number = math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))
    if isinstance(domain, IntRange):
        return min(max(round(number), domain.low), domain.high)
    return min(max(number, float(domain.low)), float(domain.high))


def to_unit(domain: FloatRange | IntRange, value: float) -> float:
    """The number in [0, 1] that :func:`from_unit` maps to ``value``; the middle of its bin if it has one."""
    if domain.low == domain.high:
        return 0.5
    if domain.log:
        low, high = _log_ends(domain)
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    if domain.step is None:
        return (value - domain.low) / (domain.high - domain.low)
    return ((value - domain.low) / domain.step + 0.5) / domain.size


def settle(domain: Domain, value: Scalar) -> Scalar:
    """The value in the domain's own type: ``1`` of a real range becomes ``1.0``, a step is met exactly."""
    if isinstance(value, (bool, str)) or isinstance(domain, Choice):
        return value
    if isinstance(domain, IntRange):
        return int(value) if value == int(value) else value
    if domain.step is not None and domain.contains(value):
        index = round((value - domain.low) / domain.step)
        if math.isclose(value, domain.low + index * domain.step, rel_tol=1e-9, abs_tol=1e-12):
            return value_at(domain, index)
    return float(value)


def distribution(domain: Domain) -> BaseDistribution:
    """The Optuna distribution over exactly the values of the domain."""
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.options)
    if isinstance(domain, IntRange):
        high = domain.low + (int(domain.size) - 1) * domain.step
        return IntDistribution(domain.low, high, log=domain.log, step=domain.step)
    low, high_ = float(domain.low), float(domain.high)
    if domain.step is not None and domain.size > 1:
        last = value_at(domain, int(domain.size) - 1)
        return FloatDistribution(low, float(last), step=domain.step)
    return FloatDistribution(low, high_, log=domain.log)


def _log_ends(domain: FloatRange | IntRange) -> tuple[float, float]:
    """The ends of a log range; whole numbers own the half unit on either side, as in Optuna."""
    half = 0.5 if isinstance(domain, IntRange) else 0.0
    return domain.low - half, domain.high + half
