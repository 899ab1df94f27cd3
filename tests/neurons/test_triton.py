"""The kernels in Triton: run by its interpreter they equal the equations; for cards they compile.

Triton decides at its import whether it interprets, so the cases run in a process of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")

from harness.neurons.kernels import recurrence, ts_lif_passes
from harness.neurons.kernels.recurrence import Constants
from harness.neurons.kernels.surrogate import Surrogate, atan, named, rect
from harness.neurons.kernels.ts_lif_recurrence import Rule

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
interpreted = pytest.mark.skipif(not INTERPRETED, reason="test_the_interpreter_agrees runs it")
SURROGATES = [rect(0.5), atan(2.0), named("sigmoid"), named("gaussian", 0.4)]
SHORT, LONG = 5, 19


@pytest.mark.skipif(INTERPRETED, reason="this is the process that it starts")
def test_the_interpreter_agrees() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def close(ours: Tensor | None, theirs: Tensor | None, tolerance: float = 1e-5) -> None:
    assert ours is not None
    assert theirs is not None
    scale = 1.0 + float(theirs.abs().max())
    torch.testing.assert_close(ours.float(), theirs.float(), atol=tolerance * scale, rtol=tolerance)


@interpreted
@pytest.mark.parametrize("steps", [1, SHORT, LONG])
@pytest.mark.parametrize("surrogate", [*SURROGATES, None], ids=repr)
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("hard", [True, False])
def test_leaky(steps: int, surrogate: Surrogate | None, decay_input: bool, hard: bool) -> None:
    """LIF (a fixed decay), PLIF (a learned one) and LIAF (no surrogate: potentials)."""
    from harness.neurons.kernels import leaky_triton

    constants = Constants(0.9, hard, decay_input, surrogate)
    x, grad = normal(steps, 3, 207, seed=1) + 0.3, normal(steps, 3, 207, seed=2)
    k = 0.7
    out = leaky_triton.forward(x, k, constants)
    expected = recurrence.forward(x, k, constants)
    close(out, expected, 1e-6)
    by_x, by_k = recurrence.backward(x, grad, k, constants, learned=True)
    for decay, learned in ((k, False), (torch.tensor(k), True)):
        ours = leaky_triton.backward(x, grad, decay, constants, learned=learned)
        close(ours[0], by_x)
        assert (ours[1] is None) is not learned
        if learned:
            close(ours[1], by_k.reshape(1), 1e-4)


@interpreted
@pytest.mark.parametrize("steps", [SHORT, LONG])
@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
@pytest.mark.parametrize("each", [False, True])
def test_leaky_held(steps: int, surrogate: Surrogate, each: bool) -> None:
    from harness.neurons.kernels import leaky_triton

    constants = Constants(1.0, True, False, surrogate, hold=steps, each=each)
    x, grad = normal(3, 207, seed=3) + 0.5, normal(*([steps] if each else []), 3, 207, seed=4)
    close(leaky_triton.forward(x, 0.9, constants), recurrence.forward(x, 0.9, constants), 1e-6)
    by_x, by_k = recurrence.backward(x, grad, 0.9, constants, learned=True)
    ours = leaky_triton.backward(x, grad, torch.tensor(0.9), constants, learned=True)
    close(ours[0], by_x)
    close(ours[1], by_k.reshape(1), 1e-4)


@interpreted
@pytest.mark.parametrize("steps", [SHORT, LONG])
def test_leaky_groups_have_decays_of_their_own(steps: int) -> None:
    from harness.neurons.kernels import leaky_triton

    k = torch.tensor([0.2, 0.5, 0.95])
    constants, each = Constants(1.0, True, False, atan(), groups=3), Constants(1.0, True, False, atan())
    x, grad = normal(3, steps, 2, 301, seed=5) + 0.3, normal(3, steps, 2, 301, seed=6)
    out = leaky_triton.forward(x, k, constants)
    by_x, by_k = leaky_triton.backward(x, grad, k, constants, learned=True)
    assert by_k is not None
    for g in range(3):
        close(out[g], recurrence.forward(x[g], float(k[g]), each), 1e-6)
        expected = recurrence.backward(x[g], grad[g], float(k[g]), each, learned=True)
        close(by_x[g], expected[0])
        close(by_k[g], expected[1], 1e-4)


@interpreted
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("steps", [SHORT, LONG])
def test_leaky_in_half_precision_integrates_in_single(steps: int, dtype: torch.dtype) -> None:
    from harness.neurons.kernels import leaky_triton

    constants = Constants(1.0, True, False, atan())
    x, grad = (normal(steps, 400, seed=7) + 0.3).to(dtype), normal(steps, 400, seed=8).to(dtype)
    out = leaky_triton.forward(x, 0.9, constants)
    assert out.dtype == dtype
    assert torch.equal(out.float(), recurrence.forward(x.float(), 0.9, constants))
    ours = leaky_triton.backward(x, grad, 0.9, constants, learned=False)[0]
    expected = recurrence.backward(x.float(), grad.float(), 0.9, constants, learned=False)[0]
    close(ours, expected.to(dtype), 1e-2)


@interpreted
def test_leaky_keeps_channels_last_and_a_nan() -> None:
    from harness.neurons.kernels import leaky_triton

    image = normal(18, 4, 5, 5, seed=9).contiguous(memory_format=torch.channels_last)
    x = image.unflatten(0, (6, 3))
    constants = Constants(1.0, True, False, atan())
    out = leaky_triton.forward(x, 0.5, constants)
    assert out.stride() == x.stride()
    close(out, recurrence.forward(x, 0.5, constants), 0.0)
    grad = torch.ones_like(x.contiguous())
    close(
        leaky_triton.backward(x, grad, 0.5, constants, learned=False)[0],
        recurrence.backward(x, grad, 0.5, constants, learned=False)[0],
    )
    potentials = leaky_triton.forward(torch.tensor([[0.1], [float("nan")], [0.1]]), 0.5, Constants(1.0, True))
    assert potentials.isnan().flatten().tolist() == [False, True, True]


@interpreted
@pytest.mark.parametrize("steps", [SHORT, LONG])
@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize(("features", "inner"), [(1, 1), (9, 1), (6, 7)])
def test_ts_lif(steps: int, surrogate: Surrogate, late: bool, hold: bool, features: int, inner: int) -> None:
    from harness.neurons.kernels import ts_lif_triton

    rule = Rule(1.0, surrogate, late, steps if hold else 0)
    shape = (2, features, inner) if hold else (steps, 2, features, inner)
    x, grad = 2.0 * normal(*shape, seed=11), normal(*shape, seed=13)
    gains = torch.tensor([0.8, -0.1, 0.2, 0.3, -0.8, 0.7, 0.5, 1.0])
    mix = normal(2, features, seed=12)
    args = (gains, mix, rule, inner if features > 1 else 1)
    close(ts_lif_triton.forward(x, *args), ts_lif_passes.forward(x, *args))
    ours = ts_lif_triton.backward(x, grad, *args, (True, True))
    theirs = ts_lif_passes.backward(x, grad, *args, (True, True))
    for mine, expected in zip(ours, theirs, strict=True):
        close(mine, expected, 1e-4)
    assert ts_lif_triton.backward(x, grad, *args, (False, False))[1:] == (None, None)


POINTERS = ["x", "out", "grad", "grad_x", "scratch", "by_k", "k_ptr", "gains", "mix", "by_gain", "by_mix"]
NUMBERS = ["k", "th", "p", "q", "r"]
FORWARD = {"HELD": 0, "MEAN": 0, "HARD": 1, "DECAYS": 1, "READ_K": 1, "SPIKES": 1, "BLOCK": 512}
BACK = {"HELD": 0, "MEAN": 0, "HARD": 1, "DECAYS": 0, "READ_K": 1, "LEARNED": 1, "KIND": 2, "BLOCK": 512}
TS_BACK = {"HELD": 1, "LATE": 0, "KIND": 2, "BY_GAIN": 1, "BY_MIX": 1, "BLOCK": 256}


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="an interpreter compiles nothing")
@pytest.mark.parametrize(("kind", "capability"), [("fp32", 80), ("bf16", 90)])
@pytest.mark.parametrize(
    ("module", "kernel", "constexprs"),
    [
        ("leaky_triton", "forward_kernel", FORWARD),
        (
            "leaky_triton",
            "forward_kernel",
            FORWARD | {"HELD": 1, "MEAN": 1, "HARD": 0, "DECAYS": 0, "READ_K": 0},
        ),
        ("leaky_triton", "backward_kernel", BACK | {"STEPS": 6}),
        ("leaky_triton", "backward_kernel", BACK | {"STEPS": 16, "KIND": 4, "DECAYS": 1}),
        ("leaky_triton", "backward_kernel", BACK | {"STEPS": 4, "KIND": 3, "HELD": 1}),
        ("leaky_triton", "backward_long_kernel", BACK),
        (
            "leaky_triton",
            "backward_long_kernel",
            BACK | {"KIND": 1, "HELD": 1, "MEAN": 1, "HARD": 0, "DECAYS": 1},
        ),
        ("leaky_triton", "backward_long_kernel", BACK | {"KIND": 0, "LEARNED": 0, "READ_K": 0}),
        ("ts_lif_triton", "forward_kernel", {"HELD": 1, "LATE": 0, "BLOCK": 256}),
        ("ts_lif_triton", "backward_kernel", TS_BACK | {"STEPS": 4}),
        ("ts_lif_triton", "backward_kernel", TS_BACK | {"STEPS": 8, "HELD": 0, "LATE": 1}),
        ("ts_lif_triton", "backward_long_kernel", TS_BACK | {"HELD": 0, "KIND": 1}),
    ],
)
def test_they_compile_for_cards(
    module: str, kernel: str, constexprs: dict[str, int], kind: str, capability: int
) -> None:
    """To machine code, without a card: what the interpreter takes, a compiler may not."""
    import importlib

    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function: Any = getattr(importlib.import_module(f"harness.neurons.kernels.{module}"), kernel)
    data = {"x", "out", "grad", "grad_x"}
    signature = {
        name: "constexpr" if name in constexprs
        else (f"*{kind}" if name in data else "*fp32") if name in POINTERS
        else "fp32" if name in NUMBERS else "i32"
        for name in function.arg_names
    }  # fmt: skip
    source = ASTSource(fn=function, signature=signature, constexprs=constexprs)
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    assert made.asm["cubin"]


@pytest.mark.skipif(INTERPRETED, reason="an interpreter needs no card")
@pytest.mark.parametrize("kernel", ["leaky_triton", "ts_lif_triton"])
def test_a_kernel_that_cannot_run_is_said_once(monkeypatch: pytest.MonkeyPatch, kernel: str) -> None:
    """Here there is no card to run it on: the passes take over, and the row says so."""
    from harness.contracts.choices import Record, recording
    from harness.neurons.kernels import choice
    from harness.neurons.lif import LIF
    from harness.neurons.ts_lif import TSLIF

    monkeypatch.setattr(choice, "_failed", {})
    monkeypatch.setattr(choice, "_on_gpu", lambda x, name: name not in choice._failed)
    neuron = LIF() if kernel == "leaky_triton" else TSLIF()
    x = normal(6, 4, 8, seed=20).requires_grad_()
    record = Record()
    with recording(record):
        with pytest.warns(RuntimeWarning, match=f"{kernel} does not run here, passes of torch do"):
            out = neuron(x)
        out.sum().backward()  # a warning more would be an error
        neuron(x.detach())
    said = choice.used(record)
    assert said.startswith(f"passes of torch; {kernel} failed: ") or choice.LOOPS in said
    monkeypatch.undo()
    torch.testing.assert_close(out, neuron(x.detach()), atol=1e-6, rtol=0)
    assert x.grad is not None
