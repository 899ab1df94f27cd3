"""Metrics of forecasts, exactly as SeqSNN computes them (arXiv 2402.01533, released code).

Axes: N windows, H horizon steps, C variates. Everything is computed in double precision.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

Values = NDArray[np.float64]

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
        raise DataError(
            f"forecast metrics: {name} is undefined, every target is constant over the evaluated "
            "windows. Evaluate a longer range or leave constant variates out."
        )
    return float(np.square(y - mean).sum())
