"""Domains as Optuna's distributions."""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from harness.space import Choice, Domain, IntRange


def distribution(domain: Domain) -> BaseDistribution:
    """The distribution over exactly the values of the domain."""
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.options)
    if isinstance(domain, IntRange):
        high = domain.low + (int(domain.size) - 1) * domain.step
        return IntDistribution(domain.low, high, log=domain.log, step=domain.step)
    low, high_ = float(domain.low), float(domain.high)
    if domain.step is not None and domain.size > 1:
        return FloatDistribution(low, domain.at(int(domain.size) - 1), step=domain.step)
    return FloatDistribution(low, high_, log=domain.log)
