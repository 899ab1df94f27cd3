"""The delay layer: one weight and one position for each element of each synapse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from harness.errors import HarnessError, UnknownNameError
from harness.layers.delay import dft
from harness.layers.delay.backends import (
    BACKENDS,
    Backend,
    chosen,
    convolve,
    gather,
)
from harness.layers.delay.kernel import Shape, delta_kernel, limits, spread_kernel, whole_positions

Kind = Literal["learned", "fixed", "dense"]
KINDS = ("learned", "fixed", "dense")


@dataclass(frozen=True, slots=True)
class DelaySpec:
    """What a delay layer is. ``taps`` K is the range: delays 0..K-1 steps.

    ``elements`` (KC) delays a synapse; ``kind`` learned, fixed (random whole delays) or dense (a free
    K-tap temporal convolution, no positions); ``shape`` and ``sigma`` of the training kernel;
    ``train_weights`` False learns delays alone; ``sparsity`` is the share of synapses that a fixed
    random mask removes. Raises HarnessError and UnknownNameError, one line each.
    """

    inputs: int
    outputs: int
    taps: int
    elements: int = 1
    kind: Kind = "learned"
    shape: Shape = "gauss"
    sigma: float = 0.23
    train_weights: bool = True
    sparsity: float = 0.0
    backend: Backend = "auto"

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "taps", "elements"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise HarnessError(
                    f"delay layer: {name} is {value!r}; allowed are whole numbers from 1. "
                    "A range of K taps holds delays of 0 to K - 1 timesteps."
                )
        for name, known in (("kind", KINDS), ("shape", ("gauss", "triangle")), ("backend", BACKENDS)):
            if getattr(self, name) not in known:
                raise UnknownNameError(f"delay {name}", getattr(self, name), known)
        if not 0.0 <= self.sparsity < 1.0:
            raise HarnessError(f"delay layer: sparsity {self.sparsity} is outside [0, 1).")
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise HarnessError(f"delay layer: sigma {self.sigma} is not a number >= 0.")


class DelayLayer(nn.Module):
    """Time-major delayed synapses: x (T, B, I) to (T + (K - 1) // 2, B, O); no bias.

    Source: arXiv 2306.17670 with its released code's initial values: weights uniform in
    +-sqrt(6 / (I KC)); positions U(floor(-K/2), K // 2), then clamped, so for odd K about 1 / K of
    them start at the largest delay. ``sigma`` is a buffer that the training recipe sets.
    """

    sigma: Tensor
    mask: Tensor | None
    position: Tensor | None

    def __init__(self, spec: DelaySpec, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("sigma", torch.tensor(float(spec.sigma)))
        first = spec.taps if spec.kind == "dense" else spec.elements
        self.weight = nn.Parameter(
            torch.empty(first, spec.outputs, spec.inputs), requires_grad=spec.train_weights
        )
        bound = math.sqrt(6.0 / (spec.inputs * first))
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        self._make_positions(generator)
        self.register_buffer("mask", None)
        if spec.sparsity > 0.0:
            shape = self.weight.shape
            self.mask = (torch.rand(shape, generator=generator) > spec.sparsity).float()
        self.constrain()
        self._whole = False
        self._kernel: Tensor | None = None
        self._spectrum: tuple[dft.Transforms, Tensor] | None = None

    def _make_positions(self, generator: torch.Generator | None) -> None:
        if self.spec.kind == "dense":
            self.register_buffer("position", None)
            return
        taps = self.spec.taps
        drawn = torch.empty_like(self.weight, requires_grad=False)
        drawn = drawn.uniform_(float((-taps) // 2), float(taps // 2), generator=generator)
        if self.spec.kind == "learned":
            self.position = nn.Parameter(drawn)
        else:
            self.register_buffer("position", whole_positions(drawn, taps))

    @property
    def fan_out(self) -> Tensor:
        """Synaptic operations that one spike of each input causes, (I,); the same in every backend."""
        return torch.count_nonzero(self.weight.detach(), dim=(0, 1))

    @torch.no_grad()
    def constrain(self) -> None:
        """Clamp positions to the range and re-apply the mask; call it after every step."""
        if isinstance(self.position, nn.Parameter):
            self.position.clamp_(*limits(self.spec.taps))
        if self.mask is not None:
            self.weight.mul_(self.mask)

    def set_sigma(self, sigma: float) -> None:
        """Set the width of the training kernel, in steps."""
        self.sigma.fill_(sigma)

    def delays(self) -> Tensor:
        """Delays in steps (KC, O, I), 0..K-1, as they are (fractional while learned)."""
        if self.position is None:
            raise HarnessError("delay layer: kind 'dense' has taps, not delays.")
        return self.spec.taps - 1 - self.spec.taps // 2 - self.position.detach()

    def kernel(self) -> Tensor:
        """The kernel (K, O, I) in force: spread in training, one tap when whole or fixed."""
        if self.position is None:
            return self.weight
        if self._whole or self.spec.kind == "fixed":
            return delta_kernel(self.weight, self.position, taps=self.spec.taps)
        return spread_kernel(
            self.weight,
            self.position,
            taps=self.spec.taps,
            sigma=float(self.sigma),
            shape=self.spec.shape,
        )

    @contextmanager
    def rounded(self) -> Iterator[None]:
        """Evaluate with whole delays; parameters, sigma and optimiser state are not touched.

        Without gradients the kernel and its transform are made once for all batches inside.
        """
        before, self._whole = self._whole, True
        self._kernel = self._spectrum = None
        try:
            yield
        finally:
            self._whole = before
            self._kernel = self._spectrum = None

    def leave_graphs(self) -> None:
        """Stay outside the graphs of ``torch.compile``: a loop over frequencies is no graph.

        Called before compiling, not at import: it loads the compiler, seconds and 160 MiB in every worker.
        """
        self.forward = torch.compiler.disable(self.forward)  # type: ignore[method-assign]

    def forward(self, x_tbi: Tensor, decay: float | None = None) -> Tensor:
        """Delayed sums (T', B, O); with ``decay`` k their leaky sum over time (a linear readout)."""
        if x_tbi.dim() != 3 or x_tbi.shape[2] != self.spec.inputs or not len(x_tbi):
            raise HarnessError(
                f"delay layer: the input has shape {tuple(x_tbi.shape)}, wanted "
                f"(timesteps >= 1, batch, {self.spec.inputs})."
            )
        if self._whole and not torch.is_grad_enabled():
            return self._forward_whole(x_tbi, decay)
        return convolve(x_tbi, self.kernel(), backend=self.spec.backend, decay=decay)

    def _forward_whole(self, x_tbi: Tensor, decay: float | None) -> Tensor:
        spec, steps = self.spec, len(x_tbi)
        if self._kernel is None:
            self._kernel = self.kernel()
        length = steps + (spec.taps - 1) // 2
        backend = spec.backend
        if backend == "auto":
            backend = chosen(x_tbi, self._kernel, length, decay, whole=True)
        if backend != "dft":
            return convolve(x_tbi, self._kernel, backend=backend, decay=decay)
        table = dft.transforms(steps, spec.taps, length, decay, x_tbi.device)
        if self._spectrum is None or self._spectrum[0] is not table:
            self._spectrum = (table, dft.kernel_spectrum(self._kernel, table))
        return dft.apply_spectrum(x_tbi, self._spectrum[1], table)

    def forward_by_gather(self, x_tbi: Tensor) -> Tensor:
        """The output with whole delays by indexing (T', B, O): no kernel, no transform."""
        taps = self.spec.taps
        if self.position is None:
            raise HarnessError("delay layer: kind 'dense' has taps, not delays.")
        whole = taps - 1 - taps // 2 - whole_positions(self.position, taps)
        return gather(x_tbi, self.weight, whole, taps=taps)

    def extra_repr(self) -> str:
        """Sizes and kind in short."""
        spec = self.spec
        return f"{spec.inputs}, {spec.outputs}, taps={spec.taps}, elements={spec.elements}, {spec.kind}"


def delay_layers(model: nn.Module) -> tuple[DelayLayer, ...]:
    """Every delay layer of a model, in order."""
    return tuple(module for module in model.modules() if isinstance(module, DelayLayer))


@contextmanager
def rounded(model: nn.Module) -> Iterator[None]:
    """:meth:`DelayLayer.rounded` for every delay layer of a model."""
    with ExitStack() as stack:
        for layer in delay_layers(model):
            stack.enter_context(layer.rounded())
        yield
