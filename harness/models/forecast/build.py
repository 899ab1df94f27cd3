"""One forecasting network from its parameters: normalise, encode, backbone, read out, undo."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from harness.contracts import Neuron, NeuronSpec, ParamsModel, param
from harness.errors import IncompatibleError
from harness.models.forecast.encoders import Code, Encoder, StepEncoder
from harness.models.forecast.gru import PlainGRU, SpikeGRU
from harness.models.forecast.itransformer import ISpikformer, ITransformer
from harness.models.forecast.tcn import TCN
from harness.models.forecast.units import Fire, Held, InstanceNorm, fitted, hide
from harness.neurons.kernels import compiled
from harness.neurons.kernels.functional import lif_multistep

Backbone = Literal["tcn", "gru", "itransformer"]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
_TCN = {"net.backbone": ("tcn",)}
_FORMER = {"net.backbone": ("itransformer",)}
SEQSNN = "arXiv 2402.01533"


class NetParams(ParamsModel):
    """Sizes of a forecasting network; the same for every neuron and for the counterparts."""

    backbone: Backbone = param("itransformer", "tcn, gru, or attention between variates")
    encoder: Code = param("conv", "how values become spikes", source=SEQSNN)
    hidden: int = param(
        64, "encoder features (tcn), state (gru), token (itransformer)", low=1, high=4096, log=True
    )
    channels: int = param(16, "features of a level", low=1, high=1024, when=_TCN)
    levels: int = param(3, "levels, dilation 1, 2, 4, ..", low=1, high=10, when=_TCN)
    kernel: int = param(3, "taps of a convolution", low=1, high=64, when=_TCN)
    readout: Literal["features", "scalar"] = param(
        "features", "what of a variate is read out; scalar is the released code's", when=_TCN
    )
    depth: int = param(2, "blocks", low=1, high=24, when=_FORMER)
    heads: int = param(8, "attention heads", low=1, high=64, when=_FORMER)
    wide: int = param(256, "width inside a block", low=1, high=16384, log=True, when=_FORMER)
    revin: bool = param(True, "whether each window is standardised and its scale given back")


class StepLIF(Neuron):
    """The step encoder's neuron, the same whatever follows: tau 2, decaying input, hard reset."""

    def __init__(self) -> None:
        super().__init__()
        compiled.loops()  # before anything is timed

    def forward(self, x_tb: Tensor) -> Tensor:
        """Spikes (T, B, ...)."""
        return lif_multistep(x_tb, tau=2.0, decay_input=True)


class ForecastNet(nn.Module):
    """Windows (B, L, C + time features) to forecasts (B, H, C).

    tcn and gru forecast every variate by itself with shared weights, so time features, which are
    variates of the input, reach the forecast through itransformer alone (as in SeqSNN's `vsts`).
    ``hidden_ratio`` of the standardised inputs can be set to zero by the caller's generator.
    """

    def __init__(self, encoder: nn.Module, backbone: nn.Module, *, features: int, horizon: int) -> None:
        super().__init__()
        self.encoder, self.backbone = encoder, backbone
        self.readout = nn.Linear(features, horizon)
        self.revin = True

    def forward(
        self,
        x_blc: Tensor,
        variates: int,
        missing: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Forecasts (B, H, variates) on the scale of the inputs."""
        values, times = x_blc[..., :variates], x_blc[..., variates:]
        norm = InstanceNorm(values) if self.revin else None
        if norm is not None:
            values = norm.apply(values)
        x_blc = torch.cat([values, times], dim=2) if times.shape[2] else values
        if missing and generator is not None:
            x_blc = hide(x_blc, missing, generator)
        y_bch = self.readout(self.backbone(self.encoder(x_blc)))
        y_bhc: Tensor = y_bch.transpose(1, 2)[..., :variates]
        return y_bhc if norm is None else norm.undo(y_bhc)


def build_forecaster(
    net: NetParams, window: int, horizon: int, *, neuron: NeuronSpec | None = None, steps: int = 1
) -> ForecastNet:
    """A network with spiking neurons over ``steps`` timesteps, or with ReLU where ``neuron`` is None.

    Weights come from torch's global generator, which the caller seeds. Raises IncompatibleError where
    heads do not divide the token.
    """
    made = _spiking(net, window, steps, neuron) if neuron is not None else _plain(net, window)
    encoder, backbone, features = made
    model = ForecastNet(encoder, backbone, features=features, horizon=horizon)
    model.revin = net.revin
    return model


def _spiking(net: NetParams, window: int, steps: int, neuron: NeuronSpec) -> tuple[nn.Module, nn.Module, int]:
    def held(features: int, axis: int) -> nn.Module:
        return Held(fitted(neuron.build(), features, axis), steps)

    def timed(features: int, axis: int) -> nn.Module:
        return fitted(neuron.build(), features, axis)

    if net.backbone == "tcn":
        scalar = net.readout == "scalar"
        tcn = TCN(net.hidden, net.channels, net.levels, net.kernel, held, scalar=scalar)
        return Encoder(net.encoder, net.hidden, Fire()), tcn, tcn.features
    if net.backbone == "gru":
        gru = SpikeGRU(net.hidden, net.hidden, fitted(neuron.build(), net.hidden, -1))
        return Encoder(net.encoder, net.hidden, Fire()), gru, gru.features
    _check_heads(net)
    former = ISpikformer(window, net.hidden, net.depth, net.heads, net.wide, timed)
    return StepEncoder(net.encoder, steps, StepLIF()), former, former.features


def _plain(net: NetParams, window: int) -> tuple[nn.Module, nn.Module, int]:
    def relu(features: int, axis: int) -> nn.Module:
        return nn.ReLU()

    if net.backbone == "tcn":
        scalar = net.readout == "scalar"
        tcn = TCN(net.hidden, net.channels, net.levels, net.kernel, relu, scalar=scalar)
        return Encoder(net.encoder, net.hidden, nn.ReLU()), tcn, tcn.features
    if net.backbone == "gru":
        gru = PlainGRU(net.hidden, net.hidden)
        return Encoder(net.encoder, net.hidden, nn.ReLU()), gru, gru.features
    _check_heads(net)
    former = ITransformer(window, net.hidden, net.depth, net.heads, net.wide)
    return nn.Identity(), former, former.features


def _check_heads(net: NetParams) -> None:
    if net.hidden % net.heads:
        raise IncompatibleError(
            f"net.heads: {net.heads} heads do not divide net.hidden {net.hidden}; choose a multiple."
        )
