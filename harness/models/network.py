"""What every network here shares: switchable activations, time-major input, one readout.

A network is a topology; its activations are neurons of the registry, sub-modules named by where
they stand. :func:`switch` exchanges them all, so the ANN, the LIAF and the LIF network have the
same keys and a state dict transfers by name (arXiv 2203.01158).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.contracts import Neuron
from harness.errors import IncompatibleError
from harness.layers.time import mean_over_time

NeuronFactory = Callable[[], Neuron]


class Network(nn.Module):
    """A spiking or analog classifier of sequences.

    ``forward`` maps (T, B, ...) to logits (B, classes): features of every step, their mean over
    time, then ``head``. ``encoder_prefixes`` and ``decoder_prefixes`` name the parts that a
    partial transfer takes; ``stem`` is the convolution that sees the input's channels.
    """

    head: nn.Module
    stem: str = ""
    decoder_prefixes: tuple[str, ...] = ("head.",)
    compiled: bool = False

    def features(self, x_tb: Tensor) -> Tensor:
        """Features of every step: (T, B, ...) to (T, B, F)."""
        raise NotImplementedError

    def forward(self, x_tb: Tensor, length: Tensor | None = None) -> Tensor:
        """Logits (B, classes); ``length`` (B,) leaves out the padding of shorter sequences."""
        out: Tensor = self.head(mean_over_time(self.features(x_tb), length))
        return out

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """``torch.compile`` in place. Neurons, fused by hand, stay outside its graphs."""
        self.compiled = True
        for neuron in neurons_of(self):
            _keep_out_of_graphs(neuron)
        super().compile(*args, **{"dynamic": False, **kwargs})

    def forward_by_step(self, x_tb: Tensor) -> Tensor:
        """Logits after 1, 2, ... T steps of the input: (T, B, classes)."""
        features_tbf = self.features(x_tb)
        count = torch.arange(1, len(features_tbf) + 1, device=x_tb.device, dtype=x_tb.dtype)
        out: Tensor = self.head(features_tbf.cumsum(0) / count[:, None, None])
        return out


def switch(network: nn.Module, factory: NeuronFactory) -> None:
    """Exchange every neuron for a new one in place; all other tensors stay where they are.

    A learned constant that both neurons name alike (the decay ``w`` of liaf and plif) is kept.
    """
    parents = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, Neuron)
    ]
    reference = next(network.parameters(), torch.empty(0))
    for parent, name, old in parents:
        new = factory().to(device=reference.device, dtype=reference.dtype)
        kept = old.state_dict()
        own = {key: kept[key] for key in new.state_dict() if key in kept}
        new.load_state_dict({**new.state_dict(), **own})
        new.train(old.training)
        if getattr(network, "compiled", False):
            _keep_out_of_graphs(new)
        setattr(parent, name, new)


def _keep_out_of_graphs(neuron: Neuron) -> None:
    neuron.forward = torch.compiler.disable(neuron.forward)  # type: ignore[method-assign]


def neurons_of(network: nn.Module) -> tuple[Neuron, ...]:
    """Every neuron module of a network, in order."""
    return tuple(module for module in network.modules() if isinstance(module, Neuron))


def differences(network: nn.Module, state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """How a state dict differs from a network's keys and shapes, a phrase a difference."""
    own = network.state_dict()
    lines = [f"missing {key}" for key in own if key not in state]
    lines += [f"unexpected {key}" for key in state if key not in own]
    lines += [
        f"{key} has shape {tuple(state[key].shape)}, the network {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    return tuple(lines)


def load(network: nn.Module, state: Mapping[str, Tensor], *, where: str = "checkpoint") -> None:
    """Load a complete state dict. Raises IncompatibleError that lists every difference in one line."""
    found = differences(network, state)
    if found:
        raise IncompatibleError(
            f"{where} does not fit the network ({len(found)} differences): {'; '.join(found)}. "
            "Use the network it was trained with, or a partial transfer."
        )
    network.load_state_dict(dict(state))


def transfer(network: Network, state: Mapping[str, Tensor], *, part: str = "both", skip: str = "") -> None:
    """Load by name the ``encoder``, the ``decoder`` or ``both``, apart from what begins with ``skip``.

    Raises IncompatibleError that lists what is missing or has another shape.
    """

    def wanted(key: str) -> bool:
        decoder = key.startswith(network.decoder_prefixes)
        chosen = part == "both" or decoder == (part == "decoder")
        return chosen and not (skip and key.startswith(skip))

    own = network.state_dict()
    merged = {key: state.get(key, own[key]) if wanted(key) else own[key] for key in own}
    absent = [f"missing {key}" for key in own if wanted(key) and key not in state]
    found = (*absent, *differences(network, merged))
    if found:
        raise IncompatibleError(f"transfer of '{part}' does not fit: {'; '.join(found)}.")
    network.load_state_dict(merged)


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """PyTorch's default initial weights, drawn from a generator in the order of the modules."""
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear | nn.LSTM):
            continue
        if isinstance(module, nn.LSTM):
            bound = 1.0 / math.sqrt(module.hidden_size)
            for parameter in module.parameters():
                parameter.uniform_(-bound, bound, generator=generator)
            continue
        nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
        if module.bias is not None:
            bound = 1.0 / math.sqrt(module.weight[0].numel())
            module.bias.uniform_(-bound, bound, generator=generator)


@torch.no_grad()
def initialise_kaiming(network: nn.Module, generator: torch.Generator) -> None:
    """Kaiming-normal weights and biases of 0.5: the ES-ImageNet networks (docs/papers.md, Networks)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.fill_(0.5)
