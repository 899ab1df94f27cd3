"""Neurons through the compiled loops: float32 sequences on a CPU, forward and back.

They compute the recurrences of :mod:`harness.neurons.kernels.recurrence` and
:mod:`harness.neurons.kernels.ts_lif_recurrence`; what they do not cover runs there. One thread a call.
"""

from __future__ import annotations

import importlib
import math
import warnings
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.neurons.kernels import recurrence
from harness.neurons.kernels.layout import dense, like, rows_like
from harness.neurons.kernels.recurrence import Constants
from harness.neurons.kernels.surrogate import Surrogate
from harness.neurons.kernels.ts_lif_recurrence import Gains, Rule, gains_grad

Floats = NDArray[np.float32]


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
    """The memory of a tensor that :func:`dense` or :func:`like` gave, as rows."""
    array: Floats = x.detach().as_strided((rows, x.numel() // rows), (x.numel() // rows, 1)).numpy()
    return array


def _curve(surrogate: Surrogate | None, threshold: float) -> tuple[float, float, float]:
    """(p, q, r) of the loops."""
    if surrogate is None:
        return 0.0, 0.0, 0.0
    width = surrogate.width
    if surrogate.name == "rect":
        return threshold - width, threshold + width, 0.5 / width
    return 2.0 * width, math.pi**2 / (2.0 * width), 0.0


def forward(x: Tensor, k: float, constants: Constants) -> Tensor:
    """Spikes, rates or potentials of leaky neurons, in the layout of ``x``."""
    rows, run = 1 if constants.hold else len(x), loops()
    x = dense(x, rows)
    steps = constants.hold or rows
    out = rows_like(x, steps) if constants.each else torch.empty_like(x)
    gain = 1.0 - k if constants.decay_input else 1.0
    fixed = (k, gain, constants.v_threshold, constants.hard)
    made = _flat(out, 1 if constants.mean else steps)
    if constants.surrogate is None:
        run.potentials(_flat(x, rows), made, *fixed)
    else:
        run.spikes(_flat(x, rows), made, steps, *fixed)
    return out


def backward(
    x: Tensor, grad: Tensor, k: float, constants: Constants, *, learned: bool
) -> tuple[Tensor, Tensor | None]:
    """dL/dx, and dL/dk () where it is asked."""
    gain = 1.0 - k if constants.decay_input else 1.0
    if learned and gain == 0.0:  # below, the input's share of dL/dk is read from dL/dx, which is 0 then
        return recurrence.backward(x, grad, k, constants, learned=True)
    rows, surrogate, run = 1 if constants.hold else len(x), constants.surrogate, loops()
    x = dense(x, rows)
    grad_x, steps = torch.empty_like(x), constants.hold or rows
    grad = like(grad, rows_like(x, steps) if constants.each else x)
    kind = run.NONE if surrogate is None else run.RECT if surrogate.name == "rect" else run.ATAN
    by_k = run.backward(
        _flat(x, rows), _flat(grad, 1 if constants.mean else steps), _flat(grad_x, rows), steps,
        k, gain, constants.v_threshold, constants.hard,
        kind, *_curve(surrogate, constants.v_threshold), learned,
    )  # fmt: skip
    if learned and constants.decay_input:  # c = 1 - k
        by_k -= float(torch.sum(grad_x * x, dtype=torch.float64)) / gain
    return grad_x, x.new_tensor(by_k) if learned else None


def ts_lif_forward(x: Tensor, gains: Tensor, mix: Tensor, rule: Rule, inner: int) -> Tensor:
    """Mixed spikes of TS-LIF; element i of a row has feature (i // inner) % F of the mix (2, F)."""
    rows = 1 if rule.hold else len(x)
    x = x.contiguous()
    out, mixes = torch.empty_like(x), mix.detach().contiguous().numpy()
    constants = _constants(gains, rule)
    ts_lif_loops().forward(_flat(x, rows), _flat(out, rows), rule.hold or rows, constants, mixes, inner)
    return out


def ts_lif_backward(
    x: Tensor, grad: Tensor, gains: Tensor, mix: Tensor, rule: Rule, inner: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """dL/dx and, where ``wanted``, dL/d(gains) (8,) and dL/d(mix) (2, F)."""
    x, (by_gain, by_mix) = x.contiguous(), wanted
    rows, grad_x = 1 if rule.hold else len(x), torch.empty_like(x)
    sums = np.zeros((9 if rule.resets else 6) if by_gain else 0)
    mixes = np.zeros(tuple(mix.shape) if by_mix else (0, 0))
    ts_lif_loops().backward(
        _flat(x, rows), _flat(like(grad, x), rows), _flat(grad_x, rows), rule.hold or rows,
        _constants(gains, rule), mix.detach().contiguous().numpy(), inner,
        rule.surrogate.name == "rect", sums, mixes,
    )  # fmt: skip
    grad_gains = gains_grad(gains.new_tensor(sums), gains, late=rule.late) if by_gain else None
    return grad_x, grad_gains, torch.from_numpy(mixes).to(mix.dtype) if by_mix else None


def _constants(gains: Tensor, rule: Rule) -> Floats:
    k = Gains(*gains.tolist())
    resets = (0.0, 0.0, k.g1, k.g2) if rule.late else (k.g1, k.g2, 0.0, 0.0)
    curve = _curve(rule.surrogate, rule.v_threshold)
    return np.array([*k[:6], *resets, rule.v_threshold, *curve], np.float32)
