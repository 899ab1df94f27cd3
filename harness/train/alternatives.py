"""What a study would use on this device beside what it could: timed for a few seconds, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.contracts.choices import Record, recording
from harness.models.build import NetworkParams, build
from harness.neurons.constants import LeakParams
from harness.neurons.kernels import choice, recurrence, spikingjelly_cuda, ts_lif_passes
from harness.neurons.kernels.functional import lif_multistep
from harness.neurons.kernels.recurrence import Constants
from harness.neurons.kernels.surrogate import atan
from harness.neurons.kernels.ts_lif_functional import ts_lif_multistep
from harness.neurons.kernels.ts_lif_recurrence import Rule
from harness.neurons.lif import LIF

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Measured:
    """One choice: median milliseconds of each alternative; ``taken`` is what a study gets unless it asks."""

    what: str
    taken: str
    milliseconds: Mapping[str, float]
    setting: str = ""

    def __str__(self) -> str:
        """A line: what is taken, by how much, and how to have what is faster."""
        base = self.milliseconds[self.taken]
        others = {name: value / base for name, value in self.milliseconds.items() if name != self.taken}
        beside = ", ".join(f"{name} {ratio:.2f} x its time" for name, ratio in others.items())
        line = f"{self.what}: takes {self.taken} ({base:.2f} ms); {beside or 'no alternative here'}"
        best = min(self.milliseconds, key=lambda name: self.milliseconds[name])
        if self.setting and self.milliseconds[best] < 0.95 * base:
            line += f". Faster: {self.setting}"
        return line


def measure(device: torch.device, seconds: float = 4.0) -> Iterator[Measured]:
    """Neurons, precision, memory layout and compilation on a device; about ``seconds`` in all."""
    large = device.type == "cuda"
    yield _leaky(device, (6, 64, 64, 28, 28) if large else (6, 32, 12, 8, 8), seconds / 4)
    yield _ts_lif(device, (512, 256) if large else (64, 64), seconds / 4)
    batch, pixels, width = (32, 64, 64) if large else (16, 16, 12)
    forms = ["fp32", "bf16", "fp32, channels last"] + (["fp32, compiled"] if large else [])
    steps = {name: _step(device, name, batch, pixels, width) for name in forms}
    times = _race(steps, device, seconds / 2)
    plain, last = times["fp32"], times["fp32, channels last"]
    usual = "fp32" if large else "fp32, channels last"  # as networks have it: harness.pipelines
    own = {name: value for name, value in times.items() if name not in ("fp32", "fp32, channels last")}
    yield Measured("memory of convolutions", usual, {"fp32": plain, "fp32, channels last": last})
    if "fp32, compiled" in own:
        compiled = {"fp32": plain, "fp32, compiled": own.pop("fp32, compiled")}
        yield Measured("compilation", "fp32", compiled, "fixed: {compile: true}")
    yield Measured("precision", "fp32", {"fp32": plain, **own}, "fixed: {precision: bf16}")


def _leaky(device: torch.device, shape: tuple[int, ...], seconds: float) -> Measured:
    x = (torch.randn(shape, device=device) + 0.3).requires_grad_()
    grad, constants = torch.randn(shape, device=device), Constants(1.0, True, False, atan())
    with recording(Record()) as record:
        lif_multistep(x, 0.8).backward(grad)
    taken = choice.used(record)

    def passes() -> None:
        recurrence.forward(x.detach(), 0.8, constants)
        recurrence.backward(x.detach(), grad, 0.8, constants, learned=False)

    works: dict[str, Work] = {taken: lambda: lif_multistep(x, 0.8).backward(grad)}
    works.setdefault(choice.PASSES, passes)
    if find_spec("spikingjelly") is not None:
        works["SpikingJelly"] = lambda: spikingjelly_cuda.multistep(x, 0.8, 1.0, atan()).backward(grad)
    return Measured("LIF, there and back", taken, _race(works, device, seconds))


def _ts_lif(device: torch.device, shape: tuple[int, ...], seconds: float) -> Measured:
    x = (2.0 * torch.randn(shape, device=device)).requires_grad_()
    gains = torch.tensor([0.8, -0.1, 0.2, 0.3, -0.8, 0.7, 0.5, 1.0], device=device).requires_grad_()
    mix, rule = torch.full((2, 1), 0.5, device=device).requires_grad_(), Rule(hold=4)
    args = (gains.detach(), mix.detach(), rule, 1)

    def passes() -> None:
        ts_lif_passes.forward(x.detach(), *args)
        ts_lif_passes.backward(x.detach(), torch.ones_like(x), *args, (True, True))

    with recording(Record()) as record:
        ts_lif_multistep(x, gains, mix, rule).sum().backward()
    taken = choice.used(record)
    works: dict[str, Work] = {taken: lambda: ts_lif_multistep(x, gains, mix, rule).sum().backward()}
    works.setdefault(choice.PASSES, passes)
    return Measured("TS-LIF, there and back", taken, _race(works, device, seconds))


def _step(device: torch.device, form: str, batch: int, pixels: int, width: int) -> Work:
    """A training step of a small spiking ResNet, T = 6."""
    params, generator = NetworkParams(name="resnet", width=width), torch.Generator().manual_seed(0)
    made = build(params, (3, pixels, pixels), 10, lambda: LIF(LeakParams()), generator=generator)
    last = torch.channels_last if "channels last" in form else torch.contiguous_format
    model: nn.Module = made.to(device).to(memory_format=last)
    if "compiled" in form:
        model.compile()
    x = torch.rand(batch, 3, pixels, pixels, device=device).to(memory_format=last)
    y: Tensor = torch.arange(batch, device=device) % 10

    def run() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled="bf16" in form):
            loss = functional.cross_entropy(model(x.expand(6, *x.shape)).float(), y)
        loss.backward()
        model.zero_grad(set_to_none=True)

    return run


def _race(works: Mapping[str, Work], device: torch.device, seconds: float) -> dict[str, float]:
    """Median milliseconds of each, all taking turns."""
    for work in works.values():
        work()
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    until = time.perf_counter() + seconds
    while len(found[next(iter(found))]) < 3 or time.perf_counter() < until:
        for name, work in works.items():
            _wait(device)
            begun = time.perf_counter()
            work()
            _wait(device)
            found[name].append((time.perf_counter() - begun) * 1e3)
    return {name: statistics.median(values) for name, values in found.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
