"""Statistics of a handful of seeds: intervals, paired differences, rank ranges, smallest separable gap.

Only what a leaderboard needs, on plain arrays. Student's t comes from ``scipy.special`` because
``scipy.stats`` takes a second to import.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

LEVEL = 0.95
POWER = 0.80
DRAWS = 2000
ROUNDING = 1e-6
"""Values that differ by less than this share are equal: float32 sums in another order."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Summary:
    """Mean, sample standard deviation (ddof 1) and half width of the 95 % t interval of ``n`` values.

    ``sd`` and ``half`` are NaN for fewer than two values, ``mean`` for none.
    """

    n: int
    mean: float
    sd: float
    half: float

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + self.half


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest and largest of ``n`` values; infinite ones count, missing ones do not."""

    n: int
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """``a`` minus ``b`` over ``n`` seeds with its 95 % interval and two-sided p, before and after Holm.

    ``paired`` is false where the two share fewer than two seeds (Welch's test then). ``p`` is NaN where
    nothing was tested: too few seeds, or ``exact``, the same difference in every seed.
    """

    a: str
    b: str
    n: int
    mean: float
    half: float
    p: float
    p_holm: float
    paired: bool
    exact: bool = False

    @property
    def separated(self) -> bool:
        """Whether the two differ at 5 % after Holm's correction over all tests, or in every seed alike."""
        return self.mean != 0 if self.exact else self.p_holm < 1.0 - LEVEL


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two medians with a bootstrap interval over seeds, NaN for one seed.

    ``reached`` of ``n`` seeds have a finite time, ``base_reached`` of ``base_n`` below the line. Where not
    all have, an end of the interval is 0 or infinite and says nothing.
    """

    value: float
    low: float
    high: float
    reached: int = 0
    n: int = 0
    base_reached: int = 0
    base_n: int = 0


def t_quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t."""
    return float(special.stdtrit(freedom, probability))


def summarize(values: ArrayLike) -> Summary:
    """The summary of the finite values; those that differ by rounding alone have no spread."""
    x = _finite(values)
    if len(x) == 0:
        return Summary(0, math.nan, math.nan, math.nan)
    if len(x) == 1:
        return Summary(1, float(x[0]), math.nan, math.nan)
    sd = _moving(x, float(np.abs(x).max()))
    half = t_quantile(0.5 + LEVEL / 2, len(x) - 1) * sd / math.sqrt(len(x))
    return Summary(len(x), float(x.mean()), sd, half)


def spread(values: ArrayLike) -> Spread:
    """Median and range; NaN where there is nothing."""
    x = np.asarray(values, dtype=np.float64)
    x = x[~np.isnan(x)]
    if len(x) == 0:
        return Spread(0, math.nan, math.nan, math.nan)
    return Spread(len(x), float(np.median(x)), float(x.min()), float(x.max()))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down adjusted p values, in the order given."""
    p = np.asarray(p_values, dtype=np.float64)
    if len(p) == 0:
        return ()
    order = np.argsort(p, kind="stable")
    steps = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    adjusted = np.empty_like(steps)
    adjusted[order] = steps
    return tuple(adjusted.tolist())


def differences(
    scores: Mapping[str, Mapping[int, float]], *, resolution: float = 0.0
) -> tuple[Difference, ...]:
    """All pairs of cells (``scores[cell][seed]``), paired by seed, Holm-corrected over those that are tested.

    ``resolution`` is the smallest step of a value (1 / test samples for an accuracy). It bounds the
    standard deviation of the differences from below, so that two equal roundings are no proof.
    """
    pairs = [_compare(a, b, scores[a], scores[b], resolution) for a, b in itertools.combinations(scores, 2)]
    tested = [i for i, pair in enumerate(pairs) if not math.isnan(pair.p)]
    for i, p in zip(tested, holm([pairs[i].p for i in tested]), strict=True):
        pairs[i] = replace(pairs[i], p_holm=p)
    return tuple(pairs)


def rank_ranges(
    names: Sequence[str], pairs: Sequence[Difference], *, maximize: bool
) -> dict[str, tuple[int, int]]:
    """Ranks as ranges: (1 + cells separated above, all cells minus those separated below)."""
    above = dict.fromkeys(names, 0)
    below = dict.fromkeys(names, 0)
    for pair in pairs:
        if not pair.separated or pair.mean == 0:
            continue
        winner, loser = (pair.a, pair.b) if (pair.mean > 0) == maximize else (pair.b, pair.a)
        below[winner] += 1
        above[loser] += 1
    return {name: (1 + above[name], len(names) - below[name]) for name in names}


def smallest_gap(scores: Mapping[str, Mapping[int, float]], *, resolution: float = 0.0) -> float:
    """The smallest true gap that a paired test of these seeds finds with 80 % power at Holm's first step.

    ``(t(1 - .05 / 2m) + t(.8)) * sd / sqrt(n)`` with m tested pairs, the root mean square sd of their paired
    differences and the smallest number of common seeds. NaN where no pair of cells is tested over seeds.
    """
    pairs = list(itertools.combinations(scores, 2))
    found = [(_paired(scores[a], scores[b]), _size(scores[a], scores[b])) for a, b in pairs]
    gaps = [(_floor(gap, size, resolution), len(gap)) for gap, size in found if len(gap) > 1]
    moving = [(sd**2, count) for sd, count in gaps if sd > 0]
    if not moving:
        return math.nan
    n = min(count for _, count in moving)
    tests = len(found) - len(gaps) + len(moving)
    factor = t_quantile(1 - (1 - LEVEL) / (2 * tests), n - 1) + t_quantile(POWER, n - 1)
    return factor * math.sqrt(sum(variance for variance, _ in moving) / len(moving) / n)


def ratio_of_medians(
    a: ArrayLike, b: ArrayLike, *, seed: int, draws: int = DRAWS, paired: bool = True
) -> Ratio:
    """median(a) / median(b) with a percentile bootstrap interval; ``paired`` samples are drawn together.

    Infinite times (target not reached) are kept and counted. A draw in which both medians are infinite says
    nothing and widens the interval at both ends.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    counts = (int(np.isfinite(x).sum()), len(x), int(np.isfinite(y).sum()), len(y))
    if len(x) == 0 or len(y) == 0:
        return Ratio(math.nan, math.nan, math.nan, *counts)
    value = float(_divide(np.array([np.median(x)]), np.array([np.median(y)]), math.nan)[0])
    if max(len(x), len(y)) == 1:
        return Ratio(value, math.nan, math.nan, *counts)
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(x), (draws, len(x)))
    columns = rows if paired and len(x) == len(y) else rng.integers(0, len(y), (draws, len(y)))
    tops, bottoms = np.median(x[rows], axis=1), np.median(y[columns], axis=1)
    tail = (1 - LEVEL) / 2
    low = np.quantile(_divide(tops, bottoms, 0.0), tail, method="lower")
    high = np.quantile(_divide(tops, bottoms, math.inf), 1 - tail, method="higher")
    return Ratio(value, float(low), float(high), *counts)


def median_level(n: int) -> float:
    """The most that an interval of a median over ``n`` seeds can cover: that of their range, 95 % at most."""
    return min(LEVEL, 1 - 0.5 ** (n - 1)) if n > 0 else 0.0


def binomial_half(share: float, count: int) -> float:
    """Half width of the 95 % interval that ``count`` test samples alone leave around a share (normal)."""
    if count <= 0 or not 0 <= share <= 1:
        return math.nan
    return float(special.ndtri(0.5 + LEVEL / 2)) * math.sqrt(share * (1 - share) / count)


def _divide(top: Floats, bottom: Floats, unknown: float) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = top / bottom
    return np.where(np.isnan(ratio), unknown, ratio)


def _finite(values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    return x[np.isfinite(x)]


def _paired(a: Mapping[int, float], b: Mapping[int, float]) -> Floats:
    gaps = np.array([a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())], dtype=np.float64)
    return gaps[np.isfinite(gaps)]


def _compare(
    a: str, b: str, of_a: Mapping[int, float], of_b: Mapping[int, float], resolution: float
) -> Difference:
    gaps = _paired(of_a, of_b)
    if len(gaps) > 1:
        mean, n, size = float(gaps.mean()), len(gaps), _size(of_a, of_b)
        mean = 0.0 if abs(mean) <= ROUNDING * size else mean
        error = _floor(gaps, size, resolution) / math.sqrt(n)
        return _tested(Difference(a, b, n, mean, math.nan, math.nan, math.nan, True), error, n - 1)
    x, y = _finite(list(of_a.values())), _finite(list(of_b.values()))
    mean = float(x.mean() - y.mean()) if len(x) and len(y) else math.nan
    plain = Difference(a, b, min(len(x), len(y)), mean, math.nan, math.nan, math.nan, False)
    if len(x) < 2 or len(y) < 2:
        return plain
    u, v = (max(float(z.var(ddof=1)), resolution**2 / 12) / len(z) for z in (x, y))
    if u + v == 0:
        return _tested(plain, 0.0, len(x) + len(y) - 2)
    freedom = (u + v) ** 2 / (u**2 / (len(x) - 1) + v**2 / (len(y) - 1))
    return _tested(plain, math.sqrt(u + v), freedom)


def _size(a: Mapping[int, float], b: Mapping[int, float]) -> float:
    """The largest value of two cells, to judge rounding by."""
    return max(map(abs, _finite([*a.values(), *b.values()]).tolist()), default=0.0)


def _moving(x: Floats, size: float) -> float:
    """The sample standard deviation; 0 where values of that size differ by rounding alone."""
    return 0.0 if np.ptp(x) <= ROUNDING * size else float(x.std(ddof=1))


def _floor(gaps: Floats, size: float, resolution: float) -> float:
    """The sd of differences with rounding taken out: no less than the resolution allows."""
    return max(_moving(gaps, size), resolution / math.sqrt(6))


def _tested(d: Difference, error: float, freedom: float) -> Difference:
    if error == 0:
        return replace(d, half=0.0, exact=True)
    half = t_quantile(0.5 + LEVEL / 2, freedom) * error
    return replace(d, half=half, p=2 * float(special.stdtr(freedom, -abs(d.mean) / error)))
