"""Early stopping as pure functions of curves: nothing is remembered from one decision to the next.

Two trials are compared only at an epoch that both have reached, by their best value so far there: that is
the value the harness selects by. A FAILED trial's curve is no evidence. No trial is stopped at or after the
last planned epoch, where nothing is left to save.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

from harness.ids import derive_seed
from harness.search.history import History, LearningCurve, Record
from harness.studyfile.values import PrunerName
from harness.trial import State

HALVING_FACTOR = 4
HYPERBAND_FACTOR = 3
MEDIAN_TRIALS = 5  # COMPLETE trials before the median says anything
WARMUP_EPOCHS = 1  # the median never stops a trial at its first epoch
WILCOXON_P = 0.1
WILCOXON_EPOCHS = 2  # pairs before the test says anything


class Curves:
    """Best values so far by epoch, lower is better, computed once a record."""

    def __init__(self, maximize: bool) -> None:
        self.sign = -1.0 if maximize else 1.0
        self._known: dict[int, tuple[Record, array[float]]] = {}

    def of(self, record: Record) -> array[float]:
        """The best loss so far of a record at epochs 1, 2, ...; infinite before its first value."""
        known = self._known.get(record.number)
        if known is None or known[0] is not record:
            known = record, self.running_best(record.curve)
            self._known[record.number] = known
        return known[1]

    def running_best(self, curve: LearningCurve) -> array[float]:
        """The best loss so far at epochs 1, 2, ... of a curve in the objective's own direction."""
        result: array[float] = array("d")
        best = math.inf
        for epoch, value in sorted(curve):
            result.extend([best] * (epoch - 1 - len(result)))
            best = min(best, self.sign * value)
            if epoch > len(result):
                result.append(best)
            elif result:
                result[-1] = best
        return result


@dataclass(frozen=True, slots=True)
class Candidate:
    """The trial to judge: its number, its curve by epoch, and its best losses so far."""

    number: int
    curve: LearningCurve
    best: array[float]

    @property
    def epoch(self) -> int:
        """The last epoch with a value."""
        return self.curve[-1][0]

    @property
    def before(self) -> int:
        """The epoch of the value before the last, 0 if there is none."""
        return self.curve[-2][0] if len(self.curve) > 1 else 0


Rule = Callable[[Candidate, History, Curves], bool]


def judge(rule: Rule, record: Record, history: History, curves: Curves, *, epochs: int) -> bool:
    """Whether to stop a trial now. ``record`` holds its curve so far, ``epochs`` the planned length."""
    curve = tuple(item for item in sorted(record.curve) if math.isfinite(item[1]))
    if not curve or curve[-1][0] >= epochs:
        return False
    return rule(Candidate(record.number, curve, curves.running_best(curve)), history, curves)


def rule(name: PrunerName, *, epochs: int, seed: int) -> Rule | None:
    """The rule of a pruner for trials of ``epochs`` epochs; None if it never stops any."""
    if name == "halving":
        return lambda candidate, history, curves: _halving(
            candidate, history, curves, epochs=epochs, bracket_of=lambda _: 0, factor=HALVING_FACTOR
        )
    if name == "hyperband":
        brackets = Brackets(epochs, seed)
        return lambda candidate, history, curves: _halving(
            candidate, history, curves, epochs=epochs, bracket_of=brackets, factor=HYPERBAND_FACTOR
        )
    if name == "median":
        return _median
    if name == "wilcoxon":
        return _wilcoxon
    return None


class Brackets:
    """Hyperband's brackets (Li et al. 2018): bracket b has its first rung at epoch 3**b.

    A trial's bracket follows from its number by a named seed, with the paper's share of trials a bracket.
    """

    def __init__(self, epochs: int, seed: int) -> None:
        count = 1
        while HYPERBAND_FACTOR**count <= epochs:
            count += 1
        self._seed = seed
        self._shares = [
            math.ceil(count * HYPERBAND_FACTOR ** (count - 1 - bracket) / (count - bracket))
            for bracket in range(count)
        ]
        self._memo: dict[int, int] = {}

    def __call__(self, number: int) -> int:
        """The bracket of a trial, from 0."""
        if number not in self._memo:
            place = derive_seed(self._seed, "bracket", number) % sum(self._shares)
            bracket = 0
            while place >= self._shares[bracket]:
                place -= self._shares[bracket]
                bracket += 1
            self._memo[number] = bracket
        return self._memo[number]


def _halving(
    candidate: Candidate,
    history: History,
    curves: Curves,
    *,
    epochs: int,
    bracket_of: Callable[[int], int],
    factor: int,
) -> bool:
    """Asynchronous successive halving (Li et al. 2020), as in Optuna: rungs at factor**(bracket + k).

    On reaching a rung a trial goes on if it is among the best 1/factor of those that reached it; while there
    are fewer than ``factor``, if it is the best.
    """
    bracket = bracket_of(candidate.number)
    rung = factor**bracket
    while rung <= candidate.epoch and rung < epochs:
        if candidate.before < rung:
            mine = candidate.best[rung - 1]
            losses = [mine]
            for record in history.ordered:
                if (
                    record.number != candidate.number
                    and len(record.curve) > 0
                    and record.state is not State.FAILED
                    and bracket_of(record.number) == bracket
                ):
                    best = curves.of(record)
                    if len(best) >= rung and math.isfinite(best[rung - 1]):
                        losses.append(best[rung - 1])
            keep = max(1, len(losses) // factor)
            if math.isfinite(mine) and mine > sorted(losses)[keep - 1]:
                return True
        rung *= factor
    return False


def _median(candidate: Candidate, history: History, curves: Curves) -> bool:
    """Stop a trial that is worse than the median of the COMPLETE trials at the same epoch."""
    complete = [
        curves.of(record)
        for record in history.ordered
        if record.state is State.COMPLETE and record.number != candidate.number
    ]
    epoch = candidate.epoch
    if len(complete) < MEDIAN_TRIALS or epoch <= WARMUP_EPOCHS:
        return False
    losses = [best[epoch - 1] for best in complete if len(best) >= epoch]
    losses = [loss for loss in losses if math.isfinite(loss)]
    if len(losses) < MEDIAN_TRIALS:
        return False
    return bool(candidate.best[epoch - 1] > np.median(losses))


def _wilcoxon(candidate: Candidate, history: History, curves: Curves) -> bool:
    """Stop a trial whose values are below the best trial's, epoch by epoch (signed-rank test, p < 0.1).

    As in Optuna, a trial whose own mean is no worse than the best trial's goes on whatever the test says.
    """
    leader = history.leader()
    if leader is None or leader.number == candidate.number:
        return False
    sign = curves.sign
    theirs = {epoch: sign * value for epoch, value in leader.curve}
    mine = [sign * value for _, value in candidate.curve]
    differences = [sign * value - theirs[epoch] for epoch, value in candidate.curve if epoch in theirs]
    if len(differences) < max(2, WILCOXON_EPOCHS):
        return False
    if np.mean(list(theirs.values())) >= np.mean(mine):
        return False
    test = wilcoxon(differences, alternative="greater", zero_method="zsplit")
    return bool(test.pvalue < WILCOXON_P)
