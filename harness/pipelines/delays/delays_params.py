"""Parameters of the pipeline ``delays``, with the constants of arXiv 2306.17670's released code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from harness.contracts import NeuronSpec, ParamsModel, param
from harness.events.anchored import Binning
from harness.layers.delay import Backend, DelaySpec, sigma_after
from harness.layers.delay.kernel import Shape
from harness.models.delays import Readout
from harness.space import Scalar

CODE = "arXiv 2306.17670, released code"
SIGMA_END = 0.23
DELAYED = {"delay.kind": ("fixed", "learned")}
KERNEL = {"delay.kind": ("fixed", "learned", "dense")}
LEARNED = {"delay.kind": ("learned",)}
DECREASING = LEARNED | {"delay.schedule": ("decreasing",)}


class DelayParams(ParamsModel):
    """The delays of every layer."""

    kind: Literal["none", "fixed", "learned", "dense"] = param(
        "learned",
        "no delays (no kernel), fixed random whole ones, learned ones, or a free temporal convolution",
        source=CODE,
    )
    max: int = param(
        25,
        "taps K of a kernel: delays of 0 to K - 1 timesteps",
        unit="timesteps",
        low=1,
        high=1000,
        source=CODE,
        when=KERNEL,
    )
    elements: int = param(1, "delays a synapse (kernel count KC)", low=1, high=16, source=CODE, when=DELAYED)
    kernel: Shape = param("gauss", "shape of the training kernel", source=CODE, when=LEARNED)
    schedule: Literal["decreasing", "constant"] = param(
        "decreasing", "sigma over the epochs; constant holds 0.23", source=CODE, when=LEARNED
    )
    sigma_fraction: float = param(
        0.5,
        "sigma of the first epoch, as a share of K, rounded down",
        low=0.0,
        high=1.0,
        source=CODE,
        when=DECREASING,
    )
    final_fraction: float = param(
        0.25,
        "share of the epochs after which sigma stays at 0.23",
        low=0.0,
        high=1.0,
        source=CODE,
        when=DECREASING,
    )
    whole_fraction: float = param(
        0.0,
        "share of the epochs, the last ones, that train with whole delays as evaluated; delays then stay",
        low=0.0,
        high=1.0,
        when=LEARNED,
    )
    train_weights: bool = param(True, "false: weights stay random, delays alone are learned", when=LEARNED)
    backend: Backend = param("auto", "how delayed sums are computed; all are equal", when=KERNEL)

    def sigma(self, epoch: int, epochs: int) -> float:
        """Sigma in force during an epoch (from 0) of a run of ``epochs``."""
        if self.schedule == "constant":
            return SIGMA_END
        start = float(int(self.max * self.sigma_fraction + 1e-9))
        return sigma_after(epoch, max(start, SIGMA_END), int(epochs * self.final_fraction + 1e-9), SIGMA_END)

    def whole(self, epoch: int, epochs: int) -> bool:
        """Whether an epoch (from 0) of a run of ``epochs`` trains with whole delays."""
        return self.kind == "learned" and epoch >= epochs - int(epochs * self.whole_fraction + 1e-9)

    def spec(self, sparsity: float) -> DelaySpec | None:
        """The layer's spec, sizes left to the network; None for no delays."""
        if self.kind == "none":
            return None
        return DelaySpec(
            1,
            1,
            self.max,
            elements=self.elements,
            kind=self.kind,
            shape=self.kernel,
            sigma=SIGMA_END,
            train_weights=self.train_weights,
            sparsity=sparsity,
            backend=self.backend,
        )


class DelayNetworkParams(ParamsModel):
    """The stack of layers."""

    width: int = param(
        256, "units of a hidden layer", unit="units", low=1, high=16_384, log=True, source=CODE
    )
    depth: int = param(2, "hidden layers", unit="layers", low=1, high=16, source=CODE)
    dropout: float = param(0.4, "dropout of spikes, one mask a sequence", low=0.0, high=0.95, source=CODE)
    sparsity: float = param(
        0.0, "share of synapses that a fixed random mask removes", low=0.0, high=0.999, source=CODE
    )
    readout: Readout = param("sum", "logits from the readout's membrane over time", source=CODE)
    mask_padding: bool = param(
        False, "leave padded steps out of the readout (the code sums over the batch's longest sample)"
    )


class DelayOptimizerParams(ParamsModel):
    """Two Adams: weights by one cycle, positions by a cosine."""

    lr: float = param(
        1.0e-3,
        "learning rate of weights; it climbs to 5 times this",
        low=1.0e-6,
        high=1.0,
        log=True,
        source=CODE,
    )
    weight_decay: float = param(1.0e-5, "L2 penalty on weights", low=0.0, high=1.0, source=CODE)
    position_ratio: float = param(
        100.0,
        "learning rate of positions over that of weights",
        low=0.0,
        high=1.0e5,
        log=True,
        source=CODE,
        when=LEARNED,
    )


class DelaysParams(ParamsModel):
    """All parameters of a run; the defaults are the best configuration for SHD."""

    timestep_ms: float = param(
        10.0, "length of a frame of events", unit="ms", low=0.1, high=1000.0, log=True, source=CODE
    )
    channel_group: int = param(
        5, "neighbouring channels summed into one (events)", unit="channels", low=1, high=700, source=CODE
    )
    binning: Binning = param(
        "events", "frames that open at an event (as published) or a grid of equal frames", source=CODE
    )
    padding: Literal["batch", "recording"] = param(
        "batch", "T: the longest sample of the batch (as published), or the data set's duration", source=CODE
    )
    augment: Literal["none", "tn", "cutmix", "tn+cutmix"] = param(
        "none", "time and channel masks, CutMix; off in all published runs", source=CODE
    )
    batch_size: int = param(256, "samples a step", unit="samples", low=1, high=65_536, log=True, source=CODE)
    delay: DelayParams = DelayParams()
    network: DelayNetworkParams = DelayNetworkParams()
    optimizer: DelayOptimizerParams = DelayOptimizerParams()
    neuron: NeuronSpec
    precision: Literal["fp32", "bf16", "amp"] = param("fp32", "arithmetic of training")
    compile: bool = param(False, "whether torch.compile is used")


_SHD: Mapping[str, Scalar] = {
    "timestep_ms": 10.0,
    "channel_group": 5,
    "binning": "events",
    "padding": "batch",
    "augment": "none",
    "batch_size": 256,
    "delay.kind": "learned",
    "delay.max": 25,
    "delay.elements": 1,
    "delay.kernel": "gauss",
    "delay.schedule": "decreasing",
    "delay.sigma_fraction": 0.5,
    "delay.final_fraction": 0.25,
    "delay.whole_fraction": 0.0,
    "delay.train_weights": True,
    "network.width": 256,
    "network.depth": 2,
    "network.dropout": 0.4,
    "network.sparsity": 0.0,
    "network.readout": "sum",
    "network.mask_padding": False,
    "optimizer.lr": 1.0e-3,
    "optimizer.weight_decay": 1.0e-5,
    "optimizer.position_ratio": 100.0,
    "neuron.name": "lif",
    "neuron.tau": 1.005,
    "neuron.v_threshold": 1.0,
    "neuron.reset": "hard",
    "neuron.decay_input": False,
    "neuron.surrogate.name": "atan",
    "neuron.surrogate.width": 0.2,
}
_SSC: Mapping[str, Scalar] = {
    **_SHD,
    "batch_size": 128,
    "delay.max": 31,
    "network.width": 512,
    "network.depth": 3,
    "network.dropout": 0.25,
    "neuron.tau": 1.5,
}
PUBLISHED: Mapping[str, Mapping[str, Scalar]] = {"shd": _SHD, "ssc": _SSC, "gsc": _SSC, "gsc-mel": _SSC}
"""The released configurations: SHD 2L-1KC for 150 epochs, SSC 3L-1KC for 60, GSC 3L-1KC for 100."""
EPOCHS: Mapping[str, int] = {"shd": 150, "ssc": 60, "gsc": 100}
