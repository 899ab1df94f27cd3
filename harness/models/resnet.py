"""Spiking ResNets: a small form for small data and the two forms of arXiv 2203.01158.

``imagenet``: conv7 s2 without bias, tdBN, no pooling, the first block of every stage strides.
``es``: convolutions with bias, max-pool, one neuron a block used twice, every shortcut normalised.
Sizes (docs/papers.md, Networks): 11,693,736 and 21,801,896 (imagenet, 18 and 34); 11,693,233 (es, 18).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from harness.contracts import Neuron
from harness.layers.time import over_time
from harness.models.network import Network, NeuronFactory

NormFactory = Callable[[int], nn.Module]


@dataclass(frozen=True, slots=True)
class Form:
    """The shape of a ResNet: stem, stages and what its blocks do."""

    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    strides: tuple[int, ...]
    stem_kernel: int = 3
    stem_pool: bool = False
    bias: bool = False
    twice: bool = False


def small(width: int = 12, stages: int = 3) -> Form:
    """conv3 s2, then one block a stage of width, 2 width, ...; for inputs from 8x8 to 34x34."""
    widths = tuple(width * 2**stage for stage in range(stages))
    return Form(widths, (1,) * stages, (1,) + (2,) * (stages - 1))


def imagenet(depth: int) -> Form:
    """ResNet-18 or -34 of the paper's ImageNet experiment (docs/papers.md, Networks)."""
    return Form(_WIDTHS, _BLOCKS[depth], (2, 2, 2, 2), stem_kernel=7)


def es_imagenet(depth: int) -> Form:
    """ResNet-18 or -34 of the paper's ES-ImageNet experiment (docs/papers.md, Networks)."""
    return Form(_WIDTHS, _BLOCKS[depth], (1, 2, 2, 2), 7, stem_pool=True, bias=True, twice=True)


_WIDTHS = (64, 128, 256, 512)
_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class BasicBlock(nn.Module):
    """conv3 - norm - neuron - conv3 - norm, plus the shortcut, then a neuron (T, B, C, H, W)."""

    def __init__(
        self, channels: tuple[int, int], stride: int, norm: NormFactory, neuron: NeuronFactory
    ) -> None:
        super().__init__()
        wide_in, wide_out = channels
        self.conv1 = nn.Conv2d(wide_in, wide_out, 3, stride, 1, bias=False)
        self.norm1 = norm(wide_out)
        self.neuron1 = neuron()
        self.conv2 = nn.Conv2d(wide_out, wide_out, 3, 1, 1, bias=False)
        self.norm2 = norm(wide_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or wide_in != wide_out:
            conv = nn.Conv2d(wide_in, wide_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, norm(wide_out))
        self.neuron2 = neuron()

    def forward(self, x_tb: Tensor) -> Tensor:
        """(T, B, C, H, W) to (T, B, C', H/stride, W/stride)."""
        inner_tb = self.neuron1(over_time(lambda x: self.norm1(self.conv1(x)), x_tb))
        sum_tb = over_time(lambda x: self.norm2(self.conv2(x)), inner_tb)
        out: Tensor = self.neuron2(sum_tb + over_time(self.shortcut, x_tb))
        return out


class TwiceBlock(nn.Module):
    """The ES-ImageNet block: one neuron in the middle and, after f(sum), once more at the end.

    f is the neuron's output at a single step from rest: its activation (LIAF) or a spike (LIF).
    Convolutions have a bias and the shortcut is always normalised.
    """

    def __init__(
        self, channels: tuple[int, int], stride: int, norm: NormFactory, neuron: NeuronFactory
    ) -> None:
        super().__init__()
        wide_in, wide_out = channels
        self.conv1 = nn.Conv2d(wide_in, wide_out, 3, stride, 1)
        self.norm1 = norm(wide_out)
        self.conv2 = nn.Conv2d(wide_out, wide_out, 3, 1, 1)
        self.norm2 = norm(wide_out)
        projects = stride != 1 or wide_in != wide_out
        conv = nn.Conv2d(wide_in, wide_out, 1, stride) if projects else nn.Identity()
        self.shortcut = nn.Sequential(conv, norm(wide_out))
        self.neuron = neuron()

    def forward(self, x_tb: Tensor) -> Tensor:
        """(T, B, C, H, W) to (T, B, C', H/stride, W/stride)."""
        inner_tb = self.neuron(over_time(lambda x: self.norm1(self.conv1(x)), x_tb))
        sum_tb = over_time(lambda x: self.norm2(self.conv2(x)), inner_tb)
        sum_tb = sum_tb + over_time(self.shortcut, x_tb)
        out: Tensor = self.neuron(from_rest(self.neuron, sum_tb))
        return out


def from_rest(neuron: Neuron, x_tb: Tensor) -> Tensor:
    """The neuron's output to every step as if it were the first: f(x), same shape."""
    out: Tensor = neuron(x_tb.flatten(0, 1).unsqueeze(0)).squeeze(0)
    return out.reshape(x_tb.shape)


class ResNet(Network):
    """A spiking ResNet over (T, B, C, H, W): stem, stages, global average, mean over T, linear."""

    stem = "conv"

    def __init__(
        self,
        form: Form,
        channels: int,
        classes: int,
        norm: NormFactory,
        neuron: NeuronFactory,
    ) -> None:
        super().__init__()
        self.form = form
        width, kernel = form.widths[0], form.stem_kernel
        self.conv = nn.Conv2d(channels, width, kernel, 2, kernel // 2, bias=form.bias)
        self.norm = norm(width)
        self.neuron = neuron()
        block = TwiceBlock if form.twice else BasicBlock
        layers: list[nn.Module] = []
        for wide, count, stride in zip(form.widths, form.blocks, form.strides, strict=True):
            for index in range(count):
                layers.append(block((width, wide), 1 if index else stride, norm, neuron))
                width = wide
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Linear(width, classes)

    def features(self, x_tb: Tensor) -> Tensor:
        """Globally averaged spikes of the last block, (T, B, F)."""
        x_tb = self.neuron(over_time(lambda x: self.norm(self.conv(x)), x_tb))
        if self.form.stem_pool:
            x_tb = over_time(lambda x: functional.max_pool2d(x, 3, 2), x_tb)
        out: Tensor = self.blocks(x_tb)
        return out.mean((-2, -1))
