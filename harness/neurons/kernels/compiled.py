"""Neurons through the compiled loops: autograd nodes for float32 sequences on a CPU.

They are the recurrences of :mod:`harness.neurons.kernels.recurrence` and
:mod:`harness.neurons.kernels.ts_lif_recurrence`; what they do not cover runs there. One thread a call.
"""

from __future__ import annotations

import importlib
import math
import warnings
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from harness.neurons.kernels.surrogate import Surrogate
from harness.neurons.kernels.ts_lif_recurrence import Gains, Rule

Floats = NDArray[np.float32]


class Constants(NamedTuple):
    """What a call of a leaky neuron fixes. ``surrogate`` None: the output is the potential itself.

    ``hold`` 0: the input has a time axis. n > 0: it is held for n steps, the output is the mean of n.
    """

    v_threshold: float
    hard: bool
    decay_input: bool = False
    surrogate: Surrogate | None = None
    hold: int = 0


@cache
def loops() -> Any:
    """The compiled loops of leaky neurons, None where numba does not run. Loading takes a second."""
    return _load("_lif_loops")


@cache
def ts_lif_loops() -> Any:
    """The same for TS-LIF."""
    return _load("_ts_lif_loops")


def _load(name: str) -> Any:
    try:
        return importlib.import_module(f"harness.neurons.kernels.{name}")
    except (ImportError, OSError) as error:  # numba is absent, or its library does not load
        warnings.warn(f"neurons run as passes of torch, slower: {error}", RuntimeWarning, stacklevel=3)
        return None


def explain() -> str:
    """What runs neurons on this machine's CPU, in a line."""
    if loops() is None:
        return "compiled neurons no: numba does not run here, recurrences run as passes of torch"
    return "compiled neurons yes, on one thread: float32 with atan or rect; the rest as passes of torch"


def covers(x: Tensor, surrogate: Surrogate | None) -> bool:
    """Whether the loops compute this call: float32 on a CPU, a surrogate of arithmetic alone."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or x.numel() == 0:
        return False
    return surrogate is None or surrogate.name in ("atan", "rect")


def _flat(x: Tensor, rows: int) -> Floats:
    """The memory of a tensor that :func:`_dense` or :func:`_like` gave, as rows."""
    array: Floats = x.detach().as_strided((rows, x.numel() // rows), (x.numel() // rows, 1)).numpy()
    return array


def _dense(x: Tensor, rows: int) -> Tensor:
    """``x`` itself where every row lies in one piece, one after another; else a copy."""
    expected = 1
    pairs = [(step, size) for step, size in zip(x.stride(), x.shape, strict=True) if size > 1]
    for step, size in sorted(pairs):
        if step != expected:
            return x.contiguous()
        expected *= size
    if rows > 1 and x.stride(0) * rows != x.numel():
        return x.contiguous()
    return x


def _like(grad: Tensor, x: Tensor) -> Tensor:
    """``grad`` with the layout of ``x``."""
    return grad if grad.stride() == x.stride() else torch.empty_like(x).copy_(grad)


def _curve(surrogate: Surrogate | None, threshold: float) -> tuple[float, float, float]:
    """(p, q, r) of the loops."""
    if surrogate is None:
        return 0.0, 0.0, 0.0
    width = surrogate.width
    if surrogate.name == "rect":
        return threshold - width, threshold + width, 0.5 / width
    return 2.0 * width, math.pi**2 / (2.0 * width), 0.0


class Leaky(torch.autograd.Function):
    """Spikes, rates or potentials of leaky neurons; see :class:`Constants`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: float | Tensor, constants: Constants) -> Tensor:
        rows, run = 1 if constants.hold else len(x), loops()
        x = _dense(x, rows)
        ctx.save_for_backward(x)
        ctx.constants, ctx.k = constants, float(k)
        ctx.k_like = k if isinstance(k, Tensor) else None
        out = torch.empty_like(x)
        gain = 1.0 - ctx.k if constants.decay_input else 1.0
        fixed = (ctx.k, gain, constants.v_threshold, constants.hard)
        if constants.surrogate is None:
            run.potentials(_flat(x, rows), _flat(out, rows), *fixed)
        else:
            run.spikes(_flat(x, rows), _flat(out, rows), constants.hold or rows, *fixed)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x,), constants, run = ctx.saved_tensors, ctx.constants, loops()
        rows, surrogate = 1 if constants.hold else len(x), constants.surrogate
        grad_x, learned = torch.empty_like(x), ctx.needs_input_grad[1]
        kind = run.NONE if surrogate is None else run.RECT if surrogate.name == "rect" else run.ATAN
        by_k = run.backward(
            _flat(x, rows), _flat(_like(grad, x), rows), _flat(grad_x, rows), constants.hold or rows,
            ctx.k, 1.0 - ctx.k if constants.decay_input else 1.0, constants.v_threshold, constants.hard,
            kind, *_curve(surrogate, constants.v_threshold), learned,
        )  # fmt: skip
        grad_k = torch.full_like(ctx.k_like, by_k) if learned else None
        return grad_x, grad_k, None


class TSLIF(torch.autograd.Function):
    """Mixed spikes of TS-LIF; element i of a row has feature (i // inner) % F of the mix (2, F)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gains: Tensor, mix: Tensor, rule: Rule, inner: int) -> Tensor:
        rows = 1 if rule.hold else len(x)
        x = x.contiguous()
        ctx.save_for_backward(x, gains, mix)
        ctx.rule, ctx.inner = rule, inner
        out = torch.empty_like(x)
        mixes = mix.detach().contiguous().numpy()
        run = ts_lif_loops()
        constants = _constants(gains, rule)
        run.forward(_flat(x, rows), _flat(out, rows), rule.hold or rows, constants, mixes, inner)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x, gains, mix), rule = ctx.saved_tensors, ctx.rule
        rows, grad_x = 1 if rule.hold else len(x), torch.empty_like(x)
        _, by_gain, by_mix = ctx.needs_input_grad[:3]
        sums = np.zeros((9 if rule.resets else 6) if by_gain else 0)
        mixes = np.zeros(tuple(mix.shape) if by_mix else (0, 0))
        ts_lif_loops().backward(
            _flat(x, rows), _flat(_like(grad, x), rows), _flat(grad_x, rows), rule.hold or rows,
            _constants(gains, rule), mix.detach().contiguous().numpy(), ctx.inner,
            rule.surrogate.name == "rect", sums, mixes,
        )  # fmt: skip
        grad_gains = gains.new_tensor(_gains_grad(sums, gains, rule)) if by_gain else None
        grad_mix = torch.from_numpy(mixes).to(mix.dtype) if by_mix else None
        return grad_x, grad_gains, grad_mix, None, None


def _constants(gains: Tensor, rule: Rule) -> Floats:
    k = Gains(*gains.tolist())
    resets = (0.0, 0.0, k.g1, k.g2) if rule.late else (k.g1, k.g2, 0.0, 0.0)
    curve = _curve(rule.surrogate, rule.v_threshold)
    return np.array([*k[:6], *resets, rule.v_threshold, *curve], np.float32)


def _gains_grad(sums: NDArray[np.float64], gains: Tensor, rule: Rule) -> list[float]:
    """dL/d(gains) from the loops' sums, in the order of :class:`Gains`."""
    k = Gains(*gains.tolist())
    d_x, s_x, s_d, d_pd, d_ps, s_ps, d_fd, d_fs, s_fs = (*sums.tolist(), 0.0, 0.0, 0.0)[:9]
    resets = (-d_fd, -s_fs) if rule.late else (-k.k11 * d_fd, -k.k12 * d_fs - k.k22 * s_fs)
    return [d_pd, d_ps, d_x, s_ps, s_d, s_x, *resets]
