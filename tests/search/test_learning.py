"""Samplers learn: they beat chance, respect constraints, avoid failures, and follow conditions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from harness.search import CellSearch, Record
from harness.search.distributions import distribution
from harness.space import Choice, FloatRange, IntRange, Parameter, Params, Space
from harness.studyfile.values import SamplerName
from harness.trial import State
from tests.search.cases import CONDITIONAL, NUMBERS, TWO, cell, run

BOWL = Space((Parameter("x", FloatRange(-5.0, 5.0)), Parameter("y", FloatRange(-5.0, 5.0))))


def bowl(params: Params) -> float:
    """A quadratic with its best value 0 at (2, -1)."""
    return -((float(params["x"]) - 2) ** 2) - (float(params["y"]) + 1) ** 2


def complete(number: int, params: Params) -> Record:
    """A finished trial on the bowl."""
    return Record(number, params, State.COMPLETE, (bowl(params),))


def best_values(sampler: SamplerName, trials: int, seeds: int) -> np.ndarray:
    """The best value of a search, by seed."""
    values = []
    for seed in range(seeds):
        search = cell(BOWL, sampler, seed=seed)
        run(search, trials, end=complete)
        values.append(search.best(1)[0].values[0])
    return np.array(values)


@pytest.mark.parametrize(
    ("sampler", "trials", "seeds"),
    [("tpe", 50, 8), ("cmaes", 50, 8), ("nsga2", 80, 8), ("gp", 15, 2)],
)
def test_better_than_chance(sampler: SamplerName, trials: int, seeds: int) -> None:
    regret, chance = -best_values(sampler, trials, seeds), -best_values("random", trials, seeds)
    assert np.log(regret).mean() < np.log(chance).mean() - 0.5


def test_cmaes_goes_on_to_the_optimum() -> None:
    """Replayed generations keep the step size: far closer than any sampling without one."""
    assert best_values("cmaes", 250, 2).min() > -1e-6


@pytest.mark.parametrize("sampler", ["cmaes", "nsga2"])
def test_generations_survive_pruned_failed_and_out_of_order_trials(sampler: SamplerName) -> None:
    def end(number: int, params: Params) -> Record:
        if float(params["x"]) < -1:
            return Record(number, params, State.FAILED)
        if bowl(params) < -8:
            return Record(number, params, State.PRUNED, curve=((1, bowl(params)),))
        return complete(number, params)

    search = cell(BOWL, sampler)
    records = run(search, 100, end=end)
    if sampler == "cmaes":  # it learns from pruned and failed trials, too
        assert search.best(1)[0].values[0] > -1e-2
    late = cell(BOWL, sampler)
    for record in records[30:] + records[:30]:
        late.add(record)
        late.ask(200)
    assert late.ask(100) == search.ask(100)


def test_cmaes_starts_anew_when_converged() -> None:
    """After the optimum is met to the last digit, points far from it are tried again."""
    records = run(cell(BOWL, "cmaes"), 900, end=complete)
    distance = np.sqrt([-bowl(record.params) for record in records])
    converged = int(np.argmax(distance < 1e-9))
    assert 0 < converged < 700
    assert distance[converged:].max() > 1.0


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "gp"])
def test_constraints_steer(sampler: SamplerName) -> None:
    """Feasible only where x <= 0, away from the unconstrained optimum at x = 2."""

    def end(number: int, params: Params) -> Record:
        limit = (float(params["x"]),)
        return Record(number, params, State.COMPLETE, (bowl(params),), constraints=limit)

    def late(search: CellSearch, end: Callable[[int, Params], Record]) -> float:
        """The share of feasible points in the last third."""
        trials = 15 if sampler == "gp" else 100
        records = run(search, trials, end=end)[-trials // 3 :]
        return float(np.mean([float(record.params["x"]) <= 0 for record in records]))

    search = cell(BOWL, sampler)
    assert late(search, end) > late(cell(BOWL, sampler), complete) + 0.25
    assert all(record.feasible for record in search.best(5))


def test_tpe_avoids_the_region_where_trials_fail() -> None:
    """A FAILED trial has no number, yet the model steers away; the value says nothing about x."""

    def end(number: int, params: Params) -> Record:
        if float(params["x"]) > 0:
            return Record(number, params, State.FAILED)
        return Record(number, params, State.COMPLETE, (-((float(params["y"]) + 1) ** 2),))

    failed = []
    for seed in range(4):
        records = run(cell(BOWL, "tpe", seed=seed), 60, end=end)
        failed.append(np.mean([record.state is State.FAILED for record in records[20:]]))
    assert np.mean(failed) < 0.15


@pytest.mark.parametrize(("sampler", "share"), [("tpe", 0.5), ("nsga2", 0.75)])
def test_several_objectives_close_in_on_the_front(sampler: SamplerName, share: float) -> None:
    """The front is y = 0, 0 <= x <= 2. Optuna's NSGA-II of this size reaches 0.73 of chance here."""

    def end(number: int, params: Params) -> Record:
        x, y = float(params["x"]), float(params["y"])
        return Record(number, params, State.COMPLETE, (-(x**2) - y**2, (x - 2) ** 2 + y**2))

    def away(sampler: SamplerName) -> float:
        """The mean distance of the later half from the line of the front."""
        searches = (cell(BOWL, sampler, objectives=TWO, seed=seed) for seed in range(4))
        rows = [record for search in searches for record in run(search, 120, end=end)[60:]]
        return float(np.mean([abs(float(record.params["y"])) for record in rows]))

    assert away(sampler) < share * away("random")


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2"])
def test_the_best_branch_is_found(sampler: SamplerName) -> None:
    """The condition and what it governs are learned together."""

    def end(number: int, params: Params) -> Record:
        value = {"none": 0.0, "fixed": 0.2, "learned": 0.5}[str(params["kind"])]
        value -= abs(float(params.get("delay", 5)) - 25) / 20
        return Record(number, params, State.COMPLETE, (value,))

    records = run(cell(CONDITIONAL, sampler), 100, end=end)[-30:]
    learned = [record for record in records if record.params["kind"] == "learned"]
    assert len(learned) >= 18
    assert abs(np.median([float(record.params["delay"]) for record in learned]) - 25) < 4


def test_log_and_whole_numbers_are_spread_evenly() -> None:
    records = run(cell(NUMBERS, "random"), 512)
    logs = np.log10([float(record.params["lr"]) for record in records])
    assert abs(np.mean(logs) + 2.5) < 0.15
    assert np.quantile(logs, 0.1) < -3.5
    widths = [int(record.params["width"]) for record in records]
    assert set(widths) == set(range(16, 129, 16))
    assert abs(np.mean(widths) - 72) < 5
    steps = [int(record.params["steps"]) for record in records]
    assert abs(np.median(steps) - math.sqrt(1.5 * 64.5)) <= 1.5


@pytest.mark.parametrize(
    "domain",
    [
        FloatRange(-3.0, 5.0),
        FloatRange(1e-5, 1.0, log=True),
        FloatRange(0.0, 0.7, step=0.1),
        FloatRange(0.1, 0.9, step=0.4),
        FloatRange(2.0, 2.0),
        IntRange(-4, 9),
        IntRange(1, 4096, log=True),
        IntRange(3, 18, step=5),
        Choice(("a", 1, True, 2.5)),
    ],
    ids=str,
)
def test_units_and_values(domain: FloatRange | IntRange | Choice) -> None:
    """Every number in [0, 1] is a value of the domain and of its distribution, and comes back."""
    rng = np.random.default_rng(0)
    for unit in (0.0, 1.0, 0.5, *rng.random(200)):
        value = domain.from_unit(float(unit))
        assert domain.contains(value)
        optuna_domain = distribution(domain)
        assert optuna_domain._contains(optuna_domain.to_internal_repr(value))
        if not isinstance(domain, Choice):
            assert domain.from_unit(domain.to_unit(float(value))) == pytest.approx(value)
            assert type(value) is (int if isinstance(domain, IntRange) else float)
