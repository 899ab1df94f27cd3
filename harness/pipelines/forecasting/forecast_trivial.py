"""The four forecasts that cost nothing, on every forecasting board: persistence, window mean, train
mean, and NLinear by ridge regression (arXiv 2205.13504: a linear map of what is above the last value).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.contracts import Batch, DatasetCard, Job, Learner, ParamsModel, Pipeline, Split, Stage, param
from harness.models.forecast.units import InstanceNorm, hide
from harness.pipelines.forecasting.forecast_common import Hidden, MissingParams, incompatible

#: Windows of one step of the normal equations.
_CHUNK = 512


class TrivialParams(ParamsModel):
    """What a baseline has."""

    batch_size: int = param(256, "windows evaluated at once", low=1, high=65_536, log=True)
    missing: MissingParams = MissingParams()


class RidgeParams(TrivialParams):
    """The same with its penalty."""

    ridge: float = param(
        1.0e-3, "penalty, in units of the mean diagonal of X'X", low=1e-9, high=1e3, log=True
    )


class TrivialLearner(Learner):
    """A forecast in closed form. What is fitted lies in buffers, so it is saved like weights."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.hidden = Hidden(job.params.missing, job.seed)
        self.model = nn.Module()

    def begin(self, stage: Stage) -> None:
        """Nothing to prepare."""
        self.stage = stage

    def before_epoch(self, epoch: int) -> None:
        """Seed the masks."""
        self.hidden.before_epoch(epoch)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The evaluation's masks."""
        with self.hidden.evaluating():
            yield

    def values(self, batch: Batch) -> Tensor:
        """The past of the variates (B, L, C), hidden values replaced by their window's mean."""
        if not isinstance(batch.x, Tensor):
            raise AssertionError("incompatible() lets windows pass alone")
        x = batch.x[..., : self.job.card.variates]
        if not self.hidden.ratio:
            return x
        norm = InstanceNorm(x)
        return norm.undo(hide(norm.apply(x), self.hidden.ratio, self.hidden.generator))

    def extra_metrics(self, batches: Callable[[], Iterable[Batch]]) -> Mapping[str, float]:
        """R2 by share of hidden inputs, if asked for."""
        return self.hidden.curve(self.predict, batches)

    def _steps(self, row_b1c: Tensor) -> Tensor:
        return row_b1c.expand(-1, self.job.card.horizon, -1)

    def fit(self, train: Split) -> bool:
        """Nothing to fit."""
        return True


class Persistence(TrivialLearner):
    """The last value."""

    def predict(self, batch: Batch) -> Tensor:
        """(B, H, C)."""
        return self._steps(self.values(batch)[:, -1:])


class WindowMean(TrivialLearner):
    """The mean of the window."""

    def predict(self, batch: Batch) -> Tensor:
        """(B, H, C)."""
        return self._steps(self.values(batch).mean(dim=1, keepdim=True))


class TrainMean(TrivialLearner):
    """The mean of the rows before the first validation target."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.model.register_buffer("mean", torch.zeros(job.card.variates, device=job.device))

    def fit(self, train: Split) -> bool:
        """Take the mean; of all windows where the split does not know its rows."""
        past = getattr(train, "past", None)
        if past is not None:
            rows = np.asarray(past())
            of = np.nanmean if self.job.card.masked else np.mean
            mean = of(rows, axis=0, dtype=np.float64)
        else:
            xs = (self.values(train.batch(i)).double().mean(dim=1) for i in _chunks(train))
            mean = torch.cat(list(xs)).mean(dim=0).numpy()
        buffer = self.model.get_buffer("mean")
        buffer.copy_(torch.from_numpy(mean))
        return True

    def predict(self, batch: Batch) -> Tensor:
        """(B, H, C)."""
        mean = self.model.get_buffer("mean")
        return self._steps(mean.expand(len(batch), 1, -1))


class NLinear(TrivialLearner):
    """last value + W (window - last value) + b, one W for all variates, by ridge regression."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        window, horizon = job.card.shape[0], job.card.horizon
        weight = torch.zeros(window + 1, horizon, dtype=torch.float64, device=job.device)
        self.model.register_buffer("weight", weight)

    def _rows(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Inputs with a column of ones (B, C, L + 1) in double precision, and the last values."""
        values = self.values(batch).double()
        last_b1c = values[:, -1:]
        x_bcl = (values - last_b1c).transpose(1, 2)
        return torch.cat([x_bcl, torch.ones_like(x_bcl[..., :1])], dim=2), last_b1c

    def fit(self, train: Split) -> bool:
        """Solve (X'X + ridge * mean diagonal) W = X'Y; the bias is not penalised.

        Where targets may be missing, each step of the horizon has an X of its own.
        """
        weight = self.model.get_buffer("weight")
        size, masked = len(weight), self.job.card.masked
        steps = weight.shape[1] if masked else 1
        gram = torch.zeros(steps, size, size, dtype=torch.float64, device=weight.device)
        moment = torch.zeros_like(weight)
        for index in _chunks(train):
            batch = train.batch(index).to(weight.device)
            rows, last = self._rows(batch)
            x = rows.flatten(0, 1)
            y = (batch.y.double() - last).transpose(1, 2).flatten(0, 1)
            if masked:
                there = (~y.isnan()).double()
                for step in range(steps):
                    gram[step] += (x * there[:, step : step + 1]).T @ x
                y = y.nan_to_num()
                moment += x.T @ (y * there)
            else:
                gram[0] += x.T @ x
                moment += x.T @ y
        diagonal = gram.diagonal(dim1=1, dim2=2)
        diagonal[:, :-1] += self.job.params.ridge * diagonal[:, :-1].mean(dim=1, keepdim=True)
        diagonal += 1e-12 * diagonal.mean(dim=1, keepdim=True)
        if masked:
            weight.copy_(torch.linalg.solve(gram, moment.T[..., None]).squeeze(-1).T)
        else:
            weight.copy_(torch.linalg.solve(gram[0], moment))
        return True

    def predict(self, batch: Batch) -> Tensor:
        """(B, H, C)."""
        rows, last = self._rows(batch)
        out = (rows @ self.model.get_buffer("weight")).transpose(1, 2) + last
        return out.float()


def _chunks(split: Split) -> Iterator[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    for first in range(0, len(split), _CHUNK):
        yield np.arange(first, min(first + _CHUNK, len(split)))


class _Trivial(Pipeline):
    """A baseline: one stage of one epoch."""

    Params = TrivialParams
    kind: type[TrivialLearner]

    def incompatible(self, card: DatasetCard) -> str | None:
        """Forecasting of windows alone."""
        return incompatible(card)

    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """One fit, whatever the budget."""
        return (Stage("fit", min(1, epochs)),)

    def learner(self, job: Job) -> Learner:
        """The baseline."""
        return self.kind(job)


class ForecastPersistence(_Trivial):
    """Every step is the last value."""

    name = "persistence"
    kind = Persistence


class ForecastWindowMean(_Trivial):
    """Every step is the mean of the window."""

    name = "window-mean"
    kind = WindowMean


class ForecastTrainMean(_Trivial):
    """Every step is the mean of the training rows."""

    name = "train-mean"
    kind = TrainMean


class ForecastNLinear(_Trivial):
    """A ridge regression on what is above the last value."""

    name = "nlinear-ridge"
    Params = RidgeParams
    kind = NLinear
