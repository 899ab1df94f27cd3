"""Sorted best losses by epoch, kept up as records change: what early stopping compares a trial with."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Sequence

from harness.search.history import LearningCurve, Record

Group = int
GroupOf = Callable[[Record], Group | None]


def running_best(curve: LearningCurve, sign: float) -> array[float]:
    """The best loss so far at epochs 1, 2, ...: ``sign`` times the value, infinite before the first."""
    result: array[float] = array("d")
    best = math.inf
    for epoch, value in sorted(curve):
        result.extend([best] * (epoch - 1 - len(result)))
        best = min(best, sign * value)
        if epoch > len(result):
            result.append(best)
        elif result:
            result[-1] = best
    return result


class LossIndex:
    """For each group of records and each of some epochs, the finite best losses there, sorted.

    ``group_of`` says which group a record counts in, None where it is no evidence. Ask costs O(log n) instead
    of a walk over all records; the content is a function of the records alone, not of their order.
    """

    def __init__(self, epochs: Sequence[int], group_of: GroupOf, *, maximize: bool) -> None:
        self._epochs = tuple(epochs)
        self._group_of = group_of
        self._sign = -1.0 if maximize else 1.0
        self._sorted: dict[tuple[Group, int], list[float]] = defaultdict(list)
        self._mine: dict[int, tuple[Group, tuple[float, ...]]] = {}

    def update(self, record: Record) -> None:
        """Take a record in, in place of the one with its number."""
        group = self._group_of(record)
        losses = () if group is None else self._losses(record.curve)
        known = self._mine.get(record.number)
        if known is not None:
            if known[0] == group and losses[: len(known[1])] == known[1]:
                self._insert(group, losses, len(known[1]))
                self._mine[record.number] = (group, losses)
                return
            for epoch, loss in zip(self._epochs, known[1], strict=False):
                if math.isfinite(loss):
                    stored = self._sorted[known[0], epoch]
                    del stored[bisect_left(stored, loss)]
            del self._mine[record.number]
        if group is not None:
            self._insert(group, losses, 0)
            self._mine[record.number] = (group, losses)

    def losses(self, group: Group, epoch: int) -> Sequence[float]:
        """The sorted losses of a group at one of the epochs; do not change it."""
        return self._sorted[group, epoch]

    def of(self, number: int, group: Group, epoch: int) -> float | None:
        """What a record itself contributes there; None if nothing."""
        known = self._mine.get(number)
        if known is None or known[0] != group:
            return None
        index = self._epochs.index(epoch)
        loss = known[1][index] if index < len(known[1]) else math.inf
        return loss if math.isfinite(loss) else None

    def _losses(self, curve: LearningCurve) -> tuple[float, ...]:
        best = running_best(curve, self._sign)
        return tuple(best[epoch - 1] for epoch in self._epochs if epoch <= len(best))

    def _insert(self, group: Group, losses: tuple[float, ...], start: int) -> None:
        for epoch, loss in zip(self._epochs[start:], losses[start:], strict=False):
            if math.isfinite(loss):
                insort(self._sorted[group, epoch], loss)
