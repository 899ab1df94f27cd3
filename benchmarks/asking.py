"""What a proposal costs as a cell grows: ours beside bare Optuna ask/tell, interleaved in one run.

    python benchmarks/asking.py            # 300 to 10,000 finished trials of 20 epochs, about two minutes
    python benchmarks/asking.py --quick    # 300 and 1,000

One row a sampler and size, in processor time: the median of ask + add (pending) + add (finished) against
study.ask + study.tell on a study that holds the same trials in memory, their ratio, and the time to load the
rows. The last line of a sampler is how the cost grows: the exponent of trials in a power law from the second
size to the largest.
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler

from harness.search import CellSearch, Record
from harness.space import FloatRange, IntRange, Parameter, Space
from harness.studyfile.values import SamplerName, SearchPlan
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
ROUNDS = 15
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


@dataclass
class Pair:
    """Our search and a bare study with the same finished trials, and the seconds their answers took."""

    search: CellSearch
    study: optuna.Study
    loaded: float
    count: int
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    def ask_both(self) -> None:
        """One trial more on either side."""
        number = self.count + len(self.ours)
        started = time.process_time()
        params = self.search.ask(number)
        self.search.add(Record(number, params or {}, State.RUNNING))
        self.search.add(Record(number, params or {}, State.COMPLETE, (0.5,)))
        self.ours.append(time.process_time() - started)
        started = time.process_time()
        self.study.tell(self.study.ask(DISTRIBUTIONS), 0.5)
        self.bare.append(time.process_time() - started)


def prepare(name: SamplerName, rows: list[Record]) -> Pair:
    """Both sides, loaded."""
    search = CellSearch(
        SPACE, {}, SearchPlan(sampler=name, epochs=EPOCHS), (Objective("accuracy", True),), seed=0
    )
    started = time.process_time()
    search.load(rows)
    loaded = time.process_time() - started
    study = optuna.create_study(direction="maximize", sampler=SAMPLERS[name]())
    study.add_trials(search.to_optuna().get_trials(deepcopy=False))
    return Pair(search, study, loaded, len(rows))


def report(name: SamplerName, pairs: list[Pair]) -> None:
    """The rows of one sampler; the first answer of either side is apart."""
    ours = [statistics.median(pair.ours[1:]) * 1e3 for pair in pairs]
    bare = [statistics.median(pair.bare[1:]) * 1e3 for pair in pairs]
    for pair, mine, theirs in zip(pairs, ours, bare, strict=True):
        print(
            f"{name:8}{pair.count:8d}{pair.loaded:9.2f}{pair.ours[0] * 1e3:10.1f}"
            f"{mine:9.2f}{theirs:9.2f}{mine / theirs:8.2f}"
        )
    if len(pairs) > 2:
        span = math.log(pairs[-1].count / pairs[1].count)
        growth = [math.log(side[-1] / side[1]) / span for side in (ours, bare)]
        print(
            f"{name:8}from {pairs[1].count} to {pairs[-1].count} trials the cost grows as "
            f"trials ** {growth[0]:.2f}, bare Optuna's ** {growth[1]:.2f}"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    sizes = (300, 1000) if parser.parse_args().quick else (300, 1000, 2000, 5000, 10_000)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = records(max(sizes))
    print(f"{'sampler':8}{'trials':>8}{'load s':>9}{'first ms':>10}{'ours ms':>9}{'bare ms':>9}{'ratio':>8}")
    for name in SAMPLERS:
        pairs = [prepare(name, rows[:size]) for size in sizes]
        for _ in range(ROUNDS):
            for pair in pairs:
                pair.ask_both()
        report(name, pairs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, both sides of all sizes together: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
