"""The CRNN for video events: a spiking convolutional encoder and an analog LSTM decoder.

Source: arXiv 2203.01158 (docs/papers.md, Networks): conv 5x5 s2 (8), 3x3 s2 (16, 32, 64), no padding,
BN, neuron, no pooling; 256x342 becomes 14x20 and 17,920 features; FC 1024 (neuron), FC 512
(linear); LSTM 512 to 256, its last step to the classes. LSTM and readout never spike.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.errors import IncompatibleError
from harness.layers.time import over_time
from harness.models.network import Network, NeuronFactory
from harness.models.resnet import NormFactory

KERNELS = (5, 3, 3, 3)


class CRNN(Network):
    """Encoder (T, B, C, H, W) to (T, B, embedding), LSTM over T, logits of the last step.

    ``scale`` divides every width and ``pad`` pads the convolutions, for small data (the paper: 1
    and no). Raises IncompatibleError where frames are too small for four strided convolutions.
    """

    stem = "convs.0"
    decoder_prefixes = ("lstm.", "head.")

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        norm: NormFactory,
        neuron: NeuronFactory,
        *,
        scale: int = 1,
        pad: bool = False,
    ) -> None:
        super().__init__()
        channels, height, width = shape
        widths = [max(1, wide // scale) for wide in (8, 16, 32, 64)]
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        self.neurons = nn.ModuleList()
        for wide, kernel in zip(widths, KERNELS, strict=True):
            around = kernel // 2 if pad else 0
            self.convs.append(nn.Conv2d(channels, wide, kernel, 2, around))
            self.norms.append(norm(wide))
            self.neurons.append(neuron())
            channels = wide
            height, width = ((side + 2 * around - kernel) // 2 + 1 for side in (height, width))
        if min(height, width) < 1:
            raise IncompatibleError(
                f"crnn: frames of {shape[1]}x{shape[2]} are too small; 33x33 are needed, or pad."
            )
        self.flat = channels * height * width
        self.fc1 = nn.Linear(self.flat, 1024 // scale)
        self.fc1_neuron = neuron()
        self.fc2 = nn.Linear(1024 // scale, 512 // scale)
        self.lstm = nn.LSTM(512 // scale, 256 // scale)
        self.head = nn.Linear(256 // scale, classes)

    def features(self, x_tb: Tensor) -> Tensor:
        """The LSTM's output at every step, (T, B, hidden)."""
        out: Tensor = self.lstm(self.encode(x_tb))[0]
        return out

    def encode(self, x_tb: Tensor) -> Tensor:
        """The embedding of every frame, (T, B, 512 / scale)."""
        for conv, norm, neuron in zip(self.convs, self.norms, self.neurons, strict=True):
            x_tb = neuron(over_time(lambda x, c=conv, n=norm: n(c(x)), x_tb))  # type: ignore[misc]
        x_tb = self.fc1_neuron(over_time(self.fc1, x_tb.flatten(2)))
        return over_time(self.fc2, x_tb)

    def forward(self, x_tb: Tensor, length: Tensor | None = None) -> Tensor:
        """Logits (B, classes) of the last (valid) step."""
        features_tbf = self.features(x_tb)
        if length is None:
            last_bf = features_tbf[-1]
        else:
            at = length.clamp(1, len(features_tbf)).to(x_tb.device) - 1
            last_bf = features_tbf[at, torch.arange(features_tbf.shape[1], device=x_tb.device)]
        out: Tensor = self.head(last_bf)
        return out

    def forward_by_step(self, x_tb: Tensor) -> Tensor:
        """Logits of every step, (T, B, classes)."""
        out: Tensor = self.head(self.features(x_tb))
        return out
