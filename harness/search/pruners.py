"""Early stopping as pure functions of curves: nothing is remembered from one decision to the next.

Two trials are compared only at an epoch that both have reached, by their best value so far there: that is
the value the harness selects by. A FAILED trial's curve is no evidence. No trial is stopped at or after the
last planned epoch, where nothing is left to save.
"""

from __future__ import annotations

import math
from array import array
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.ids import derive_seed
from harness.search.history import LearningCurve, Record
from harness.search.losses import LossIndex, running_best
from harness.studyfile.values import PrunerName
from harness.trial import State

HALVING_FACTOR = 4
HYPERBAND_FACTOR = 3
MEDIAN_TRIALS = 5  # COMPLETE trials before the median says anything
WARMUP_EPOCHS = 1  # the median never stops a trial at its first epoch


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


class Rule(Protocol):
    """One pruner. What it keeps is derived from the records that it was shown, in whatever order."""

    def update(self, record: Record) -> None:
        """See a record that is new or has changed."""

    def stops(self, candidate: Candidate) -> bool:
        """Whether to stop a trial now."""


def judge(rule: Rule, record: Record, *, epochs: int, maximize: bool) -> bool:
    """Whether to stop a trial now. ``record`` holds its curve so far, ``epochs`` the planned length."""
    curve = tuple(item for item in sorted(record.curve) if math.isfinite(item[1]))
    if not curve or curve[-1][0] >= epochs:
        return False
    best = running_best(curve, -1.0 if maximize else 1.0)
    return rule.stops(Candidate(record.number, curve, best))


def rule(name: PrunerName, *, epochs: int, seed: int, maximize: bool) -> Rule | None:
    """The rule of a pruner for trials of ``epochs`` epochs; None if it never stops any."""
    if name == "halving":
        return Halving(epochs, HALVING_FACTOR, lambda _: 0, maximize=maximize)
    if name == "hyperband":
        return Halving(epochs, HYPERBAND_FACTOR, Brackets(epochs, seed), maximize=maximize)
    if name == "median":
        return Median(epochs, maximize=maximize)
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


class Halving:
    """Asynchronous successive halving (Li et al. 2020), as in Optuna: rungs at factor**(bracket + k).

    On reaching a rung a trial goes on if it is among the best 1/factor of those that reached it; while there
    are fewer than ``factor``, if it is the best.
    """

    def __init__(self, epochs: int, factor: int, bracket_of: Callable[[int], int], *, maximize: bool) -> None:
        self._bracket_of, self._factor = bracket_of, factor
        self._rungs = [1]
        while self._rungs[-1] * factor < epochs:
            self._rungs.append(self._rungs[-1] * factor)
        self._index = LossIndex(self._rungs, self._group, maximize=maximize)
        self.update = self._index.update

    def _group(self, record: Record) -> int | None:
        return None if record.state is State.FAILED else self._bracket_of(record.number)

    def stops(self, candidate: Candidate) -> bool:
        """Whether a rung that the trial has just reached is too high for it."""
        bracket = self._bracket_of(candidate.number)
        for rung in self._rungs[bracket:]:
            if candidate.before < rung <= candidate.epoch and self._falls(candidate, bracket, rung):
                return True
        return False

    def _falls(self, candidate: Candidate, bracket: int, rung: int) -> bool:
        mine = candidate.best[rung - 1]
        if not math.isfinite(mine):
            return False
        losses = self._index.losses(bracket, rung)
        if self._index.of(candidate.number, bracket, rung) != mine:
            losses = _with(losses, self._index.of(candidate.number, bracket, rung), mine)
        return mine > losses[max(1, len(losses) // self._factor) - 1]


def _with(losses: Sequence[float], old: float | None, new: float) -> list[float]:
    """The sorted losses with one of them replaced, or one more."""
    changed = list(losses)
    if old is not None:
        changed.remove(old)
    insort(changed, new)
    return changed


class Median:
    """Stop a trial that is worse than the median of the COMPLETE trials at the same epoch."""

    def __init__(self, epochs: int, *, maximize: bool) -> None:
        self._complete: set[int] = set()
        self._index = LossIndex(range(1, epochs + 1), _complete_group, maximize=maximize)

    def update(self, record: Record) -> None:
        """See a record that is new or has changed."""
        if record.state is State.COMPLETE:
            self._complete.add(record.number)
        else:
            self._complete.discard(record.number)
        self._index.update(record)

    def stops(self, candidate: Candidate) -> bool:
        """Whether the best value so far lies behind the median."""
        epoch = candidate.epoch
        others = len(self._complete) - (candidate.number in self._complete)
        if others < MEDIAN_TRIALS or epoch <= WARMUP_EPOCHS:
            return False
        losses = self._index.losses(0, epoch)
        if len(losses) < MEDIAN_TRIALS:
            return False
        middle = len(losses) // 2
        median = losses[middle] if len(losses) % 2 else (losses[middle - 1] + losses[middle]) / 2
        return candidate.best[epoch - 1] > median


def _complete_group(record: Record) -> int | None:
    return 0 if record.state is State.COMPLETE else None
