"""What a network costs: firing rates, spikes and synaptic operations, counted by hooks while it evaluates.

An operation driven by a spike is an accumulate (0.9 pJ), one driven by an analog value a multiply and
accumulate (4.6 pJ): 32-bit floating point at 45 nm (Horowitz, ISSCC 2014). Memory traffic and neuron
updates are not counted; the estimate is for comparing networks, not for quoting.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from harness.contracts.neuron import Neuron

ACCUMULATE_PJ, MULTIPLY_ACCUMULATE_PJ = 0.9, 4.6
ASSUMPTIONS = "0.9 pJ a spike-driven, 4.6 pJ an analog operation (fp32, 45 nm); no memory, no neuron updates"


class Probe:
    """Counters over the samples seen while :meth:`watching`."""

    def __init__(self) -> None:
        self.samples = 0
        self.fired: dict[str, float] = {}
        self.slots: dict[str, float] = {}
        self.accumulates = 0.0
        self.multiplies = 0.0

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Count while inside."""
        handles = []
        for name, module in model.named_modules():
            if isinstance(module, Neuron) and module.spiking:
                handles.append(module.register_forward_hook(self._neuron_hook(name)))
            elif fan_out(module) is not None:
                handles.append(module.register_forward_pre_hook(self._synapse_hook()))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _neuron_hook(self, name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            out = output[0] if isinstance(output, tuple) else output
            self.fired[name] = self.fired.get(name, 0.0) + float(torch.count_nonzero(out))
            self.slots[name] = self.slots.get(name, 0.0) + out.numel()

        return hook

    def _synapse_hook(self) -> Any:
        def hook(module: nn.Module, inputs: Any) -> None:
            x: Tensor = inputs[0]
            active = float(torch.count_nonzero(x))
            operations = active * (fan_out(module) or 0.0)
            if bool(((x == 0) | (x == 1)).all()):
                self.accumulates += operations
            else:
                self.multiplies += operations

        return hook

    def metrics(self) -> dict[str, float]:
        """Per sample: spikes, synops, energy_nj; the mean firing rate and that of each layer."""
        if not self.samples:
            return {}
        spikes, slots = sum(self.fired.values()), sum(self.slots.values())
        energy_pj = self.accumulates * ACCUMULATE_PJ + self.multiplies * MULTIPLY_ACCUMULATE_PJ
        found = {
            "synops": (self.accumulates + self.multiplies) / self.samples,
            "energy_nj": energy_pj / self.samples / 1000.0,
        }
        if slots:
            found["spikes"] = spikes / self.samples
            found["firing_rate"] = spikes / slots
            found |= {f"firing_rate/{name}": self.fired[name] / self.slots[name] for name in self.fired}
        return found


def fan_out(module: nn.Module) -> float | None:
    """Synapses that one input value drives; None for what is no synapse.

    A layer of our own says it by an attribute ``fan_out``; borders of convolutions are not treated apart.
    """
    own = getattr(module, "fan_out", None)
    if isinstance(own, (int, float)):
        return float(own)
    if isinstance(module, nn.Linear):
        return float(module.out_features)
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        taps = 1.0
        for kernel, stride in zip(module.kernel_size, module.stride, strict=True):
            taps *= kernel / stride
        return module.out_channels / module.groups * taps
    return None
