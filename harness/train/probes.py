"""What a network costs: spikes counted by hooks, synaptic operations by operator, while it evaluates.

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
from torch.utils._python_dispatch import _disable_current_modes

from harness.contracts.neuron import Neuron
from harness.train.operations import SynapticOperations, Watch, active, binary

ACCUMULATE_PJ, MULTIPLY_ACCUMULATE_PJ = 0.9, 4.6
ASSUMPTIONS = "0.9 pJ a spike-driven, 4.6 pJ an analog operation (fp32, 45 nm); no memory, no neuron updates"


class Probe:
    """Counters over the samples seen while :meth:`watching`."""

    def __init__(self) -> None:
        self.samples = 0
        self.fired: dict[str, Tensor] = {}
        self.slots: dict[str, int] = {}
        self.timesteps = 0
        self.operations = SynapticOperations()

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Count while inside."""
        watch, handles = Watch([self.operations]), []
        for name, module in model.named_modules():
            if isinstance(module, Neuron):
                handles.append(module.register_forward_hook(self._neuron_hook(name)))
            elif hasattr(module, "fan_out"):
                handles.append(module.register_forward_pre_hook(self._synapse_hook))
            else:
                continue
            handles += watch.pass_over(module)
        try:
            with watch:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _neuron_hook(self, name: str) -> Any:
        def hook(module: Neuron, _inputs: Any, output: Any) -> None:
            with _disable_current_modes():
                out = output[0] if isinstance(output, tuple) else output
                if module.initial_state(out[0]):
                    steps = getattr(
                        module, "walked", len(out)
                    )  # of a sequence that comes in chunks, all so far
                    self.timesteps = max(self.timesteps, steps)
                if module.spiking:
                    self.fired[name] = self.fired.get(name, 0) + torch.count_nonzero(out)
                    self.slots[name] = self.slots.get(name, 0) + out.numel()

        return hook

    def _synapse_hook(self, module: Any, inputs: Any) -> None:
        """Synapses that a layer states itself: each value unequal to zero drives those of its input."""
        with _disable_current_modes():
            x: Tensor = inputs[0]
            spikes = binary(x)
            by_input = active(x.flatten(0, -2), (0,), spikes=spikes)
            self.operations.add((by_input * module.fan_out).sum(), spikes=spikes)

    def metrics(self) -> dict[str, float]:
        """Per sample: spikes, synops, energy_nj; the mean firing rate and that of each layer."""
        if not self.samples:
            return {}
        accumulates, multiplies = self.operations.accumulates, self.operations.multiplies
        energy_pj = accumulates * ACCUMULATE_PJ + multiplies * MULTIPLY_ACCUMULATE_PJ
        found = {
            "synops": (accumulates + multiplies) / self.samples,
            "energy_nj": energy_pj / self.samples / 1000.0,
        }
        fired = {name: float(count) for name, count in self.fired.items()}
        slots = sum(self.slots.values())
        if slots:
            found["spikes"] = sum(fired.values()) / self.samples
            found["firing_rate"] = sum(fired.values()) / slots
            found |= {f"firing_rate/{name}": fired[name] / self.slots[name] for name in fired}
        return found
