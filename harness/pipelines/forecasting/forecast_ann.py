"""`forecast-ann`: the counterparts, TCN, GRU and iTransformer, of the same sizes."""

from __future__ import annotations

from typing import Any

import torch

from harness.contracts import DatasetCard, Job, Learner, Pipeline, Stage
from harness.ids import derive_seed
from harness.models.forecast import build_forecaster
from harness.pipelines.forecasting.forecast_common import ForecastLearner, ForecastParams, incompatible


class PlainForecastLearner(ForecastLearner):
    """A forecaster without spikes."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(job.seed, "weights"))
            card = job.card
            model = build_forecaster(
                job.params.net, card.shape[0], card.horizon, columns=card.shape[1], variates=card.variates
            )
        self.model = model.to(job.device)


class ForecastANN(Pipeline):
    """Backpropagation through a forecaster without spikes."""

    name = "forecast-ann"
    Params = ForecastParams

    def incompatible(self, card: DatasetCard) -> str | None:
        """Forecasting of windows alone."""
        return incompatible(card)

    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """One stage."""
        return (Stage("train", epochs),)

    def learner(self, job: Job) -> Learner:
        """A new network."""
        return PlainForecastLearner(job)
