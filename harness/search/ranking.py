"""Who is better: constrained dominance, fronts, crowding, and the configurations to confirm."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.search.conditional_space import key
from harness.search.history import History, Record
from harness.trial import State


def dominates(losses: np.ndarray, violations: np.ndarray) -> np.ndarray:
    """Whether row i dominates column j, shape (n, n).

    ``losses`` has shape (n, objectives), lower is better; ``violations`` (n,), 0 is feasible. Constrained
    dominance of Deb et al. 2002: feasible before infeasible, then less violation, then Pareto.
    """
    no_worse = (losses[:, None] <= losses[None]).all(-1)
    better = (losses[:, None] < losses[None]).any(-1)
    feasible = violations == 0
    both = feasible[:, None] & feasible[None]
    less = violations[:, None] < violations[None]
    return np.where(both, no_worse & better, less)


def fronts(losses: np.ndarray, violations: np.ndarray) -> list[np.ndarray]:
    """Indices by front, the best front first; within a front in the given order."""
    beaten_by = dominates(losses, violations)
    left = np.arange(len(losses))
    result: list[np.ndarray] = []
    while left.size:
        free = ~beaten_by[np.ix_(left, left)].any(0)
        result.append(left[free])
        left = left[~free]
    return result


def crowding(losses: np.ndarray) -> np.ndarray:
    """The crowding distance of each row of one front (Deb et al. 2002), infinite at its ends."""
    count = len(losses)
    distance = np.zeros(count)
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if span > 0 and count > 2:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance


def best(history: History, top: int) -> tuple[Record, ...]:
    """The ``top`` best feasible COMPLETE records, with different values of the parameters.

    One objective: by value, the earlier number first among equals. Several: the Pareto front from its knee
    outwards (the distance to the ideal point, each objective scaled to the front's range), then the next
    front, and so on.
    """
    records = [record for record in history.ordered if record.state is State.COMPLETE and record.feasible]
    if not records or top < 1:
        return ()
    losses = np.array([history.losses(record) for record in records])
    several = losses.shape[1] > 1
    order = _by_knee(losses) if several else iter(np.argsort(losses[:, 0], kind="stable"))
    chosen: dict[str, Record] = {}
    for index in order:
        chosen.setdefault(key(records[index].params), records[index])
        if len(chosen) == top:
            break
    return tuple(chosen.values())


def _by_knee(losses: np.ndarray) -> Iterator[int]:
    """Indices front by front, each from its knee outwards."""
    left = np.arange(len(losses))
    while left.size:
        front = left[_front(losses[left])]
        ideal, worst = losses[front].min(0), losses[front].max(0)
        scale = np.where(worst > ideal, worst - ideal, 1.0)
        distance = np.linalg.norm((losses[front] - ideal) / scale, axis=1)
        yield from front[np.argsort(distance, kind="stable")].tolist()
        left = np.setdiff1d(left, front, assume_unique=True)


def _front(losses: np.ndarray) -> np.ndarray:
    """Indices of the rows that no row dominates, without an n x n table."""
    keep: list[int] = []
    for index in np.lexsort(losses.T[::-1]):
        front = losses[keep]
        beaten = (front <= losses[index]).all(1) & (front < losses[index]).any(1)
        if not beaten.any():
            keep.append(int(index))
    return np.sort(np.array(keep, dtype=int))
