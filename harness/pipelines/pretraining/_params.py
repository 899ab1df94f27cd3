"""Parameters that the pipelines of networks share: optimiser, schedule, encoder, precision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import nn

from harness.contracts import ParamsModel, param
from harness.layers.augment import Augment, Flip
from harness.models.build import NetworkParams
from harness.models.encoders import Code, FrameSplit


class OptimizerParams(ParamsModel):
    """The optimiser of a stage."""

    name: Literal["adam", "adamw", "sgd"] = param("adam", "optimiser")
    lr: float = param(5.0e-3, "learning rate", low=1.0e-7, high=10.0, log=True)
    weight_decay: float = param(0.0, "L2 penalty (adamw: decoupled)", low=0.0, high=1.0)
    momentum: float = param(0.9, "momentum, of sgd alone", low=0.0, high=0.999)
    nesterov: bool = param(False, "Nesterov momentum, of sgd alone")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """A new optimiser of the parameters that require a gradient."""
        chosen = [parameter for parameter in parameters if parameter.requires_grad]
        common: dict[str, Any] = {"lr": self.lr, "weight_decay": self.weight_decay}
        if self.name == "sgd":
            nesterov = self.nesterov and self.momentum > 0
            return torch.optim.SGD(chosen, momentum=self.momentum, nesterov=nesterov, **common)
        kind = torch.optim.Adam if self.name == "adam" else torch.optim.AdamW
        return kind(chosen, **common)


class ScheduleParams(ParamsModel):
    """The learning rate over the epochs of a stage."""

    name: Literal["constant", "cosine", "steps"] = param("cosine", "schedule of the learning rate")
    period: int = param(
        0, "cosine: epochs to the minimum; 0 is the stage's length", unit="epochs", low=0, high=10_000
    )
    floor: float = param(0.0, "cosine: the smallest learning rate", low=0.0, high=1.0)
    first: int = param(2, "steps: epoch of the first drop", unit="epochs", low=1, high=10_000)
    every: int = param(2, "steps: epochs between drops", unit="epochs", low=1, high=10_000)
    drops: int = param(4, "steps: how many drops", low=1, high=100)
    gamma: float = param(0.3, "steps: factor of a drop", low=0.0, high=1.0)

    def build(
        self, optimizer: torch.optim.Optimizer, epochs: int
    ) -> tuple[torch.optim.lr_scheduler.LRScheduler, ...]:
        """The schedulers, stepped once an epoch."""
        if self.name == "constant":
            return ()
        if self.name == "cosine":
            period = self.period or max(1, epochs)
            return (torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, period, self.floor),)
        milestones = [self.first + self.every * drop for drop in range(self.drops)]
        return (torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, self.gamma),)


class EncoderParams(ParamsModel):
    """How inputs become sequences."""

    code: Code = param("direct", "static values: constant current, Poisson spikes or latency")
    split: FrameSplit = param("time", "events: frames of equal duration or of equal counts")


class AugmentParams(ParamsModel):
    """Random views of training samples, images or frames; evaluation never sees them.

    They are drawn from the samples as the data set prepares them, of photographs (``imagenet``, ``images``)
    from the whole of them as they are read. Events are changed once they are frames.
    """

    shift: int = param(0, "largest shift along each axis; 0 is none", unit="pixels", low=0, high=1024)
    flip: Flip = param(
        "none", "mirrors, probability 1/2 each; each-frame draws the horizontal one at every timestep"
    )
    crop: float = param(
        1.0,
        "random resized crop: the smallest share of the area; 1 is none",
        low=0.01,
        high=1.0,
        source="torchvision's RandomResizedCrop has 0.08",
    )

    def build(self) -> Augment:
        """What changes a batch."""
        return Augment(self.shift, self.flip, self.crop)


class TrainingParams(ParamsModel):
    """What every pipeline of a network has."""

    batch_size: int = param(50, "samples a step", unit="samples", low=1, high=65_536, log=True)
    micro_batch: int = param(
        0,
        "samples a pass, whose gradients add up to a step's; 0: all at once. Normalisation sees a pass",
        unit="samples",
        low=0,
        high=65_536,
    )
    network: NetworkParams = NetworkParams()
    optimizer: OptimizerParams = OptimizerParams()
    schedule: ScheduleParams = ScheduleParams()
    augment: AugmentParams = AugmentParams()
    precision: Literal["fp32", "bf16", "amp"] = param("fp32", "arithmetic of training")
    compile: bool = param(False, "whether torch.compile is used")
    grad_clip: float = param(0.0, "largest gradient norm; 0 is no limit", low=0.0, high=1.0e6)


class SpikingParams(TrainingParams):
    """The same for a network that runs T timesteps."""

    timesteps: int = param(
        6, "T for static data and events; sequences and frames have their own", low=1, high=10_000
    )
    encoder: EncoderParams = EncoderParams()


def passes(params: TrainingParams) -> dict[str, Any]:
    """What of an artifact's content depends on how a batch is cut; nothing where it is not."""
    return {"micro_batch": params.micro_batch} if params.micro_batch else {}


def flat(model: ParamsModel, prefix: str = "") -> dict[str, Any]:
    """The scalars of a model by dotted name, for an artifact's content."""
    values: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, ParamsModel):
            values |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool | int | float | str):
            values[f"{prefix}{name}"] = value
    return values
