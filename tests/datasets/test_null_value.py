"""A series that writes 0 for a missing value: masked in statistics, windows, losses, metrics, baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from harness.contracts import Batch, Job, Learner
from harness.contracts.pipeline import masked_mse
from harness.contracts.registry import pipeline
from harness.datasets.series.series import FileOptions, OwnSeries
from harness.errors import DataError
from harness.train.forecast_metrics import forecast_metrics, r2_by_variate


def raw(rows: int = 80) -> np.ndarray:
    """Two variates about 10 and -5 with holes of 0."""
    rng = np.random.default_rng(1)
    wave = np.sin(np.arange(rows) / 3)[:, None] * [1.0, 2.0] + [10.0, -5.0] + 0.1 * rng.normal(size=(rows, 2))
    wave[rng.random(wave.shape) < 0.2] = 0.0
    wave[0, 0] = 0.0
    return wave.round(3)


def dataset(tmp_path: Path, values: np.ndarray, **options: Any) -> OwnSeries:
    pd.DataFrame(values, columns=["a", "b"]).to_csv(tmp_path / "s.csv", index=False)
    chosen = {"window": 6, "horizon": 3, "null_value": 0, "time": "", **options}
    return OwnSeries(FileOptions(path=str(tmp_path / "s.csv"), **chosen))


def test_statistics_and_windows(tmp_path: Path) -> None:
    values = raw()
    data = dataset(tmp_path, values)
    arrays = data.prepare()
    train = values[: int((80 - 9 + 1) * 0.6) - 1 + 9]
    there = train != 0
    for c in range(2):
        assert arrays["shift"][c] == pytest.approx(train[there[:, c], c].mean())
        assert arrays["scale"][c] == pytest.approx(train[there[:, c], c].std())
    split = data.split(arrays, "train")
    batch = split.batch(np.arange(len(split)))
    expected = (values - arrays["shift"]) / arrays["scale"]
    x = np.zeros(2)
    for row in range(6):  # the first window: the last value before, the mean where there is none
        x = np.where(values[row] != 0, expected[row], x)
        np.testing.assert_allclose(batch.x[0, row].numpy(), x, atol=1e-5)  # type: ignore[index]
    want = np.where(values[6:9] != 0, expected[6:9], np.nan)
    np.testing.assert_allclose(batch.y[0].numpy(), want, atol=1e-5)
    assert bool(torch.isfinite(batch.x).all())  # type: ignore[arg-type]


def test_it_is_said(tmp_path: Path) -> None:
    card = dataset(tmp_path, raw()).card()
    assert card.masked
    assert card.remarks[0].startswith("values of 0 are missing (null_value)")
    plain = dataset(tmp_path, raw(), null_value=None)
    assert (plain.card().masked, plain.card().remarks) == (False, ())
    assert "there" not in plain.prepare()
    with pytest.raises(ValueError, match="finite"):
        dataset(tmp_path, raw(), null_value=float("nan"))


def test_a_variate_that_is_never_there(tmp_path: Path) -> None:
    values = raw()
    values[:, 1] = 0
    with pytest.raises(DataError, match=r"variate 'b' has no value in the training rows but null_value 0\."):
        dataset(tmp_path, values).prepare()


def test_the_loss_leaves_missing_targets_out() -> None:
    out = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    loss = masked_mse(out, torch.tensor([[0.0, float("nan")], [1.0, float("nan")]]))
    assert loss.item() == pytest.approx((1.0 + 4.0) / 2)
    loss.backward()
    assert out.grad is not None
    assert out.grad.tolist() == [[1.0, 0.0], [2.0, 0.0]]
    assert masked_mse(out, torch.full((2, 2), float("nan"))).item() == 0.0


def test_metrics_by_hand() -> None:
    rng = np.random.default_rng(2)
    p, y = rng.normal(size=(2, 30, 3, 2))
    y[rng.random(y.shape) < 0.3] = np.nan
    there = ~np.isnan(y)
    error = (p - y)[there]
    found = forecast_metrics(p, y)
    assert found["mse"] == pytest.approx((error**2).mean())
    assert found["mae"] == pytest.approx(np.abs(error).mean())
    assert found["r2"] == pytest.approx(1 - (error**2).sum() / ((y[there] - y[there].mean()) ** 2).sum())
    centred = y - np.nanmean(y, axis=0)
    assert found["rse"] == pytest.approx(np.sqrt((error**2).sum() / np.nansum(centred**2)))
    for c in range(2):
        own = there[..., c]
        residual, mine = (p - y)[..., c][own], y[..., c][own]
        assert found[f"r2_variate/{c}"] == pytest.approx(
            1 - (residual**2).sum() / ((mine - mine.mean()) ** 2).sum()
        )
    y[..., 1] = np.nan
    assert np.isnan(r2_by_variate(p, y)[1])
    with pytest.raises(DataError, match="every target is missing"):
        forecast_metrics(p, np.full_like(y, np.nan))


def learner(data: OwnSeries, name: str) -> Learner:
    kind = pipeline(name)
    params = kind.build_params({})
    return kind().learner(Job(params, data.card(), torch.device("cpu"), 1, 1, 1, {}))


def test_ridge_solves_each_step_with_the_targets_that_are_there(tmp_path: Path) -> None:
    data = dataset(tmp_path, raw())
    split = data.split(data.prepare(), "train")
    of = learner(data, "nlinear-ridge")
    of.fit(split)
    batch: Batch = split.batch(np.arange(len(split)))
    x = batch.x.double().numpy()  # type: ignore[union-attr]
    last = x[:, -1:]
    inputs = np.concatenate([x - last, np.ones_like(last)], axis=1).transpose(0, 2, 1).reshape(-1, 7)
    for step in range(3):
        target = (batch.y.double().numpy()[:, step] - last[:, 0]).reshape(-1)
        rows = ~np.isnan(target)
        gram = inputs[rows].T @ inputs[rows]
        gram[:6, :6] += 1e-3 * np.diag(gram)[:6].mean() * np.eye(6)
        gram += 1e-12 * np.diag(gram).mean() * np.eye(7)
        want = np.linalg.solve(gram, inputs[rows].T @ target[rows])
        np.testing.assert_allclose(of.model.get_buffer("weight")[:, step].numpy(), want, rtol=1e-6)


def test_the_train_mean_is_of_values_that_are_there(tmp_path: Path) -> None:
    data = dataset(tmp_path, raw(), normalize="none")
    split = data.split(data.prepare(), "train")
    of = learner(data, "train-mean")
    of.fit(split)
    rows = raw()[: int(split.index[-1]) + 7]  # type: ignore[attr-defined]
    want = [rows[rows[:, c] != 0, c].mean() for c in range(2)]
    np.testing.assert_allclose(of.model.get_buffer("mean").numpy(), want, rtol=1e-6)
