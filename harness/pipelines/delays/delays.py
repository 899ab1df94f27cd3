"""`delays`: arXiv 2306.17670, spiking networks without, with fixed random and with learned delays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from harness.contracts import Batch, DatasetCard, Events, Job, Learner, Pipeline, Stage
from harness.errors import DataError, IncompatibleError
from harness.events.anchored import frames, timestep_us
from harness.ids import derive_seed
from harness.layers.delay import DelayLayer, delay_layers, rounded
from harness.layers.delay.kernel import limits, whole_positions
from harness.layers.delay_augment import cutmix, mask_time_and_channels
from harness.models.delays import DelayNet, DelayNetSpec
from harness.pipelines.delays.delays_params import PUBLISHED, DelaysParams
from harness.space import Scalar

PEAK = 5.0
"""One cycle's peak over the nominal learning rate."""


class DelaysLearner(Learner):
    """A :class:`DelayNet` with the released code's optimisers, schedules and rounded evaluation."""

    model: DelayNet

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.params: DelaysParams = job.params
        self.steps = _steps(self.params, job.card)
        self.generator = torch.Generator()
        spec = _network_spec(self.params, job.card)
        weights = torch.Generator().manual_seed(derive_seed(job.seed, "weights"))
        self.model = DelayNet(spec, self.params.neuron.build, weights).to(job.device)
        self._positions_before: list[Tensor] = []
        self._whole = False

    # -- training -----------------------------------------------------------------------------------

    def begin(self, stage: Stage) -> None:
        """The only stage: Adam by one cycle for weights, Adam by a cosine for positions."""
        self.stage = stage
        options, epochs = self.params.optimizer, max(1, stage.epochs)
        positions = [p for p in map(_position, delay_layers(self.model)) if p is not None]
        taken = {id(p) for p in positions}
        rest = [p for p in self.model.parameters() if p.requires_grad and id(p) not in taken]
        synapses = [p for p in rest if p.dim() > 1]
        others = [p for p in rest if p.dim() <= 1]
        groups = [
            {"params": synapses, "weight_decay": options.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        weights = torch.optim.Adam([group for group in groups if group["params"]], lr=options.lr)
        cycle = OneCycleLR(weights, max_lr=PEAK * options.lr, total_steps=epochs)
        self.optimizers, self.schedulers = (weights,), (cycle,)
        if positions:
            delays = torch.optim.Adam(positions, lr=options.position_ratio * options.lr)
            self.optimizers += (delays,)
            self.schedulers += (CosineAnnealingLR(delays, T_max=epochs),)

    def before_epoch(self, epoch: int) -> None:
        """Set sigma for the epoch or make delays whole, seed the augmentation, note where positions are."""
        self.generator.manual_seed(derive_seed(self.job.seed, "augment", epoch))
        self._whole = self.params.delay.whole(epoch, self.stage.epochs)
        sigma = 0.0 if self._whole else self.params.delay.sigma(epoch, self.stage.epochs)
        for layer in delay_layers(self.model):
            layer.set_sigma(sigma)
        self._positions_before = [p.detach().clone() for p in self._positions()]

    def after_step(self) -> None:
        """Clamp positions to the range and re-apply sparse masks."""
        self.model.constrain()

    def loss(self, batch: Batch) -> Tensor:
        """Cross entropy of the augmented batch."""
        x_tbc, length = self.inputs(batch)
        target = batch.y
        if "tn" in self.params.augment:
            most = (self.params.delay.max // 3, x_tbc.shape[2] // 5)
            x_tbc = mask_time_and_channels(x_tbc, self.generator, most_steps=most[0], most_channels=most[1])
        if "cutmix" in self.params.augment:
            x_tbc, target = cutmix(x_tbc, target, self.job.card.classes, self.generator)
        with rounded(self.model) if self._whole else nullcontext():
            output = self.model(x_tbc, length)
        return functional.cross_entropy(output.float(), target)

    def predict(self, batch: Batch) -> Tensor:
        """Logits (B, classes)."""
        out: Tensor = self.model(*self.inputs(batch))
        return out

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Frames (T, B, C) and each sample's own number of them."""
        x, params = batch.x, self.params
        if not isinstance(x, Events):
            return x.transpose(0, 1).contiguous(), batch.length
        return frames(
            x,
            timestep_ms=params.timestep_ms,
            binning=params.binning,
            group=params.channel_group,
            steps=self.steps if params.padding == "recording" else None,
        )

    # -- evaluation ---------------------------------------------------------------------------------

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Whole delays, one tap each; the training state is not touched."""
        with rounded(self.model):
            yield

    def epoch_metrics(self) -> Mapping[str, float]:
        """Sigma, how far positions moved this epoch, the shares at the range's ends, delays at the end.

        ``delay_share/NN`` (after the last epoch): the share of delays that round to NN timesteps.
        """
        positions = self._positions()
        if not positions:
            return {}
        flat = torch.cat([p.detach().flatten() for p in positions])
        low, high = limits(self.params.delay.max)
        found = {
            "sigma": float(delay_layers(self.model)[0].sigma),
            "share_at_longest_delay": float((flat <= low).float().mean()),
            "share_at_shortest_delay": float((flat >= high).float().mean()),
        }
        if self._positions_before:
            moved = flat - torch.cat([p.flatten() for p in self._positions_before])
            found["position_move"] = float(moved.abs().mean())
        if self.schedulers and self.schedulers[0].last_epoch >= self.stage.epochs:
            found |= _histogram(flat, self.params.delay.max)
        return found

    def _positions(self) -> list[nn.Parameter]:
        return [p for p in map(_position, delay_layers(self.model)) if p is not None]


def _position(layer: DelayLayer) -> nn.Parameter | None:
    return layer.position if isinstance(layer.position, nn.Parameter) else None


def _histogram(flat: Tensor, taps: int) -> dict[str, float]:
    delays = taps - 1 - taps // 2 - whole_positions(flat, taps)
    share = torch.bincount(delays.long(), minlength=taps).float() / flat.numel()
    return {f"delay_share/{delay:02d}": float(value) for delay, value in enumerate(share)}


def _network_spec(params: DelaysParams, card: DatasetCard) -> DelayNetSpec:
    net = params.network
    return DelayNetSpec(
        inputs=_channels(params, card),
        classes=card.classes,
        width=net.width,
        depth=net.depth,
        decay=1.0 - 1.0 / float(params.neuron.constant("tau")),
        delay=params.delay.spec(net.sparsity),
        dropout=net.dropout,
        readout=net.readout,
        mask_padding=net.mask_padding,
        sparsity=net.sparsity,
    )


def _channels(params: DelaysParams, card: DatasetCard) -> int:
    channels = card.shape[-1]
    if card.layout != "events":
        return channels
    if channels % params.channel_group:
        raise IncompatibleError(
            f"channel_group {params.channel_group} does not divide the {channels} channels of "
            f"'{card.name}'; allowed are its divisors.",
            names=("channel_group",),
        )
    return channels // params.channel_group


def _steps(params: DelaysParams, card: DatasetCard) -> int:
    """Frames of one recording; 0 where that is not known. Raises IncompatibleError."""
    if card.layout != "events":
        steps, timestep_ms = max(0, card.shape[0]), 0.0
        whole = f"{steps} steps"
    else:
        timestep_ms = params.timestep_ms
        try:
            width, duration = timestep_us(timestep_ms), round(card.duration_ms * 1000)
        except DataError as error:
            raise IncompatibleError(str(error), names=("timestep_ms",)) from None
        if params.padding == "recording" and duration % width:
            raise IncompatibleError(
                f"timestep_ms {timestep_ms:g} does not divide the {card.duration_ms:g} ms of a recording "
                f"of '{card.name}'; take a divisor, or padding 'batch'.",
                names=("timestep_ms", "padding"),
            )
        steps, whole = -(-duration // width), f"{card.duration_ms:g} ms"
    if params.delay.kind != "none" and 0 < steps < params.delay.max:
        longest = params.delay.max - 1
        unit = f" ({longest * timestep_ms:g} ms)" if timestep_ms else ""
        raise IncompatibleError(
            f"delay.max {params.delay.max} allows delays of {longest} timesteps{unit}, longer than a "
            f"recording of '{card.name}' ({whole}); allowed are 1 to {steps}.",
            names=("delay.max", "timestep_ms", "delay.kind"),
        )
    return steps


class Delays(Pipeline):
    """The networks and the recipe of arXiv 2306.17670."""

    name = "delays"
    Params = DelaysParams
    neurons = ("lif",)
    default_neuron = "lif"
    neuron_defaults: ClassVar[Mapping[str, Scalar]] = {"tau": 1.005, "surrogate.width": 0.2}

    def incompatible(self, card: DatasetCard) -> str | None:
        """Classification of channels over time: events on one axis, or sequences."""
        if card.task != "classification":
            return f"it classifies; '{card.name}' is for {card.task}"
        if card.layout == "ntc" or (card.layout == "events" and len(card.shape) == 1):
            return None
        return f"it takes channels over time (ntc, or events on one axis); '{card.name}' has {card.layout}"

    def validate(self, params: Any, card: DatasetCard) -> None:
        """Channel groups, timesteps and ranges of delays that the recordings do not have."""
        _channels(params, card)
        _steps(params, card)

    def stages(self, params: Any, epochs: int, seed: int) -> tuple[Stage, ...]:
        """One stage."""
        return (Stage("train", epochs),)

    def learner(self, job: Job) -> Learner:
        """A new network. Raises IncompatibleError where delays, timestep or grouping do not fit the data."""
        return DelaysLearner(job)

    def published(self, card: DatasetCard) -> Mapping[str, Scalar] | None:
        """The released best configuration for SHD, SSC and GSC."""
        return PUBLISHED.get(card.name)
