"""Metrics of a whole split from its outputs and targets, by task. Sample-weighted; no batch means."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from harness.contracts.data import DatasetCard, TaskKind
from harness.errors import DataError, NonFiniteError
from harness.train.forecast_metrics import forecast_metrics

NAMES: Mapping[TaskKind, tuple[str, ...]] = {
    "classification": ("accuracy", "loss"),
    "forecasting": ("r2", "rse", "mae", "mse", "loss"),
}


def score(card: DatasetCard, output: Tensor, target: Tensor) -> dict[str, float]:
    """Metrics of outputs (N, classes) with targets (N,), or (N, horizon, variates) both.

    Accuracy is a share in 0..1. Raises NonFiniteError for outputs that are not finite: training diverged,
    and no metric of them is a number. Raises DataError where the targets leave a metric undefined.
    """
    if not bool(torch.isfinite(output).all()):
        raise NonFiniteError("the network's outputs in evaluation are not finite: training diverged")
    if card.task == "forecasting":
        try:
            return dict(forecast_metrics(output.numpy(), target.numpy()))
        except DataError as error:
            raise DataError(f"data set '{card.origin or card.name}': {error}") from None
    correct = (output.argmax(1) == target).sum()
    return {"accuracy": float(correct) / max(len(target), 1)}


def gather(parts: list[Tensor]) -> Tensor:
    """Outputs or targets of all batches on the CPU, in order."""
    return torch.cat(
        [part.detach().float().cpu() if part.is_floating_point() else part.cpu() for part in parts]
    )
