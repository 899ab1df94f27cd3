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
from harness.models.forecast.units import Fire, Held, InstanceNorm, Maker, fitted, hide
from harness.neurons.kernels import compiled
from harness.neurons.kernels.functional import lif_multistep

Backbone = Literal["tcn", "gru", "itransformer"]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
_TCN = {"net.backbone": ("tcn",)}
_GRU = {"net.backbone": ("gru",)}
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
    padding: Literal["input", "layers"] = param(
        "input",
        "a window shorter than the reach is padded once, or each convolution pads (released, cheaper)",
        source=SEQSNN,
        when=_TCN,
    )
    positions: int = param(
        0, "rows of a binary position code beside the variates (released: 40)", low=0, high=512, when=_TCN
    )
    head: Literal["shared", "dense"] = param(
        "shared", "readout of a variate from its own features, or of all from all (released)", when=_TCN
    )
    gru_reads: Literal["both", "last"] = param(
        "both", "last output and mean over the window, or the last one (TS-LIF's code)", when=_GRU
    )
    reads: Literal["mean", "last"] = param(
        "mean", "spiking: the mean over T of the last block, or its last step (released)", when=_FORMER
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

    def __init__(
        self,
        encoder: nn.Module,
        backbone: nn.Module,
        *,
        features: int,
        horizon: int,
        dense: tuple[int, int] | None,
    ) -> None:
        """``dense``: columns that the backbone hands out and variates, where all are read from all."""
        super().__init__()
        self.encoder, self.backbone, self.horizon = encoder, backbone, horizon
        sizes = (features, horizon) if dense is None else (dense[0] * features, horizon * dense[1])
        self.readout, self.dense = nn.Linear(*sizes), dense is not None
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
        features_bcf = self.backbone(self.encoder(x_blc))
        if self.dense:
            y_bhc: Tensor = self.readout(features_bcf.flatten(1)).view(-1, self.horizon, variates)
        else:
            y_bhc = self.readout(features_bcf).transpose(1, 2)[..., :variates]
        return y_bhc if norm is None else norm.undo(y_bhc)


def build_forecaster(
    net: NetParams,
    window: int,
    horizon: int,
    *,
    neuron: NeuronSpec | None = None,
    steps: int = 1,
    columns: int = 0,
    variates: int = 0,
) -> ForecastNet:
    """A network with spiking neurons over ``steps`` timesteps, or with ReLU where ``neuron`` is None.

    ``columns`` of the input, ``variates`` of them to forecast: what a dense head has to know. Weights come
    from torch's global generator, which the caller seeds. Raises IncompatibleError where
    heads do not divide the token.
    """
    made = _spiking(net, window, steps, neuron) if neuron is not None else _plain(net, window)
    encoder, backbone, features = made
    dense = None
    if net.backbone == "tcn" and net.head == "dense":
        dense = (columns + net.positions, variates)
    model = ForecastNet(encoder, backbone, features=features, horizon=horizon, dense=dense)
    model.revin = net.revin
    return model


def _spiking(net: NetParams, window: int, steps: int, neuron: NeuronSpec) -> tuple[nn.Module, nn.Module, int]:
    def held(features: int, axis: int) -> nn.Module:
        return Held(fitted(neuron.build(), features, axis), steps)

    def timed(features: int, axis: int) -> nn.Module:
        return fitted(neuron.build(), features, axis)

    if net.backbone == "tcn":
        tcn = _tcn(net, held)
        return Encoder(net.encoder, net.hidden, Fire()), tcn, tcn.features
    if net.backbone == "gru":
        gru = SpikeGRU(
            net.hidden, net.hidden, fitted(neuron.build(), net.hidden, -1), last=net.gru_reads == "last"
        )
        return Encoder(net.encoder, net.hidden, Fire()), gru, gru.features
    _check_heads(net)
    last = net.reads == "last"
    former = ISpikformer(window, net.hidden, net.depth, net.heads, net.wide, timed, last=last)
    return StepEncoder(net.encoder, steps, StepLIF()), former, former.features


def _plain(net: NetParams, window: int) -> tuple[nn.Module, nn.Module, int]:
    def relu(features: int, axis: int) -> nn.Module:
        return nn.ReLU()

    if net.backbone == "tcn":
        tcn = _tcn(net, relu)
        return Encoder(net.encoder, net.hidden, nn.ReLU()), tcn, tcn.features
    if net.backbone == "gru":
        gru = PlainGRU(net.hidden, net.hidden, last=net.gru_reads == "last")
        return Encoder(net.encoder, net.hidden, nn.ReLU()), gru, gru.features
    _check_heads(net)
    former = ITransformer(window, net.hidden, net.depth, net.heads, net.wide)
    return nn.Identity(), former, former.features


def _tcn(net: NetParams, make: Maker) -> TCN:
    return TCN(
        net.hidden,
        net.channels,
        net.levels,
        net.kernel,
        make,
        scalar=net.readout == "scalar",
        padded=net.padding == "layers",
        positions=net.positions,
    )


def _check_heads(net: NetParams) -> None:
    if net.hidden % net.heads:
        raise IncompatibleError(
            f"net.heads: {net.heads} heads do not divide net.hidden {net.hidden}; choose a multiple."
        )
