"""What a GPU does with this code: one command, at most eight minutes, one JSON.

    python benchmarks/gpu.py [-o gpu-check.json] [--minutes 8] [--only neurons,shd,...]     (make gpu-check)

Needs torch, numpy, pandas, pyarrow and scipy, no Ray; a part whose package is missing (pydantic for networks
and trials, SpikingJelly as the peer, pytest for the tests) is left out with its reason. Contestants take
turns; a ratio is the median of ratios of the same turn. Without CUDA every part runs in a small dry form on
the CPU, so that the file is rehearsed: its figures then say nothing.

* neurons: LIF and TS-LIF, forward and back: kernels in Triton beside passes of torch and SpikingJelly
* shd:     the training step of the SHD network at the paper's size beside a layer in the form of DCLS
* resnet:  ResNet-18, T 6, 224 px, batch 64: samples a second in fp32, bf16, compiled; share of matmul's peak
* fused:   1, 4 and 16 trials of the digits network in one process, trials an hour beside one after another
* pretrain: `direct` against `pipe-s` on cifar10-jpeg12k, three minutes: training time to equal accuracy
* tests:   the tests marked `cuda`
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402 - after the path and the threads are set
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
Work = Callable[[], object]
Found = dict[str, Any]


def seconds(work: Work) -> float:
    """One run, the device synchronised at both ends."""
    _wait()
    begun = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - begun


def _wait() -> None:
    if CUDA:
        torch.cuda.synchronize()


def race(contestants: dict[str, Work], *, limit_s: float, most: int = 50) -> Found:
    """Median milliseconds of each, and its ratio to the first with quartiles; all take turns."""
    for work in contestants.values():
        work(), work()
    rounds: list[list[float]] = []
    until = time.perf_counter() + limit_s
    while len(rounds) < 3 or (time.perf_counter() < until and len(rounds) < most):
        rounds.append([seconds(work) for work in contestants.values()])
    found: Found = {"rounds": len(rounds)}
    for index, name in enumerate(contestants):
        ratios = [row[index] / row[0] for row in rounds]
        low, middle, high = statistics.quantiles(ratios, n=4)
        milliseconds = statistics.median(row[index] for row in rounds) * 1e3
        found[name] = {"ms": milliseconds, "ratio": middle, "quartiles": [low, high]}
    return found


def neurons(limit_s: float) -> Found:
    """Forward and back of one layer."""
    from harness.neurons.kernels import choice, ts_lif_passes
    from harness.neurons.kernels.functional import lif_multistep
    from harness.neurons.kernels.recurrence import Constants, backward, forward
    from harness.neurons.kernels.surrogate import atan, rect
    from harness.neurons.kernels.ts_lif_functional import ts_lif_multistep
    from harness.neurons.kernels.ts_lif_recurrence import Rule

    found: Found = {}
    sizes = [(6, 64, 64, 56, 56), (112, 256, 256)] if CUDA else [(6, 4, 8, 4, 4), (20, 8, 16)]
    for shape in sizes:
        for dtype in (torch.float32, torch.bfloat16):
            x = (torch.randn(shape, device=DEVICE) + 0.3).to(dtype).requires_grad_()
            grad = torch.randn(shape, device=DEVICE).to(dtype)
            label = f"{tuple(shape)} {str(dtype)[6:]}"
            works: dict[str, Work] = {
                "ours": lambda x=x, grad=grad: lif_multistep(x, 0.8, 1.0, atan()).backward(grad)
            }
            constants, single = Constants(1.0, True, False, atan()), x.detach().float()
            works["passes of torch"] = lambda x=single, g=grad, c=constants: (
                forward(x, 0.8, c),
                backward(x, g.float(), 0.8, c, learned=False),
            )
            peer = _spikingjelly(x, grad)
            if peer is not None:
                works["SpikingJelly"] = peer
            found[f"lif {label}"] = race(works, limit_s=limit_s / 6) | {"used": choice.used()}
    x = (2 * torch.randn((512, 128) if CUDA else (16, 8), device=DEVICE)).requires_grad_()
    gains = torch.tensor([0.8, -0.1, 0.2, 0.3, -0.8, 0.7, 0.5, 1.0], device=DEVICE, requires_grad=True)
    mix = torch.full((2, x.shape[1]), 0.5, device=DEVICE, requires_grad=True)
    for hold, surrogate in ((4, atan()), (12, rect())):
        rule = Rule(1.0, surrogate, False, hold)
        args = (x.detach(), gains.detach(), mix.detach(), rule, 1)
        works = {
            "ours": lambda r=rule: ts_lif_multistep(x, gains, mix, r).backward(torch.ones_like(x)),
            "passes of torch": lambda a=args: (
                ts_lif_passes.forward(*a),
                ts_lif_passes.backward(a[0], torch.ones_like(a[0]), *a[1:], (True, True)),
            ),
        }
        found[f"ts-lif held {hold} {surrogate.name}"] = race(works, limit_s=limit_s / 6)
    return found


def _spikingjelly(x: Tensor, grad: Tensor) -> Work | None:
    """Its multi-step LIF, on the backend that it chooses for this device."""
    try:
        import spikingjelly.activation_based.functional  # noqa: F401
    except ImportError:
        return None
    from harness.neurons.kernels import spikingjelly_cuda
    from harness.neurons.kernels.surrogate import atan

    return lambda: spikingjelly_cuda.multistep(x, 0.8, 1.0, atan()).backward(grad)


class Dense(nn.Module):
    """A delay layer in the form of DCLS: a dense kernel by broadcasting, then a convolution over time."""

    def __init__(self, inputs: int, outputs: int, taps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, device=DEVICE) / math.sqrt(inputs))
        self.position = nn.Parameter((torch.rand(outputs, inputs, 1, device=DEVICE) - 0.5) * taps)
        self.taps = taps

    def forward(self, x_tbi: Tensor) -> Tensor:
        """(T, B, I) to (T + (K - 1) // 2, B, O)."""
        at = torch.arange(self.taps, device=x_tbi.device) - self.taps // 2
        bell = torch.exp(-0.5 * ((at - self.position) / 3.0) ** 2)
        kernel = self.weight * bell / (bell.sum(2, keepdim=True) + 1e-7)
        padded = functional.pad(x_tbi.permute(1, 2, 0), (self.taps - 1, (self.taps - 1) // 2))
        return functional.conv1d(padded, kernel).permute(2, 0, 1)


def shd(limit_s: float) -> Found:
    """A whole training step, batch 256 and 64."""
    from harness.layers.delay import DelayLayer, DelaySpec
    from harness.neurons.kernels.functional import lif_multistep
    from harness.neurons.kernels.recurrence import Constants, backward, forward
    from harness.neurons.kernels.surrogate import atan

    class Slow(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return forward(x, 0.005, CONSTANTS)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return backward(ctx.saved_tensors[0], grad, 0.005, CONSTANTS, learned=False)[0]

    CONSTANTS = Constants(1.0, True, False, atan(5.0))  # noqa: N806
    taps, steps, wide = (25, 100, 256) if CUDA else (5, 10, 16)
    sizes = ((140, wide), (wide, wide), (wide, 20))
    found: Found = {}
    for batch in (256, 64) if CUDA else (8, 4):
        x = (torch.rand(steps, batch, 140, device=DEVICE) < 0.04).float()
        y = torch.arange(batch, device=DEVICE) % 20
        works: dict[str, Work] = {}
        for name in ("ours", "DCLS form"):
            ours = name == "ours"
            layers = nn.ModuleList(
                DelayLayer(DelaySpec(i, o, taps, sigma=3.0)).to(DEVICE) if ours else Dense(i, o, taps)
                for i, o in sizes
            )
            optimizer = torch.optim.Adam(layers.parameters(), lr=1e-3, fused=CUDA)

            def step(
                layers: nn.ModuleList = layers,
                optimizer: Any = optimizer,
                ours: bool = ours,
                x: Tensor = x,
                y: Tensor = y,
            ) -> None:
                optimizer.zero_grad(set_to_none=True)
                z = x
                for index, layer in enumerate(layers):
                    z = layer(z)
                    if index < 2:
                        z = lif_multistep(z, 0.005, 1.0, atan(5.0)) if ours else Slow.apply(z)
                functional.cross_entropy(z.softmax(2).sum(0), y).backward()
                optimizer.step()

            works[name] = step
        found[f"batch {batch}"] = race(works, limit_s=limit_s / 2)
    return found


def resnet(limit_s: float) -> Found:
    """Training steps of the paper's largest network."""
    from harness.models.build import NetworkParams, build
    from harness.neurons.constants import LeakParams, SurrogateParams
    from harness.neurons.lif import LIF

    steps, pixels, batch = (6, 224, 64) if CUDA else (2, 32, 2)
    params = NetworkParams(name="resnet18-imagenet")
    leak = LeakParams(tau=4 / 3, v_threshold=0.5, surrogate=SurrogateParams(name="rect"))
    x = torch.rand(batch, 3, pixels, pixels, device=DEVICE).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 1000, (batch,), device=DEVICE)
    works: dict[str, Work] = {}
    for name in ("fp32", "bf16", "bf16, channels last", "bf16, compiled") if CUDA else ("fp32", "bf16"):
        generator = torch.Generator().manual_seed(0)
        made = build(params, (3, pixels, pixels), 1000, lambda: LIF(leak), generator=generator).to(DEVICE)
        model = made.to(memory_format=torch.channels_last) if "last" in name else made
        if "compiled" in name:
            model.compile()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=CUDA or None)

        def step(model: nn.Module = model, optimizer: Any = optimizer, bf16: bool = "bf16" in name) -> None:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=bf16):
                loss = functional.cross_entropy(model(x.expand(steps, *x.shape)).float(), y)
            loss.backward()
            optimizer.step()

        works[name] = step
    found = race(works, limit_s=limit_s * 0.7, most=10)
    operations = 3 * _operations(made, x[:1].expand(steps, 1, *x.shape[1:])) * batch
    for name in works:
        kind = torch.bfloat16 if "bf16" in name else torch.float32
        rate = operations / (found[name]["ms"] / 1e3)
        found[name] |= {
            "samples_per_s": batch / (found[name]["ms"] / 1e3),
            "share_of_matmul_peak": rate / _matmul_rate(kind),
        }
    return found


def _operations(model: nn.Module, x: Tensor) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return float(counter.get_total_flops())


def _matmul_rate(dtype: torch.dtype) -> float:
    size = 8192 if CUDA else 256
    a = torch.randn(size, size, device=DEVICE).to(dtype)
    a @ a
    return 2.0 * size**3 / min(seconds(lambda: a @ a) for _ in range(5))


def fused(limit_s: float) -> Found:
    """Trials an hour of the digits network."""
    from harness.train.fused import run_fused

    found: Found = {}
    for count in (1, 4, 16) if CUDA else (1, 2):
        with tempfile.TemporaryDirectory() as root:
            tasks = [_task("direct", "digits", root, number, epochs=2) for number in range(count)]
            begun = time.perf_counter()
            for _ in run_fused(tasks):
                if time.perf_counter() - begun > limit_s / 3:
                    break
            spent = time.perf_counter() - begun
        found[f"{count} trials"] = {"seconds": spent, "trials_per_hour": count * 3600 / spent}
    return found


def _task(pipeline: str, dataset: str, root: str, number: int, *, epochs: int, **params: Any) -> Any:
    from harness.contracts import registry
    from harness.train.task import Task
    from harness.trial import DatasetRef, Objective, Phase, Resources, TrialSpec, freeze

    registry.load_plugins(())
    schema = registry.pipeline(pipeline).schema()
    values = schema.resolve({"optimizer.lr": 1e-3 * (1 + number / 8), **params})
    spec = TrialSpec(
        dataset=DatasetRef(dataset),
        pipeline=pipeline,
        params=freeze(values),
        seed=number + 1,
        phase=Phase.SEARCH,
        epochs=epochs,
        objectives=(Objective("accuracy", maximize=True),),
    )
    gpus = 1.0 if CUDA else 0.0
    return Task("gpu-check", dataset, spec, number, 1, root, Resources(1, gpus), checkpoint_every=0)


def pretrain(limit_s: float) -> Found:
    """Best validation accuracy by training second, and the factor at the accuracy both reach."""
    from harness.train.attempt import run_attempt

    dataset, epochs = ("cifar10-jpeg12k", 60) if CUDA else ("digits", 2)
    curves: dict[str, list[tuple[float, float]]] = {}
    ends: Found = {}
    for name in ("direct", "pipe-s"):
        curves[name], until = [], time.perf_counter() + limit_s / 2
        extra = {"sharpen.epochs": epochs // 2} if name == "pipe-s" else {}
        with tempfile.TemporaryDirectory() as root:
            attempt = run_attempt(_task(name, dataset, root, 0, epochs=epochs, **extra))
            try:
                report = next(attempt)
                while True:
                    for row in report.rows:
                        if row.metric == "accuracy" and row.split == "valid":
                            curves[name].append((row.train_s, row.value))
                    report = attempt.send(time.perf_counter() < until)
            except StopIteration as stop:
                ends[name] = f"{stop.value.state.value} {stop.value.reason} {stop.value.detail}".strip()
    best = {name: max((value for _, value in curve), default=0.0) for name, curve in curves.items()}
    target = min(best.values())
    reached = {n: next((s for s, value in c if value >= target), None) for n, c in curves.items()}
    direct, ours = reached["direct"], reached["pipe-s"]
    factor = direct / ours if direct and ours else None
    return {"dataset": dataset, "curves": curves, "best": best, "ends": ends, "target": target,
            "train_s": reached, "direct_over_pipe_s": factor}  # fmt: skip


def tests(limit_s: float) -> Found:
    """The suite's tests that need CUDA."""
    import pytest  # noqa: F401 - absent: left out with its reason

    command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider", "tests/neurons"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=max(60, limit_s)
    )
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return {"exit": done.returncode, "said": lines[-6:]}


PARTS: dict[str, tuple[Callable[[float], Found], float]] = {
    "neurons": (neurons, 0.10),
    "shd": (shd, 0.06),
    "tests": (tests, 0.10),
    "resnet": (resnet, 0.17),
    "fused": (fused, 0.12),
    "pretrain": (pretrain, 0.38),
}
"""With their shares of the time; what is left covers compilation."""


def machine() -> Found:
    """What ran."""
    found: Found = {"torch": torch.__version__, "device": "cpu: a dry form, its figures say nothing"}
    if CUDA:
        card = torch.cuda.get_device_properties(0)
        found |= {
            "device": card.name,
            "memory_gib": card.total_memory / 2**30,
            "capability": f"{card.major}.{card.minor}",
            "cuda": torch.version.cuda,
        }
    return found


def main() -> None:
    """Run the parts within the minutes; each writes its figures at once, so that a cut loses one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("gpu-check.json"))
    parser.add_argument("--minutes", type=float, default=8.0 if CUDA else 1.0)
    parser.add_argument("--only", default=",".join(PARTS))
    options = parser.parse_args()
    begun, whole = time.perf_counter(), options.minutes * 60
    found: Found = {"machine": machine()}
    print(json.dumps(found["machine"]), flush=True)
    for name in options.only.split(","):
        part, share = PARTS[name]
        left = whole - (time.perf_counter() - begun)
        try:
            result = part(min(share * whole, left)) if left > 5 else {"left out": "no time left"}
        except ImportError as error:
            result = {"left out": str(error)}
        except Exception as error:  # one part's fault costs no other part's figures
            result = {"failed": f"{type(error).__name__}: {error}"[:500]}
        found[name] = result | {"seconds": time.perf_counter() - begun - (whole - left)}
        print(json.dumps({name: result}, default=str), flush=True)
        options.out.write_text(json.dumps(found, indent=1, default=str) + "\n")
    print(f"{time.perf_counter() - begun:.0f} s; all of it in {options.out}")
    sys.exit(any("failed" in part for part in found.values()))


if __name__ == "__main__":
    main()
