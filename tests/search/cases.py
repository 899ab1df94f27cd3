"""Spaces, objectives and histories the tests of search share."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.search import CellSearch, Record
from harness.space import Choice, FloatRange, IntRange, Parameter, Params, Space
from harness.studyfile.values import PrunerName, SamplerName, SearchPlan
from harness.trial import Objective, State

ONE = (Objective("accuracy", True),)
TWO = (Objective("accuracy", True), Objective("synops", False))

NUMBERS = Space(
    (
        Parameter("lr", FloatRange(1e-4, 1e-1, log=True)),
        Parameter("tau", FloatRange(1.0, 4.0)),
        Parameter("steps", IntRange(2, 64, log=True)),
        Parameter("width", IntRange(16, 128, step=16)),
    )
)
CONDITIONAL = Space(
    (
        Parameter("kind", Choice(("none", "fixed", "learned"))),
        Parameter("lr", FloatRange(1e-4, 1e-1, log=True)),
        Parameter("delay", IntRange(5, 31), when=(("kind", ("fixed", "learned")),)),
        Parameter("sigma", FloatRange(0.1, 2.0), when=(("kind", ("learned",)),)),
        Parameter("trace", FloatRange(0.0, 1.0), when=(("neuron", ("liaf",)),)),
        Parameter("reset", Choice((True, False)), when=(("neuron", ("lif",)),)),
    )
)
FINITE = Space(
    (
        Parameter("kind", Choice(("a", "b"))),
        Parameter("steps", IntRange(2, 8, step=3)),
        Parameter("drop", FloatRange(0.0, 0.3, step=0.1), when=(("kind", ("b",)),)),
    )
)
FINITE_SIZE = 3 + 3 * 4
FIXED: Params = {"neuron": "lif", "batch": 32}
SINGLE_SAMPLERS: tuple[SamplerName, ...] = ("tpe", "gp", "cmaes", "nsga2", "random")
SEVERAL_SAMPLERS: tuple[SamplerName, ...] = ("tpe", "gp", "nsga2", "random")


def cell(
    space: Space = NUMBERS,
    sampler: SamplerName = "tpe",
    pruner: PrunerName = "none",
    *,
    seed: int = 0,
    objectives: tuple[Objective, ...] = ONE,
    start: tuple[Params, ...] = (),
    startup: int = 5,
    epochs: int = 30,
) -> CellSearch:
    """A search with the usual arguments."""
    plan = SearchPlan(sampler=sampler, pruner=pruner, startup=startup, epochs=epochs)
    return CellSearch(space, FIXED, plan, objectives, seed=seed, start=start)


def score(params: Params) -> float:
    """A smooth value to maximise; 0 is the best."""
    total = 0.0
    if "lr" in params:
        total -= (math.log10(float(params["lr"])) + 2) ** 2
    if "tau" in params:
        total -= (float(params["tau"]) - 2) ** 2
    if "delay" in params:
        total -= ((float(params["delay"]) - 20) / 10) ** 2
    return total


def finished(number: int, params: Params, objectives: tuple[Objective, ...] = ONE) -> Record:
    """The final record of a point: most are COMPLETE, some PRUNED or FAILED."""
    value = score(params)
    curve = tuple((epoch, value - 1 / epoch) for epoch in range(1, 6))
    if number % 7 == 3 and len(objectives) == 1:
        return Record(number, params, State.PRUNED, curve=curve)
    if number % 11 == 5:
        return Record(number, params, State.FAILED)
    values = (value, float(params.get("tau", 1.0)))[: len(objectives)]
    return Record(number, params, State.COMPLETE, values, curve)


def run(
    search: CellSearch,
    trials: int,
    *,
    first: int = 0,
    objectives: tuple[Objective, ...] = ONE,
    end: Callable[[int, Params], Record] | None = None,
) -> list[Record]:
    """Ask and finish, one after the other; the records made."""
    records = []
    for number in range(first, first + trials):
        params = search.ask(number)
        if params is None:
            break
        search.add(Record(number, params, State.RUNNING))
        record = end(number, params) if end else finished(number, params, objectives)
        search.add(record)
        records.append(record)
    return records


def shuffled(records: list[Record], seed: int) -> list[Record]:
    """The records in another order."""
    order = np.random.default_rng(seed).permutation(len(records))
    return [records[index] for index in order]
