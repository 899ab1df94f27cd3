"""Statistics of a few seeds, against values worked out by hand or by scipy.stats."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as reference

from harness.scoring import stats


def test_summary_is_the_t_interval() -> None:
    values = [0.91, 0.93, 0.90, 0.94, 0.92]
    found = stats.summarize(values)
    low, high = reference.t.interval(0.95, 4, np.mean(values), reference.sem(values))
    assert (found.n, found.mean) == (5, pytest.approx(0.92))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.sd == pytest.approx(np.std(values, ddof=1))


def test_summary_of_one_none_and_missing() -> None:
    one = stats.summarize([0.5, math.nan])
    assert (one.n, one.mean) == (1, 0.5)
    assert math.isnan(one.half)
    assert stats.summarize([]).n == 0
    assert math.isnan(stats.summarize([math.nan]).mean)


def test_spread_counts_infinite_and_drops_missing() -> None:
    found = stats.spread([1.0, math.inf, 2.0, math.nan])
    assert found == stats.Spread(3, 2.0, 1.0, math.inf)
    assert stats.spread([1.0, math.inf]).median == math.inf


def test_holm_by_hand() -> None:
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert stats.holm([0.9, 0.8]) == pytest.approx((1.0, 1.0))
    assert stats.holm([]) == ()


def test_paired_difference_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.9, 0.02, 6), rng.normal(0.88, 0.02, 6)
    (found,) = stats.differences({"a": dict(enumerate(a)), "b": dict(enumerate(b))})
    assert found.paired
    assert found.n == 6
    assert found.p == pytest.approx(reference.ttest_rel(a, b).pvalue)
    low, high = reference.ttest_rel(a, b).confidence_interval()
    assert (found.mean - found.half, found.mean + found.half) == (pytest.approx(low), pytest.approx(high))


def test_without_common_seeds_it_is_welch() -> None:
    a, b = [0.9, 0.91, 0.93], [0.8, 0.85, 0.81, 0.82]
    (found,) = stats.differences({"a": dict(enumerate(a)), "b": {10 + i: v for i, v in enumerate(b)}})
    assert not found.paired
    assert found.p == pytest.approx(reference.ttest_ind(a, b, equal_var=False).pvalue)


def test_one_seed_separates_nothing() -> None:
    pairs = stats.differences({"a": {1: 0.9}, "b": {1: 0.1}})
    assert not pairs[0].separated
    assert stats.rank_ranges(["a", "b"], pairs, maximize=True) == {"a": (1, 2), "b": (1, 2)}
    assert math.isnan(stats.smallest_gap({"a": {1: 0.9}, "b": {1: 0.1}}))


def test_equal_roundings_are_no_proof() -> None:
    same = {"a": {1: 0.93, 2: 0.93}, "b": {1: 0.95, 2: 0.95}}
    assert stats.differences(same)[0].separated  # nothing known of rounding: two constants differ
    assert not stats.differences(same, resolution=0.01)[0].separated


def test_constants_with_float_noise_are_equal() -> None:
    a = {1: 0.1 + 0.2, 2: 0.3}
    (pair,) = stats.differences({"a": a, "b": dict.fromkeys(a, 0.3)})
    assert not pair.separated


def test_rank_ranges_show_ties_and_directions() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.003, (3, 5))
    scores = {
        name: dict(enumerate(level + noise[i]))
        for i, (name, level) in enumerate([("best", 0.95), ("tied", 0.949), ("last", 0.80)])
    }
    pairs = stats.differences(scores)
    assert stats.rank_ranges(list(scores), pairs, maximize=True) == {
        "best": (1, 2),
        "tied": (1, 2),
        "last": (3, 3),
    }
    upside = stats.rank_ranges(list(scores), pairs, maximize=False)
    assert upside == {"best": (2, 3), "tied": (2, 3), "last": (1, 1)}


def test_smallest_gap_is_found_with_eighty_percent_power() -> None:
    rng = np.random.default_rng(2)
    sd, n = 0.02, 5
    gaps = []
    for _ in range(300):
        noise = rng.normal(0, sd / math.sqrt(2), (2, n))
        gaps.append(stats.smallest_gap({"a": dict(enumerate(noise[0])), "b": dict(enumerate(noise[1]))}))
    gap = (reference.t.ppf(0.975, 4) + reference.t.ppf(0.8, 4)) * sd / math.sqrt(n)
    assert np.sqrt(np.mean(np.square(gaps))) == pytest.approx(gap, rel=0.1)


def test_bootstrap_seed_matters_and_repeats() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(10, 2, 21), rng.normal(20, 2, 21)
    found = stats.ratio_of_medians(a, b, seed=1, draws=40)
    assert found == stats.ratio_of_medians(a, b, seed=1, draws=40)
    others = {stats.ratio_of_medians(a, b, seed=s, draws=40) for s in range(2, 12)}
    assert len(others | {found}) == 11
    assert found.value == np.median(a) / np.median(b)
    assert found.low < found.value < found.high


def test_ratio_with_targets_never_reached() -> None:
    inf = math.inf
    nothing = stats.ratio_of_medians([inf] * 3, [inf] * 3, seed=0)
    assert math.isnan(nothing.value)
    assert (nothing.low, nothing.high) == (0.0, inf)
    assert stats.ratio_of_medians([1.0] * 3, [inf] * 3, seed=0).value == 0.0
    assert stats.ratio_of_medians([inf] * 3, [1.0] * 3, seed=0).value == inf
    assert math.isnan(stats.ratio_of_medians([], [1.0], seed=0).value)


def test_binomial_half() -> None:
    assert stats.binomial_half(0.5, 400) == pytest.approx(0.049, abs=1e-3)
    assert math.isnan(stats.binomial_half(0.5, 0))
