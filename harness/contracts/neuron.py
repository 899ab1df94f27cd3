"""Neurons: functional state, time first, nothing kept between calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from harness.contracts.params import ParamsModel
from harness.contracts.plugins import Registry
from harness.space import Scalar

NeuronState = tuple[Tensor, ...]


class Neuron(nn.Module):
    """The contract of a neuron: ``step`` advances one timestep, ``forward`` runs T of them from rest.

    A subclass has a ``name``, ``Params`` (its constants: unit, range, source) and ``step``; a fast one
    overrides ``forward`` with an equal multi-step form. State is functional: ``forward`` starts from
    :meth:`initial_state` and keeps nothing, so that no reset can be forgotten. Learned constants are
    ``nn.Parameter`` made in the constructor, never default arguments or module-level tensors.
    ``spiking`` is False where outputs are analog (LIAF, ReLU): ``low``/``high`` document their range.
    """

    name: ClassVar[str]
    Params: ClassVar[type[ParamsModel]] = ParamsModel
    spiking: ClassVar[bool] = True
    low: ClassVar[float] = 0.0
    high: ClassVar[float] = 1.0

    def __init__(self, params: ParamsModel | None = None) -> None:
        super().__init__()
        self.params: Any = self.Params() if params is None else params

    def initial_state(self, x_b: Tensor) -> NeuronState:
        """The state at rest for inputs like ``x_b`` (B, ...): by default one membrane of zeros."""
        return (torch.zeros_like(x_b),)

    def step(self, x_b: Tensor, state: NeuronState) -> tuple[Tensor, NeuronState]:
        """One timestep: input current (B, ...) and state to output (B, ...) and the next state."""
        raise NotImplementedError

    def forward(self, x_tb: Tensor) -> Tensor:
        """T timesteps from rest: input currents (T, B, ...) to outputs of the same shape."""
        state = self.initial_state(x_tb[0])
        outputs = []
        for x_b in x_tb.unbind(0):
            out_b, state = self.step(x_b, state)
            outputs.append(out_b)
        return torch.stack(outputs)


@dataclass(frozen=True, slots=True)
class NeuronSpec:
    """A chosen neuron with its constants; ``build`` makes a new instance, as often as layers need."""

    name: str
    constants: tuple[tuple[str, Scalar], ...]
    factory: Callable[[], Neuron]

    def build(self) -> Neuron:
        """A new neuron at its starting constants; no storage is shared between two of them."""
        return self.factory()

    def constant(self, name: str, default: Any = None) -> Any:
        """A constant by name, for what depends on it outside the neuron (e.g. tdBN on v_threshold)."""
        return dict(self.constants).get(name, default)


NEURONS = Registry[Neuron]("Neuron", "harness.neurons")
