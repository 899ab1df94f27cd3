"""Metrics of forecasts, exactly as SeqSNN computes them (arXiv 2402.01533, released code).

Axes: N windows, H horizon steps, C variates. Everything is computed in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

Values = NDArray[np.float64]
#: Values above which double precision is taken block by block: all at once would be ten copies of them.
WHOLE = 2**23
BLOCK = 2**21

#: Prefix of the R2 of single variates.
BY_VARIATE = "r2_variate/"
#: Above this number of variates their single R2 are left out and only the summary is kept.
LISTED_VARIATES = 32


def forecast_metrics(prediction_nhc: NDArray[Any], target_nhc: NDArray[Any]) -> dict[str, float]:
    """All metrics of forecasts (N, H, C).

    ``r2`` has one global mean, ``rse`` a mean per (step, variate); ``mae``, ``mse``; ``r2_variate_mean``
    and ``r2_variate_worst`` over the variates that are not constant, whose number is
    ``variates_scored``; up to 32 variates also ``r2_variate/<index>``. A metric that is undefined is
    absent, never inf. Targets that are NaN are missing and left out.

    Raises DataError for shapes that differ, for forecasts that are not finite and where all targets are
    equal.
    """
    if prediction_nhc.size > WHOLE and prediction_nhc.shape == target_nhc.shape and target_nhc.ndim == 3:
        found, by_variate = _in_blocks(prediction_nhc, target_nhc)
    else:
        p, y = _checked(prediction_nhc, target_nhc)
        error = p - y
        found = {
            "r2": r2_global(p, y),
            "rse": rse(p, y),
            "mae": float(np.abs(error).mean()),
            "mse": float(np.square(error).mean()),
        }
        by_variate = r2_by_variate(p, y)
    scored = by_variate[np.isfinite(by_variate)]
    found["variates_scored"] = float(len(scored))
    if len(scored):
        found["r2_variate_mean"] = float(scored.mean())
        found["r2_variate_worst"] = float(scored.min())
    if len(by_variate) <= LISTED_VARIATES:
        for i, value in enumerate(by_variate):
            if math.isfinite(value):
                found[f"{BY_VARIATE}{i}"] = float(value)
    return found


def r2_global(prediction_nhc: NDArray[Any], target_nhc: NDArray[Any]) -> float:
    """1 - SSE / sum((y - mean of all y)^2): ONE mean (SeqSNN's code; its Eq. 11 differs).

    Raises DataError where all targets are equal: R2 is undefined then.
    """
    p, y = _checked(prediction_nhc, target_nhc)
    return 1.0 - float(np.square(p - y).sum()) / _spread(y, y.mean(), "R2")


def rse(prediction_nhc: NDArray[Any], target_nhc: NDArray[Any]) -> float:
    """sqrt(SSE / sum((y - ybar)^2)), ybar a mean per (step, variate) (SeqSNN Eq. 10).

    Never below sqrt(1 - R2). Raises DataError where every target column is constant.
    """
    p, y = _checked(prediction_nhc, target_nhc)
    return math.sqrt(float(np.square(p - y).sum()) / _spread(y, y.mean(axis=0), "RSE"))


def r2_by_variate(prediction_nhc: NDArray[Any], target_nhc: NDArray[Any]) -> Values:
    """R2 of each variate (C,) with that variate's one mean; NaN where the variate is constant."""
    p, y = _checked(prediction_nhc, target_nhc)
    sse = np.ma.filled(np.square(p - y).sum(axis=(0, 1)), 0.0)
    total = np.ma.filled(np.square(y - y.mean(axis=(0, 1))).sum(axis=(0, 1)), 0.0)
    varies = np.ma.filled(y.max(axis=(0, 1)) - y.min(axis=(0, 1)), 0.0) > 0
    return np.where(varies, 1.0 - sse / np.where(varies, total, 1.0), np.nan)


def _in_blocks(p_nhc: NDArray[Any], y_nhc: NDArray[Any]) -> tuple[dict[str, float], Values]:
    """The same formulas over blocks of windows: means first, then sums of squares about them."""
    count = len(y_nhc)
    step = max(1, BLOCK // y_nhc[0].size)

    def blocks() -> Iterator[tuple[Values, Values]]:
        for start in range(0, count, step):
            yield _checked(p_nhc[start : start + step], y_nhc[start : start + step])

    total_hc = np.zeros(y_nhc.shape[1:])
    low_hc, high_hc = np.full(total_hc.shape, np.inf), np.full(total_hc.shape, -np.inf)
    for _, y in blocks():
        total_hc += y.sum(0)
        low_hc, high_hc = np.minimum(low_hc, y.min(0)), np.maximum(high_hc, y.max(0))
    mean_hc, mean_c, mean = total_hc / count, total_hc.mean(0) / count, total_hc.mean() / count
    sse_c, spread_c = np.zeros(len(mean_c)), np.zeros(len(mean_c))
    absolute = spread = spread_hc = 0.0
    for p, y in blocks():
        error = p - y
        absolute += float(np.abs(error).sum())
        sse_c += np.square(error).sum((0, 1))
        spread += float(np.square(y - mean).sum())
        spread_hc += float(np.square(y - mean_hc).sum())
        spread_c += np.square(y - mean_c).sum((0, 1))
    sse, size = float(sse_c.sum()), y_nhc.size
    if not (high_hc > low_hc).any():
        _undefined("R2" if high_hc.max() == low_hc.min() else "RSE")
    varies = high_hc.max(0) > low_hc.min(0)
    found = {
        "r2": 1.0 - sse / spread,
        "rse": math.sqrt(sse / spread_hc),
        "mae": absolute / size,
        "mse": sse / size,
    }
    return found, np.where(varies, 1.0 - sse_c / np.where(varies, spread_c, 1.0), np.nan)


def _undefined(name: str) -> NoReturn:
    raise DataError(
        f"forecast metrics: {name} is undefined, every target is constant over the evaluated "
        "windows. Evaluate a longer range or leave constant variates out."
    )


def _checked(prediction: NDArray[Any], target: NDArray[Any]) -> tuple[Values, Values]:
    p, y = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if p.shape != y.shape or y.ndim != 3 or not y.size:
        raise DataError(
            f"forecast metrics: forecasts have shape {p.shape}, targets {y.shape}; both must be "
            "(windows, horizon, variates) and not empty."
        )
    if not np.isfinite(p).all():
        raise DataError("forecast metrics: a forecast is not a finite number; training diverged.")
    missing = np.isnan(y)
    if missing.all():
        raise DataError("forecast metrics: every target is missing. Evaluate a longer range.")
    if missing.any():  # left out of every sum and mean
        target = np.ma.masked_invalid(y)
        return np.ma.array(p, mask=target.mask), target
    return p, y


def _spread(y: Values, mean: Any, name: str) -> float:
    axis = None if np.ndim(mean) == 0 else 0
    if not np.any(np.ma.filled(y.max(axis=axis) - y.min(axis=axis), 0.0)):
        _undefined(name)
    return float(np.square(y - mean).sum())
