"""Training step of `direct` on a CPU, beside the same network with SpikingJelly's LIF neurons.

    OMP_NUM_THREADS=1 python benchmarks/pretrain.py

The network is the spiking ResNet of the digits study (16x16, widths 12/24/48, T = 6, rectangular
surrogate), batch 50, SGD with momentum. All runs take turns in one process on one torch thread;
each number is a median, each ratio a median of ratios taken in the same turn. The peers:

* neurons alone: our neurons without the two further steps that the pipelines take on a CPU (weights
  with channels last; what is constant in time, the first convolution of direct coding, runs once)
* stepped: the same folded convolutions and normalisation, LIFNode called once per timestep
* multi:   the same with LIFNode in step_mode "m"
* network: the whole network called once per timestep, all in step_mode "s"

What bounds the step (torch's profiler, one thread of an AMD EPYC): convolutions 61 % (two thirds of
that backward), batch normalisation 14 %, LIF neurons 10 %.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from spikingjelly.activation_based import functional as sj_functional
from spikingjelly.activation_based import neuron as sj_neuron
from spikingjelly.activation_based import surrogate as sj_surrogate
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from harness.contracts import Neuron
from harness.models.build import NetworkParams, build
from harness.models.network import Network
from harness.neurons.constants import LeakParams, SurrogateParams
from harness.neurons.kernels.functional import lif_multistep
from harness.neurons.kernels.surrogate import Surrogate, atan, rect
from harness.neurons.lif import LIF

T, BATCH, TAU, THRESHOLD = 6, 50, 4.0 / 3.0, 0.5
BOUND = 2.5
Step = Callable[[], float]


def sj_node(mode: str) -> sj_neuron.LIFNode:
    """SpikingJelly's LIF with the paper's constants."""
    return sj_neuron.LIFNode(
        tau=TAU,
        decay_input=False,
        v_threshold=THRESHOLD,
        v_reset=0.0,
        surrogate_function=sj_surrogate.Rect(alpha=1.0),
        detach_reset=True,
        step_mode=mode,
    )


class Peer(Neuron):
    """SpikingJelly's LIF over a sequence, reset before it."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self.node = sj_node(mode)

    def forward(self, x_tb: Tensor) -> Tensor:
        """Spikes (T, B, ...)."""
        sj_functional.reset_net(self.node)
        if self.mode == "m":
            return self.node(x_tb)
        return torch.stack([self.node(x_b) for x_b in x_tb])


class Stateful(Neuron):
    """SpikingJelly's LIF that keeps its membrane from call to call: one step a call."""

    def __init__(self) -> None:
        super().__init__()
        self.node = sj_node("s")

    def forward(self, x_tb: Tensor) -> Tensor:
        """Spikes (1, B, ...) of one timestep."""
        return self.node(x_tb[0]).unsqueeze(0)


def lif() -> Neuron:
    """Our LIF with the paper's constants."""
    return LIF(LeakParams(tau=TAU, v_threshold=THRESHOLD, surrogate=SurrogateParams(name="rect")))


def network(neuron: Callable[[], Neuron], memory: torch.memory_format = torch.contiguous_format) -> Network:
    """The digits study's network, always with the same weights."""
    generator = torch.Generator().manual_seed(0)
    params = NetworkParams(name="resnet", width=12)
    made = build(params, (1, 16, 16), 10, neuron, v_threshold=THRESHOLD, generator=generator)
    return made.to(memory_format=memory)


def step(model: nn.Module, forward: Callable[[], Tensor], y: Tensor) -> Step:
    """One training step, returning the loss."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def run() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(forward(), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


def steps() -> dict[str, Step]:
    """The contestants."""
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(BATCH, 1, 16, 16, generator=generator)
    y = torch.randint(0, 10, (BATCH,), generator=generator)
    constant = image.unsqueeze(0).expand(T, *image.shape)
    repeated = constant.contiguous()
    ours = network(lif, torch.channels_last)  # as the pipelines have it on a CPU
    dense = network(lif)
    stepped, multi = network(lambda: Peer("s")), network(lambda: Peer("m"))
    whole = network(Stateful)

    def by_step() -> Tensor:
        sj_functional.reset_net(whole)
        return torch.stack([whole(x_b.unsqueeze(0)) for x_b in repeated]).mean(0)

    return {
        "ours": step(ours, lambda: ours(constant), y),
        "ours, neurons alone": step(dense, lambda: dense(repeated), y),
        "SpikingJelly stepped": step(stepped, lambda: stepped(repeated), y),
        "SpikingJelly multi": step(multi, lambda: multi(repeated), y),
        "SpikingJelly network by step": step(whole, by_step, y),
    }


def measure(contestants: dict[str, Step], turns: int) -> dict[str, list[float]]:
    """Seconds of the thread a step, all taking turns: what else runs on the machine does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns + 3):
        for name, run in contestants.items():
            start = time.thread_time()
            run()
            if turn >= 3:
                seconds[name].append(time.thread_time() - start)
    return seconds


def report(seconds: dict[str, list[float]], reference: str) -> None:
    """Medians, and median ratios to the reference."""
    for name, values in seconds.items():
        ratios = [value / base for value, base in zip(values, seconds[reference], strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4)
        print(
            f"  {name:34s} {statistics.median(values) * 1e3:8.2f} ms   "
            f"{statistics.median(ratios):5.2f} x of ours (quartiles {low:.2f} to {high:.2f})"
        )


def neuron_alone(turns: int) -> None:
    """Forward and backward of one LIF layer over a sequence."""
    for shape in ((T, BATCH, 12, 8, 8), (T, BATCH, 48, 2, 2), (100, 128, 256)):
        for name, theirs in (("rect", sj_surrogate.Rect(1.0)), ("atan", sj_surrogate.ATan(2.0))):
            node = sj_node("m")
            node.surrogate_function = theirs
            x = torch.rand(shape, generator=torch.Generator().manual_seed(2)).requires_grad_()
            grad = torch.ones(shape)
            ours = rect(0.5) if name == "rect" else atan(2.0)

            def fused(x: Tensor = x, grad: Tensor = grad, ours: Surrogate = ours) -> float:
                lif_multistep(x, None, THRESHOLD, ours, tau=TAU).backward(grad)
                return 0.0

            def peer(node: nn.Module = node, x: Tensor = x, grad: Tensor = grad) -> float:
                sj_functional.reset_net(node)
                node(x).backward(grad)
                return 0.0

            print(f"LIF alone, {name}, {tuple(shape)}, forward and backward")
            report(measure({"ours": fused, "SpikingJelly multi": peer}, turns), "ours")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=40)
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    contestants = steps()
    first = {name: run() for name, run in contestants.items()}
    print(f"Training step, spiking ResNet 12/24/48, 16x16, T = {T}, batch {BATCH}, one thread")
    print("  first losses: " + ", ".join(f"{name} {loss:.6f}" for name, loss in first.items()))
    measured = measure(contestants, turns)
    report(measured, "ours")
    pairs = zip(measured["SpikingJelly stepped"], measured["ours"], strict=True)
    factor = statistics.median(theirs / ours for theirs, ours in pairs)
    verdict = "met" if factor >= BOUND else "NOT MET"
    print(f"  {factor:.2f} x of SpikingJelly stepped, bound {BOUND:g}: {verdict}")
    neuron_alone(turns)


if __name__ == "__main__":
    main()
