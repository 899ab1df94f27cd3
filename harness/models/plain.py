"""An MLP for vectors and sequences of vectors, and a small VGG for images and frames."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from harness.layers.time import over_time
from harness.models.network import Network, NeuronFactory
from harness.models.resnet import NormFactory


class MLP(Network):
    """``depth`` times linear - norm - neuron, then a linear readout, over (T, B, ...).

    Further axes are flattened; a sample's own time axis is the T of its sequence.
    """

    stem = "layers.0.linear"

    def __init__(
        self,
        inputs: int,
        hidden: tuple[int, ...],
        classes: int,
        norm: NormFactory,
        neuron: NeuronFactory,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(_Dense(wide_in, out, norm, neuron) for wide_in, out in pairwise((inputs, *hidden)))
        )
        self.head = nn.Linear(hidden[-1], classes)

    def features(self, x_tb: Tensor) -> Tensor:
        """Outputs of the last hidden layer, (T, B, hidden)."""
        out: Tensor = self.layers(x_tb.flatten(2))
        return out


class _Dense(nn.Module):
    def __init__(self, inputs: int, outputs: int, norm: NormFactory, neuron: NeuronFactory) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = norm(outputs)
        self.neuron = neuron()

    def forward(self, x_tbn: Tensor) -> Tensor:
        out: Tensor = self.neuron(over_time(lambda x: self.norm(self.linear(x)), x_tbn))
        return out


class VGG(Network):
    """``stages`` times conv3 - norm - neuron - average pool 2, widths doubling, over (T, B, C, H, W).

    Pooling stops where an axis would vanish, so 8x8 inputs are enough for any depth. The last
    stage is averaged over space.
    """

    stem = "layers.0.conv"

    def __init__(
        self,
        channels: int,
        widths: tuple[int, ...],
        classes: int,
        norm: NormFactory,
        neuron: NeuronFactory,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(_Conv(wide_in, out, norm, neuron) for wide_in, out in pairwise((channels, *widths)))
        )
        self.head = nn.Linear(widths[-1], classes)

    def features(self, x_tb: Tensor) -> Tensor:
        """Globally averaged outputs of the last stage, (T, B, F)."""
        for layer in self.layers:
            x_tb = layer(x_tb)
            if min(x_tb.shape[-2:]) > 1:
                x_tb = over_time(lambda x: functional.avg_pool2d(x, 2), x_tb)
        return x_tb.mean((-2, -1))


class _Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int, norm: NormFactory, neuron: NeuronFactory) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.norm = norm(outputs)
        self.neuron = neuron()

    def forward(self, x_tb: Tensor) -> Tensor:
        out: Tensor = self.neuron(over_time(lambda x: self.norm(self.conv(x)), x_tb))
        return out
