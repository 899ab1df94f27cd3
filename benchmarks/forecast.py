"""TS-LIF and the spiking TCN against what a user would run instead, side by side.

    python benchmarks/forecast.py layer    a TS-LIF layer, T=4, against the released form (bound: 1.7 x)
    python benchmarks/forecast.py tcn      a TS-TCN's training step against a Spike-TCN's (at most 1.5 x; the
                                           released code: 2.7 x), and against snntorch's Leaky (1.5 x)

One torch thread; all sides alternate in one process. Printed are milliseconds of CPU time (the median of
the rounds) and the ratio of medians with, in brackets, the smallest and largest ratio of one round.
The released form is written here from its formulas (arXiv 2503.05108, code of 2025), a plain loop
under autograd. snntorch comes with the extra ``bench``.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from harness.contracts import Batch, DatasetCard, Job, Learner, Stage
from harness.layers.malloc import keep_freed_memory
from harness.models.forecast.units import Held
from harness.neurons.lif import LIF
from harness.neurons.ts_lif import TSLIF, TSLIFParams
from harness.pipelines.forecasting.forecast_snn import ForecastSNN

STEPS, WINDOW, VARIATES, HORIZON = 4, 96, 7, 24
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    # docs/papers.md, Forecasting networks: small, and the paper's sizes (window 168, kernel 16)
    "small": {"net.hidden": 16, "net.channels": 8, "net.kernel": 3, "net.levels": 3},
    "wide": {"net.hidden": 16, "net.channels": 16, "net.kernel": 4, "net.levels": 4},
    "paper": {"net.hidden": 64, "net.channels": 16, "net.kernel": 16, "net.levels": 3},
}


class _Step(torch.autograd.Function):
    """Heaviside with ATan's derivative, alpha 2."""

    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return (u >= 0).to(u)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        return grad / (1 + (torch.pi * u).pow_(2))


class Released(nn.Module):
    """The released form as a plain loop: eight passes a step for two membranes, every one in the graph."""

    def __init__(self, features: int, axis: int) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.tensor([0.8, 0.2, 0.3, 0.7]))
        self.yy, self.kk = nn.Parameter(torch.tensor([0.1])), nn.Parameter(torch.tensor([0.8]))
        shape = (features, *(1,) * (-1 - axis))
        self.alpha_s, self.alpha_l = (nn.Parameter(torch.full(shape, 0.5)) for _ in range(2))

    def forward(self, x_tb: Tensor) -> Tensor:
        v1: Tensor | float = 0.0
        v2: Tensor | float = 0.0
        out = []
        for x in x_tb:
            v1 = self.decay[0] * v1 + self.decay[1] * x - self.yy * v2
            v2 = self.decay[2] * v2 + self.decay[3] * x - self.kk * v1
            s_s, s_l = _Step.apply(v2 - 1.0), _Step.apply(v1 - 1.0)
            out.append(self.alpha_s * s_s + self.alpha_l * s_l)
            v1, v2 = v1 - 0.5 * s_l, v2 - 1.0 * s_s
        return torch.stack(out)


class HeldReleased(nn.Module):
    """The released neuron called T times on one tensor, and the mean."""

    def __init__(self, features: int, axis: int, steps: int) -> None:
        super().__init__()
        self.neuron, self.steps = Released(features, axis), steps

    def forward(self, x_b: Tensor) -> Tensor:
        return self.neuron(x_b.expand(self.steps, *x_b.shape)).mean(0)


class HeldLeaky(nn.Module):
    """snntorch's Leaky, beta .99, called T times on one tensor, and the mean."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import snntorch
            from snntorch import surrogate
        self.leaky = snntorch.Leaky(beta=0.99, spike_grad=surrogate.atan(alpha=2.0))
        self.steps = steps

    def forward(self, x_b: Tensor) -> Tensor:
        memory, out = self.leaky.init_leaky(), []
        for _ in range(self.steps):
            spikes, memory = self.leaky(x_b, memory)
            out.append(spikes)
        return torch.stack(out).mean(0)


def interleaved(sides: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every side in every round, after one round to warm up."""
    for side in sides.values():
        side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.process_time()
            side()
            seconds[name].append(time.process_time() - start)
    return seconds


def report(title: str, seconds: Mapping[str, list[float]], ratios: list[tuple[str, str]]) -> None:
    """Medians and the ratios asked for."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    listed = ", ".join(f"{name} {1e3 * median:.1f}" for name, median in medians.items())
    print(f"{title}: {listed} ms")
    for slow, fast in ratios:
        each = [a / b for a, b in zip(seconds[slow], seconds[fast], strict=True)]
        ratio = medians[slow] / medians[fast]
        print(f"  {slow} / {fast} = {ratio:.2f} ({min(each):.2f}..{max(each):.2f})")


def back(out: Tensor) -> None:
    """Backward from ones."""
    out.backward(torch.ones_like(out))


def layer(rounds: int) -> None:
    """Forward and backward of one layer on 688,128 elements a step (docs/papers.md, Forecasting networks)."""
    features = 128
    timed = (2.0 * torch.randn(STEPS, 5376, features)).requires_grad_()
    held = (2.0 * torch.randn(5376, features)).requires_grad_()
    for form in ("code", "paper"):
        ours = TSLIF(TSLIFParams(form=form))
        if form == "code":
            ours.widen(features)
        _layer(f"layer, {form} form", ours, Released(features, -1), timed, held, rounds)


def _layer(title: str, ours: TSLIF, released: Released, timed: Tensor, held: Tensor, rounds: int) -> None:
    copies = held.expand(STEPS, *held.shape)
    sides: dict[str, Callable[[], None]] = {
        "ours": lambda: back(ours(timed)),
        "released": lambda: back(released(timed)),
    }
    report(f"{title}, timed input", interleaved(sides, rounds), [("released", "ours")])
    sides = {
        "ours": lambda: back(ours.hold(held, STEPS)),
        "released": lambda: back(released(copies).mean(0)),
    }
    report(f"{title}, held input", interleaved(sides, rounds), [("released", "ours")])


def learner(neuron: str, sizes: Mapping[str, Any], window: int, form: str = "code") -> Learner:
    """A spiking TCN with its optimiser."""
    values: dict[str, Any] = {"net.backbone": "tcn", "neuron.name": neuron, **sizes}
    if neuron == "ts-lif":
        values["neuron.form"] = form
    card = DatasetCard(
        "bench", "1", "forecasting", "nlc", (window, VARIATES), (1, 1, 1), horizon=HORIZON,
        variates=VARIATES,
    )  # fmt: skip
    params = ForecastSNN.build_params({**values, "timesteps": STEPS})
    made = ForecastSNN().learner(Job(params, card, torch.device("cpu"), 0, 1, 1, {}))
    made.begin(Stage("train", 1))
    return made


def swapped(made: Learner, unit: Callable[[int], nn.Module], kind: type[nn.Module]) -> Learner:
    """The same network with every held neuron of ``kind`` replaced by ``unit(features)``."""
    for parent in list(made.model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Held) and isinstance(child.neuron, kind):
                features = parent.first.norm.num_features  # type: ignore[union-attr]
                setattr(parent, name, unit(int(features)))
    made.begin(Stage("train", 1))
    return made


def step(made: Learner, batch: Batch) -> None:
    """A whole training step: forward, loss, backward, clipped, Adam."""
    (optimizer,) = made.optimizers
    optimizer.zero_grad(set_to_none=True)
    made.loss(batch).backward()
    nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
    optimizer.step()


def tcn(rounds: int, names: list[str]) -> None:
    """Training steps of one network with our neurons, the released loop and snntorch's Leaky."""
    for name in names:
        sizes, size = NETWORKS[name], 32 if name == "paper" else 64
        window = 168 if name == "paper" else WINDOW
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(size, window, VARIATES, generator=generator).cumsum(1)
        batch = Batch(x, torch.randn(size, HORIZON, VARIATES, generator=generator))
        loop, leaky = learner("ts-lif", sizes, window), learner("lif", sizes, window)
        learners = {
            "Spike-TCN": learner("lif", sizes, window),
            "TS-TCN": learner("ts-lif", sizes, window),
            "TS-TCN (paper form)": learner("ts-lif", sizes, window, "paper"),
            "released loop": swapped(loop, lambda f: HeldReleased(f, -3, STEPS), TSLIF),
            "snntorch": swapped(leaky, lambda f: HeldLeaky(STEPS), LIF),
        }
        sides = {label: partial(step, made, batch) for label, made in learners.items()}
        ratios = [
            ("TS-TCN", "Spike-TCN"),
            ("TS-TCN (paper form)", "Spike-TCN"),
            ("released loop", "Spike-TCN"),
            ("released loop", "TS-TCN"),
            ("snntorch", "Spike-TCN"),
        ]
        title = f"tcn step, {name}, window {window}, batch {size}"
        report(title, interleaved(sides, rounds), ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["layer", "tcn"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    if arguments.what == "layer":
        layer(arguments.rounds)
    else:
        tcn(arguments.rounds, arguments.networks)


if __name__ == "__main__":
    main()
