"""Forecast metrics against values by hand, against scikit-learn and against their bounds."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import r2_score

from harness.errors import DataError
from harness.train import forecast_metrics as metrics
from harness.train.forecast_metrics import forecast_metrics, r2_by_variate, r2_global, rse


def sample(seed: int, n: int = 30, h: int = 4, c: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, h, c)) + rng.normal(size=(1, h, c)) * rng.uniform(0, 5)
    return y + rng.normal(size=y.shape) * rng.uniform(0, 2), y


def test_values_by_hand():
    y = np.array([[[0.0, 10.0]], [[2.0, 14.0]]])
    p = np.array([[[1.0, 10.0]], [[2.0, 12.0]]])
    found = forecast_metrics(p, y)  # SSE 5; mean 6.5, spread 131; spread by column 2 + 8
    assert found["r2"] == pytest.approx(1 - 5 / 131)
    assert found["rse"] == pytest.approx(math.sqrt(5 / 10))
    assert found["mae"] == pytest.approx(3 / 4)
    assert found["mse"] == pytest.approx(5 / 4)
    assert [found["r2_variate/0"], found["r2_variate/1"]] == pytest.approx([0.5, 0.5])
    assert found["r2_variate_worst"] == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(8))
def test_r2_is_that_of_scikit_learn_on_the_flattened_vectors(seed):
    p, y = sample(seed)
    assert r2_global(p, y) == pytest.approx(r2_score(y.ravel(), p.ravel()), rel=1e-12)
    for i in range(3):
        assert r2_by_variate(p, y)[i] == pytest.approx(r2_score(y[..., i].ravel(), p[..., i].ravel()))


@pytest.mark.parametrize("seed", range(50))
def test_rse_is_never_below_its_bound(seed):
    p, y = sample(seed)
    assert rse(p, y) >= math.sqrt(max(0.0, 1 - r2_global(p, y))) - 1e-12


def test_a_perfect_forecast():
    _, y = sample(0)
    found = forecast_metrics(y, y)
    assert (found["r2"], found["rse"], found["mae"]) == (1.0, 0.0, 0.0)


def test_the_mean_of_every_column_has_rse_one():
    _, y = sample(1)
    assert rse(np.broadcast_to(y.mean(0), y.shape), y) == pytest.approx(1.0)


def test_a_constant_variate_is_left_out_and_counted():
    p, y = sample(2)
    y[..., 1] = 7.0
    found = forecast_metrics(p, y)
    assert found["variates_scored"] == 2
    assert "r2_variate/1" not in found
    assert all(map(math.isfinite, found.values()))


def test_undefined_metrics_say_so():
    p, y = sample(3)
    with pytest.raises(DataError, match="R2 is undefined"):
        forecast_metrics(p, np.full_like(y, 2.0))
    with pytest.raises(DataError, match="RSE is undefined"):
        rse(p, np.broadcast_to(y[:1], y.shape))


def test_wrong_input_says_so():
    p, y = sample(4)
    with pytest.raises(DataError, match=r"\(windows, horizon, variates\)"):
        forecast_metrics(p[:, :2], y)
    p[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="diverged"):
        forecast_metrics(p, y)


def test_many_variates_give_a_summary_alone():
    p, y = sample(5, c=40)
    found = forecast_metrics(p, y)
    assert not any(name.startswith("r2_variate/") for name in found)
    assert found["variates_scored"] == 40


@pytest.mark.parametrize("constant", [False, True])
def test_blocks_give_the_numbers_of_the_whole(monkeypatch: pytest.MonkeyPatch, constant: bool) -> None:
    rng = np.random.default_rng(0)
    y = (50 + rng.normal(size=(97, 6, 5)).cumsum(0)).astype(np.float32)
    p = (y + rng.normal(size=y.shape)).astype(np.float32)
    if constant:
        y[:, :, 2] = 7.0
    whole = forecast_metrics(p, y)
    monkeypatch.setattr(metrics, "WHOLE", 0)
    monkeypatch.setattr(metrics, "BLOCK", 10 * 6 * 5)
    found = forecast_metrics(p, y)
    assert found.keys() == whole.keys()
    assert found == pytest.approx(whole, rel=1e-13)


def test_blocks_refuse_what_the_whole_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "WHOLE", 0)
    y = np.ones((9, 2, 3), dtype=np.float32)
    with pytest.raises(DataError, match="R2 is undefined"):
        forecast_metrics(y, y)
    steps = y * np.arange(2, dtype=np.float32)[:, None]
    with pytest.raises(DataError, match="RSE is undefined"):
        forecast_metrics(steps, steps)
    with pytest.raises(DataError, match="not a finite number"):
        forecast_metrics(y * np.nan, y)


def test_large_forecasts_need_little_beside_themselves() -> None:
    """Double precision of all of it at once took ten times as much."""
    y = np.random.default_rng(0).normal(size=(4000, 24, 100)).astype(np.float32)
    tracemalloc.start()
    forecast_metrics(y, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * y.nbytes
