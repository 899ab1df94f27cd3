"""What a proposal costs as a cell grows: ours beside bare Optuna ask/tell, interleaved in one run.

    python benchmarks/asking.py            # 300 to 10,000 finished trials of 20 epochs, about two minutes
    python benchmarks/asking.py --quick    # 300 and 1,000

One row a sampler and size: the median of ask + add (pending) + add (finished) against study.ask + study.tell
on a study that holds the same trials in memory, their ratio, and the time to load the rows. The last line of
a sampler is how the cost grows: the exponent of trials in a power law from the second size to the largest.
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler

from harness.search import CellSearch, Record
from harness.space import FloatRange, IntRange, Parameter, Space
from harness.spec.values import SamplerName, SearchPlan
from harness.trial import Objective, State

SPACE = Space(
    (
        Parameter("neuron.tau", FloatRange(1.005, 4.0)),
        Parameter("optimizer.lr", FloatRange(3e-4, 1e-2, log=True)),
        Parameter("timesteps", IntRange(2, 32)),
    )
)
DISTRIBUTIONS = {
    "neuron.tau": FloatDistribution(1.005, 4.0),
    "optimizer.lr": FloatDistribution(3e-4, 1e-2, log=True),
    "timesteps": IntDistribution(2, 32),
}
EPOCHS = 20
SAMPLERS: dict[SamplerName, Callable[[], BaseSampler]] = {
    "tpe": lambda: TPESampler(seed=0, multivariate=True),
    "cmaes": lambda: CmaEsSampler(seed=0, warn_independent_sampling=False),
    "random": lambda: RandomSampler(seed=0),
}


def records(count: int) -> list[Record]:
    """Finished trials with curves; the objective is a noisy bowl."""
    rng = np.random.default_rng(0)
    result = []
    for number in range(count):
        tau, lr = rng.uniform(1.005, 4.0), math.exp(rng.uniform(math.log(3e-4), math.log(1e-2)))
        params = {"neuron.tau": tau, "optimizer.lr": lr, "timesteps": int(rng.integers(2, 33))}
        value = float(1 - (tau - 2) ** 2 / 9 + 0.05 * rng.standard_normal())
        curve = tuple((epoch, value * epoch / EPOCHS) for epoch in range(1, EPOCHS + 1))
        result.append(Record(number, params, State.COMPLETE, (value,), curve))
    return result


def measure(name: SamplerName, rows: list[Record], repeats: int) -> tuple[float, float, float, float]:
    """Seconds to load, to ask for the first time, then the medians of ours and of bare Optuna."""
    search = CellSearch(
        SPACE, {}, SearchPlan(sampler=name, epochs=EPOCHS), (Objective("accuracy", True),), seed=0
    )
    started = time.perf_counter()
    search.load(rows)
    loaded = time.perf_counter() - started
    study = optuna.create_study(direction="maximize", sampler=SAMPLERS[name]())
    study.add_trials(search.to_optuna().get_trials(deepcopy=False))
    ours, bare = [], []
    for repeat in range(repeats + 1):
        number = len(rows) + repeat
        started = time.perf_counter()
        params = search.ask(number)
        search.add(Record(number, params or {}, State.RUNNING))
        search.add(Record(number, params or {}, State.COMPLETE, (0.5,)))
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        study.tell(study.ask(DISTRIBUTIONS), 0.5)
        bare.append(time.perf_counter() - started)
    return loaded, ours[0], statistics.median(ours[1:]), statistics.median(bare[1:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    sizes = (300, 1000) if parser.parse_args().quick else (300, 1000, 2000, 5000, 10_000)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = records(max(sizes))
    print(f"{'sampler':8}{'trials':>8}{'load s':>9}{'first ms':>10}{'ours ms':>9}{'bare ms':>9}{'ratio':>8}")
    for name in SAMPLERS:
        cost = {}
        for size in sizes:
            loaded, first, ours, bare = measure(name, rows[:size], 20 if size <= 1000 else 8)
            cost[size] = ours
            print(
                f"{name:8}{size:8d}{loaded:9.2f}{first * 1e3:10.1f}{ours * 1e3:9.2f}{bare * 1e3:9.2f}"
                f"{ours / bare:8.2f}"
            )
        low, high = sizes[1], sizes[-1]
        if low < high:
            growth = math.log(cost[high] / cost[low]) / math.log(high / low)
            print(f"{name:8}grows as trials ** {growth:.2f} from {low} to {high}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, both sides together: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
