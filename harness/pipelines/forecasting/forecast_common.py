"""What forecasting pipelines share: which data sets fit, missing inputs, the learner of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor

from harness.contracts import Batch, DatasetCard, Job, Learner, ParamsModel, Stage, param
from harness.ids import derive_seed
from harness.models.forecast import ForecastNet, NetParams
from harness.pipelines.pretraining._params import OptimizerParams, ScheduleParams


class MissingParams(ParamsModel):
    """Missing inputs: values of the standardised window that are set to 0, the window's mean."""

    ratio: float = param(0.0, "share of input values that are hidden", low=0.0, high=0.95)
    scope: Literal["test", "both"] = param(
        "test", "hidden in evaluation alone, or in training too (a new mask at every step)"
    )
    curve: bool = param(False, "whether evaluation also measures r2@missing=x for x = 0, .1, .2, .4, .6, .8")


#: Shares of hidden inputs of the curve; TS-LIF's own are not known.
RATIOS = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)


class ForecastParams(ParamsModel):
    """Network, training and missing inputs of a forecaster that is trained by gradients."""

    batch_size: int = param(64, "windows a step", unit="samples", low=1, high=65_536, log=True)
    net: NetParams = NetParams()
    optimizer: OptimizerParams = OptimizerParams(lr=1.0e-3)
    schedule: ScheduleParams = ScheduleParams(name="constant")
    grad_clip: float = param(1.0, "largest gradient norm; 0 is no limit", low=0.0, high=1.0e6)
    precision: Literal["fp32", "bf16", "amp"] = param("fp32", "arithmetic of training")
    compile: bool = param(False, "whether torch.compile is used")
    missing: MissingParams = MissingParams()


def incompatible(card: DatasetCard) -> str | None:
    """Why a forecaster cannot run on a data set; None if it can."""
    if card.task != "forecasting" or card.layout != "nlc":
        return f"it forecasts windows (layout nlc); '{card.name}' is {card.task}, layout {card.layout}"
    return None


class Hidden:
    """Which inputs are hidden now: a ratio and a seeded generator, by stage of training and evaluation.

    Every evaluation starts from the same mask; every epoch from its own.
    """

    def __init__(self, missing: MissingParams, seed: int) -> None:
        self.missing, self.seed = missing, seed
        self.ratio = missing.ratio if missing.scope == "both" else 0.0
        self.generator = torch.Generator()

    def before_epoch(self, epoch: int) -> None:
        """Seed the masks of an epoch."""
        self.generator.manual_seed(derive_seed(self.seed, "missing", epoch))

    @contextmanager
    def evaluating(self, ratio: float | None = None) -> Iterator[None]:
        """Hide as the evaluation does, or another share; always the same values."""
        before = self.ratio, self.generator
        self.ratio = self.missing.ratio if ratio is None else ratio
        seed = derive_seed(self.seed, "missing", "evaluation", str(self.ratio))
        self.generator = torch.Generator().manual_seed(seed)
        try:
            yield
        finally:
            self.ratio, self.generator = before

    def curve(
        self, predict: Callable[[Batch], Tensor], batches: Callable[[], Iterable[Batch]]
    ) -> dict[str, float]:
        """R2 with one global mean by share of hidden inputs; {} unless asked for."""
        found = {}
        for ratio in RATIOS if self.missing.curve else ():
            with self.evaluating(ratio):
                pairs = [(predict(batch).double(), batch.y.double()) for batch in batches()]
            error = sum(float((p - y).square().sum()) for p, y in pairs)
            y = torch.cat([y for _, y in pairs])
            found[f"r2@missing={ratio:g}"] = 1.0 - error / float((y - y.mean()).square().sum())
        return found


class ForecastLearner(Learner):
    """A :class:`ForecastNet` in training by gradients."""

    model: ForecastNet

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.params: Any = job.params
        self.hidden = Hidden(job.params.missing, job.seed)

    def begin(self, stage: Stage) -> None:
        """The only stage."""
        self.stage = stage
        self.optimizers = (self.params.optimizer.build(self.model.parameters()),)
        self.schedulers = self.params.schedule.build(self.optimizers[0], stage.epochs)

    def before_epoch(self, epoch: int) -> None:
        """Seed the masks."""
        self.hidden.before_epoch(epoch)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The evaluation's masks."""
        with self.hidden.evaluating():
            yield

    def predict(self, batch: Batch) -> Tensor:
        """Forecasts (B, H, C)."""
        variates, hidden = self.job.card.variates, self.hidden
        out: Tensor = self.model(batch.x, variates, hidden.ratio, hidden.generator)
        return out

    def extra_metrics(self, batches: Callable[[], Iterable[Batch]]) -> Mapping[str, float]:
        """R2 by share of hidden inputs, if asked for."""
        return self.hidden.curve(self.predict, batches)
