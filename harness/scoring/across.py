"""Several data sets as one table: mean ranks, improvability, wins, ratings, profiles of time to target.

Rules: docs/protocol.md, Several data sets. Sources: Demsar 2006 (mean ranks, Nemenyi), Hunter 2004 (the MM
algorithm for Bradley-Terry), Dolan and More 2002 (profiles), Agarwal et al. 2021 (interquartile means).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.scoring.stats import LEVEL, Floats
from harness.scoring.values import Across, Group, Interval, Row, Standing

LEAST, LEAST_IQM, LEAST_CRITICAL = 3, 5, 8
DRAWS = 1000
FACTORS = (1.0, 1.5, 2.0, 4.0)
STEPS, SETTLED = 500, 1e-9
TIE = 0.5  # a virtual tie a pair, so that who always wins has a finite rating


@dataclass(frozen=True, slots=True)
class _DataSet:
    """One group: ``values`` (seeds, labels) of the seeds that all labels share, ``means`` (labels,)."""

    group: Group
    rows: tuple[Row, ...]
    values: Floats
    means: Floats

    def errors(self, means: Floats) -> Floats:
        """What is missing to perfect, of means (..., labels)."""
        return np.clip(1.0 - means if self.group.maximize else means, 0.0, None)

    def ranks(self, means: Floats) -> Floats:
        """Ranks from 1 of means (..., labels); equal ones share theirs."""
        ordered = -means if self.group.maximize else means
        ahead = (ordered[..., None, :] < ordered[..., :, None]).sum(-1)
        equal = (ordered[..., None, :] == ordered[..., :, None]).sum(-1)
        return np.asarray(ahead + (equal + 1) / 2, dtype=np.float64)

    def improvability(self, means: Floats) -> Floats:
        """The share of each error that the best label takes away, of means (..., labels)."""
        errors = self.errors(means)
        best = errors.min(-1, keepdims=True)
        return np.where(errors > 0, (errors - best) / np.where(errors > 0, errors, 1.0), 0.0)

    def beaten(self) -> Floats:
        """(labels, labels): the share of shared seeds in which the row beats the column, ties half."""
        gaps = self.values[:, :, None] - self.values[:, None, :]
        gaps = gaps if self.group.maximize else -gaps
        return np.asarray(((gaps > 0) + 0.5 * (gaps == 0)).mean(0), dtype=np.float64)

    def won(self) -> Floats:
        """(labels, labels): 1 where the row is separated from the column and better, 0.5 where neither is."""
        at = {row.cell: i for i, row in enumerate(self.rows)}
        found = np.full((len(at), len(at)), 0.5)
        for d in self.group.differences:
            if d.separated and d.a in at and d.b in at:
                first = (d.mean > 0) == self.group.maximize
                found[at[d.a], at[d.b]], found[at[d.b], at[d.a]] = float(first), float(not first)
        return found

    def resampled(self, rng: np.random.Generator) -> Floats:
        """(draws, labels): means over seeds drawn with replacement, the same seeds for all labels."""
        count = len(self.values)
        return np.asarray(self.values[rng.integers(0, count, (DRAWS, count))].mean(1), dtype=np.float64)

    def slowness(self) -> Floats | None:
        """Each label's time to target over the fastest's; None where times may not be compared."""
        times = [
            row.target.total if row.target and row.times and row.times.rank else math.nan for row in self.rows
        ]
        fastest = min(times)
        if any(map(math.isnan, times)) or not 0 < fastest < math.inf:
            return None
        return np.array(times) / fastest


def over_data_sets(groups: Sequence[Group]) -> Across | None:
    """What several data sets say together; None below three that rank the same two labels."""
    ranked = [{row.label: row for row in group.rows if _ranked(row)} for group in groups]
    labels, left_out = _common(ranked)
    if len(groups) < LEAST or len(labels) < 2:
        return None
    sets = [
        _data_set(group, [rows[label] for label in labels])
        for group, rows in zip(groups, ranked, strict=True)
    ]
    rng = np.random.default_rng(0)
    resampled = [one.resampled(rng) for one in sets]
    drawn = rng.integers(0, len(sets), (DRAWS, len(sets)))
    ranks = _interval(sets, resampled, drawn, _DataSet.ranks)
    improvabilities = _interval(sets, resampled, drawn, _DataSet.improvability)
    beaten = np.stack([one.beaten() for one in sets])
    ratings = _intervals(_ratings(beaten.sum(0)[None])[0], _ratings(beaten[drawn].sum(1)))
    won = np.stack([one.won() for one in sets]).mean(0)
    slow = [found for found in (one.slowness() for one in sets) if found is not None]
    iqms = _iqms(sets, rng)
    order = sorted(range(len(labels)), key=lambda i: (ranks[i].value, improvabilities[i].value, labels[i]))
    standings = tuple(
        Standing(
            labels[i],
            ranks[i],
            improvabilities[i],
            ratings[i],
            tuple(math.nan if i == j else float(won[i, j]) for j in order),
            _profile(slow, i),
            iqms[i] if iqms else None,
        )
        for i in order
    )
    raced = len(slow) if len(slow) >= LEAST else 0
    critical = critical_difference(len(labels), len(sets))
    return Across(tuple(group.name for group in groups), standings, left_out, FACTORS, raced, critical)


def critical_difference(labels: int, datasets: int) -> float:
    """Nemenyi's critical difference of mean ranks at 5 %; NaN below eight data sets."""
    if datasets < LEAST_CRITICAL:
        return math.nan
    from scipy.stats import studentized_range  # a second to import: only where it is shown

    quantile = float(studentized_range.ppf(LEVEL, labels, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(labels * (labels + 1) / (6 * datasets))


def _ranked(row: Row) -> bool:
    return row.rank is not None and row.score.n > 0 and not math.isnan(row.score.mean)


def _common(ranked: Sequence[dict[str, Row]]) -> tuple[list[str], tuple[str, ...]]:
    """Labels that every data set ranks, and the others."""
    known = list(dict.fromkeys(label for rows in ranked for label in rows))
    common = [label for label in known if all(label in rows for rows in ranked)]
    return common, tuple(label for label in known if label not in common)


def _data_set(group: Group, rows: Sequence[Row]) -> _DataSet:
    seeds = [{s.seed: s.value for s in row.seeds if not math.isnan(s.value)} for row in rows]
    shared = sorted(set.intersection(*map(set, seeds)))
    means = np.array([row.score.mean for row in rows])
    values = np.array([[one[seed] for one in seeds] for seed in shared]) if shared else means[None]
    return _DataSet(group, tuple(rows), values, means)


def _interval(
    sets: Sequence[_DataSet],
    resampled: Sequence[Floats],
    drawn: np.ndarray,
    statistic: Callable[[_DataSet, Floats], Floats],
) -> list[Interval]:
    """The mean over data sets of a statistic of each, for every label."""
    value = np.stack([statistic(one, one.means) for one in sets]).mean(0)
    each = np.stack([statistic(one, means) for one, means in zip(sets, resampled, strict=True)])
    return _intervals(value, each[drawn, np.arange(DRAWS)[:, None]].mean(1))


def _intervals(values: Floats, draws: Floats) -> list[Interval]:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return [Interval(*map(float, ends)) for ends in zip(values, low, high, strict=True)]


def _ratings(beaten: Floats) -> Floats:
    """(..., labels) from (..., labels, labels) of wins: 400 points a factor of ten, mean 1000."""
    count = beaten.shape[-1]
    wins = (beaten + TIE) * (1 - np.eye(count))
    games, total = wins + wins.swapaxes(-1, -2), wins.sum(-1)
    strength = np.ones(total.shape)
    for _ in range(STEPS):
        new = total / (games / (strength[..., :, None] + strength[..., None, :])).sum(-1)
        new /= np.exp(np.log(new).mean(-1, keepdims=True))
        moved = float(np.abs(new / strength - 1).max())
        strength = new
        if moved < SETTLED:
            break
    return np.asarray(1000 + 400 * np.log10(strength), dtype=np.float64)


def _profile(slow: Sequence[Floats], label: int) -> tuple[float, ...]:
    """The share of data sets within each factor of the fastest; empty for fewer than three."""
    if len(slow) < LEAST:
        return ()
    found = np.array([one[label] for one in slow])
    return tuple(float((found <= factor).mean()) for factor in FACTORS)


def _iqms(sets: Sequence[_DataSet], rng: np.random.Generator) -> list[Interval]:
    """Interquartile means over all seeds, chance at 0, perfect at 1; empty where there is no such scale."""
    scaled = [one.group.scale == 100.0 and 0 <= one.group.chance < 1 for one in sets]
    if len(sets) < LEAST_IQM or not all(scaled):
        return []
    runs = [(one.values - one.group.chance) / (1 - one.group.chance) for one in sets]
    draws = [run[rng.integers(0, len(run), (DRAWS, len(run)))] for run in runs]
    return _intervals(_middle(np.concatenate(runs)), _middle(np.concatenate(draws, axis=1)))


def _middle(values: Floats) -> Floats:
    """The mean of the middle half over the last axis but one."""
    ordered = np.sort(values, axis=-2)
    cut = int(0.25 * ordered.shape[-2])
    return np.asarray(ordered[..., cut : ordered.shape[-2] - cut, :].mean(-2), dtype=np.float64)
