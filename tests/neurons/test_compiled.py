"""The compiled loops equal the recurrences that they stand for, on every layout and block."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.contracts.choices import Record, recording
from harness.neurons.kernels import _machine as machine
from harness.neurons.kernels import choice, compiled, recurrence, ts_lif_passes
from harness.neurons.kernels.functional import integrate_multistep, lif_held, lif_multistep
from harness.neurons.kernels.recurrence import Constants
from harness.neurons.kernels.surrogate import Surrogate, atan, named, rect
from harness.neurons.kernels.ts_lif_functional import ts_lif_multistep
from harness.neurons.kernels.ts_lif_recurrence import Rule
from harness.neurons.lif import LIF
from harness.neurons.ts_lif import TSLIF, TSLIFParams

pytestmark = pytest.mark.skipif(compiled.loops() is None, reason="numba is not installed")

ROOT = Path(__file__).parents[2]
SHAPES = [(1, 3), (4, 5000), (112, 4, 300), (6, 3, 7, 5, 5)]


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("surrogate", [atan(2.0), atan(5.0), rect(0.5), rect(0.2)], ids=repr)
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_leaky_equals_the_recurrence(
    shape: tuple[int, ...], surrogate: Surrogate, decay_input: bool, reset: Any
) -> None:
    """Same spikes, gradients to 1e-5."""
    x, grad = (0.8 * normal(shape, 1) + 0.3).requires_grad_(), normal(shape, 2)
    out = lif_multistep(x, 0.7, 0.9, surrogate, decay_input=decay_input, reset=reset)
    out.backward(grad)
    constants = Constants(0.9, reset == "hard", decay_input, surrogate)
    assert torch.equal(out, recurrence.forward(x.detach(), 0.7, constants))
    by_x, _ = recurrence.backward(x.detach(), grad, 0.7, constants, learned=False)
    torch.testing.assert_close(x.grad, by_x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("decay", [0.6, 1.0])
@pytest.mark.parametrize("analog", [False, True])
def test_a_learned_decay_gets_its_gradient(reset: Any, decay_input: bool, decay: float, analog: bool) -> None:
    x, k = (normal((9, 4000), 3) + 0.3).requires_grad_(), torch.tensor(decay, requires_grad=True)
    grad, run = normal((9, 4000), 4), integrate_multistep if analog else lif_multistep
    run(x, k, decay_input=decay_input, reset=reset).backward(grad)
    constants = Constants(1.0, reset == "hard", decay_input, None if analog else atan())
    by_x, by_k = recurrence.backward(x.detach(), grad, decay, constants, learned=True)
    torch.testing.assert_close(x.grad, by_x, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(k.grad, by_k, atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 3, 4])
@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("surrogate", [atan(), rect(), named("gaussian")], ids=repr)
def test_a_held_current_is_a_repeated_one(steps: int, reset: Any, surrogate: Surrogate) -> None:
    results = []
    for held in (True, False):
        x = (normal((3, 5000), 6) + 0.5).requires_grad_()
        if held:
            out = lif_held(x, steps, 0.99, 1.0, surrogate, reset=reset)
        else:
            out = lif_multistep(x.expand(steps, -1, -1), 0.99, 1.0, surrogate, reset=reset).mean(0)
        out.backward(normal((3, 5000), 7))
        results.append((out.detach(), x.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("surrogate", [atan(), rect(), named("gaussian")], ids=repr)
@pytest.mark.parametrize("analog", [False, True])
def test_a_constant_current_is_read_once(surrogate: Surrogate, analog: bool) -> None:
    """An expanded current equals its copies, keeps channels last, and its gradient is their sum."""
    image = normal((3, 4, 5, 5), 16).contiguous(memory_format=torch.channels_last)
    once, copies = image.clone().requires_grad_(), image.repeat(6, 1, 1, 1, 1).requires_grad_()
    outs = []
    for x in (once.expand(6, *once.shape), copies):
        k = torch.tensor(0.8, requires_grad=True)
        out = integrate_multistep(x, k) if analog else lif_multistep(x, k, 1.0, surrogate)
        out.backward(normal(out.shape, 17))
        outs.append((out.detach(), k.grad))
    assert outs[0][0][0].is_contiguous(memory_format=torch.channels_last)
    for ours, theirs in zip(*outs, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert copies.grad is not None
    torch.testing.assert_close(once.grad, copies.grad.sum(0), atol=1e-5, rtol=1e-5)


def test_layouts() -> None:
    """Channels-last steps keep their layout; slices and expanded inputs are copied."""
    image = normal((6 * 3, 4, 5, 5), 8).contiguous(memory_format=torch.channels_last)
    last = image.unflatten(0, (6, 3)).requires_grad_()
    plain = last.detach().contiguous().requires_grad_()
    sliced = normal((6, 9), 9)[:, ::2]
    out = lif_multistep(last, 0.5)
    assert out.stride() == last.stride()
    out.sum().backward()  # an expanded gradient
    lif_multistep(plain, 0.5).sum().backward()
    torch.testing.assert_close(last.grad, plain.grad)
    assert torch.equal(lif_multistep(sliced, 0.5), lif_multistep(sliced.contiguous(), 0.5))
    turned = normal((4, 6), 10).t()  # time is the inner axis
    assert torch.equal(lif_multistep(turned, 0.5), lif_multistep(turned.contiguous(), 0.5))


def test_a_broken_current_reaches_the_gradient() -> None:
    x = torch.tensor([[0.1], [float("nan")], [0.1]], requires_grad=True)
    lif_multistep(x, 0.5).sum().backward()
    assert x.grad is not None
    assert x.grad.isnan().any()


@pytest.mark.parametrize("form", ["code", "paper"])
@pytest.mark.parametrize("surrogate", [atan(), rect()], ids=repr)
@pytest.mark.parametrize("hold", [0, 4])
@pytest.mark.parametrize(("features", "inner"), [(1, 1), (128, 1), (6, 7), (3, 2000), (2000, 1)])
def test_ts_lif_equals_the_recurrence(
    form: str, surrogate: Surrogate, hold: int, features: int, inner: int
) -> None:
    rule = Rule(1.0, surrogate, form == "paper", hold)
    shape = (2, features, inner) if hold else (5, 2, features, inner)
    results = []
    for fused in (True, False):
        x = (2.0 * normal(shape, 11)).requires_grad_()
        gains = torch.tensor([0.8, -0.1, 0.2, 0.3, -0.8, 0.7, 0.5, 1.0], requires_grad=True)
        mix = normal((2, features), 12).requires_grad_()
        if fused:
            out = ts_lif_multistep(x, gains, mix, rule, axis=-2)
        else:
            args = (gains.detach(), mix.detach(), rule, inner if features > 1 else 1)
            out = ts_lif_passes.forward(x.detach(), *args)
            found = ts_lif_passes.backward(x.detach(), normal(shape, 13), *args, (True, True))
            results.append((out, *found))
            continue
        out.backward(normal(shape, 13))
        results.append((out.detach(), x.grad, gains.grad, mix.grad))
    for ours, theirs in zip(*results, strict=True):
        assert theirs is not None
        torch.testing.assert_close(ours, theirs, atol=1e-4 * float(theirs.abs().max()) + 1e-5, rtol=1e-4)


def test_what_the_loops_leave_out() -> None:
    assert not compiled.covers(torch.zeros(3, dtype=torch.float64), atan())
    assert not compiled.covers(torch.zeros(3), named("sigmoid"))
    assert not compiled.covers(torch.zeros(0), atan())
    assert compiled.covers(torch.zeros(3), None)


def test_neurons_use_them() -> None:
    """A neuron's own forward and hold end in the loops, and say so."""
    x = normal((4, 8), 14).requires_grad_()
    for run in (lambda: LIF()(x), lambda: LIF().hold(x[0], 4), lambda: TSLIF(TSLIFParams())(x)):
        with recording(Record()):
            run().sum().backward()
            assert choice.used() == choice.LOOPS


UNWRITABLE = """
import torch
from harness.neurons.lif import LIF
x = torch.randn(4, 8, requires_grad=True)
LIF()(x).sum().backward()
from harness.neurons.kernels import choice
print(choice.used(), tuple(x.grad.shape))
"""


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path: Path) -> None:
    """The node's cache is a file where a folder should be."""
    (tmp_path / "file").write_text("")
    environment = {**os.environ, "HARNESS_CACHE": str(tmp_path / "file"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", UNWRITABLE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.split("\n")[0] == "compiled loops (4, 8)", done.stderr


def test_machine_code_of_other_sources_is_never_found(monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine.folder.__wrapped__()
    assert here == machine.folder.__wrapped__()
    monkeypatch.setattr(machine, "SOURCES", machine.SOURCES[:1])
    assert machine.folder.__wrapped__() != here
