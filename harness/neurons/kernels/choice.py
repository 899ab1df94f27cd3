"""Which code computes a neuron's sequence: chosen for each call by device, type and surrogate.

On CUDA the kernels in Triton, on a CPU the compiled loops, and what these do not cover as passes of torch.
A kernel that does not compile is named once and not tried again in this process; the passes take over,
and :func:`used` says so to the row of the trial. Where nothing but time tells alternatives apart they are
measured: :mod:`harness.contracts.choices`, which also holds the record of what a trial used.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.contracts.choices import Record, active
from harness.neurons.kernels import compiled, recurrence, ts_lif_passes
from harness.neurons.kernels.recurrence import Constants
from harness.neurons.kernels.ts_lif_recurrence import Rule

TRITON, LOOPS, PASSES = "triton", "compiled loops", "passes of torch"
_TYPES = (torch.float32, torch.bfloat16, torch.float16)
_failed: dict[str, str] = {}


class Code(NamedTuple):
    """The two passes of a neuron, however they are computed."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


def leaky(x: Tensor, constants: Constants) -> Code:
    """What runs a leaky neuron on ``x``."""
    if _on_gpu(x, "leaky_triton"):
        return _guarded("leaky_triton")
    if compiled.covers(_single(x), constants.surrogate) and compiled.loops() is not None:
        return _taken(LOOPS, _by_group(compiled.forward, compiled.backward))
    return _taken(PASSES, _by_group(recurrence.forward, recurrence.backward))


def ts_lif(x: Tensor, gains: Tensor, rule: Rule) -> Code:
    """What runs TS-LIF on ``x``."""
    single = gains.dtype == torch.float32 and x.dtype != torch.float64
    if single and _on_gpu(x, "ts_lif_triton"):
        return _guarded("ts_lif_triton")
    if single and compiled.covers(_single(x), rule.surrogate) and compiled.ts_lif_loops() is not None:
        return _taken(LOOPS, _in_single(compiled.ts_lif_forward, compiled.ts_lif_backward))
    return _taken(PASSES, _in_single(ts_lif_passes.forward, ts_lif_passes.backward))


def used(record: Record | None = None) -> str:
    """What computed neurons, and which kernel failed why; "" where none ran."""
    names = (record or active()).used
    failures = [f"{name} failed: {reason}" for name, reason in sorted(_failed.items())]
    return "; ".join([", ".join(sorted(names)), *failures]) if names else ""


def _taken(name: str, code: Code) -> Code:
    active().used.add(name)
    return code


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def _on_gpu(x: Tensor, kernel: str) -> bool:
    return x.is_cuda and x.dtype in _TYPES and x.numel() > 0 and _has_triton() and kernel not in _failed


def _guarded(kernel: str) -> Code:
    """A kernel in Triton whose failure to compile is survived."""
    return _taken(TRITON, Code(partial(_attempt, kernel, 0), partial(_attempt, kernel, 1)))


def _attempt(kernel: str, which: int, *args: Any, **options: Any) -> Any:
    if kernel not in _failed:
        try:
            module = importlib.import_module(f"harness.neurons.kernels.{kernel}")
            return (module.forward, module.backward)[which](*args, **options)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # a compiler, its tools and drivers: whatever they raise, passes run
            reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[-1]}"[:200]
            _failed[kernel] = reason
            warnings.warn(f"{kernel} does not run here, passes of torch do: {reason}", RuntimeWarning, 2)
    active().used.discard(TRITON)
    return _taken(PASSES, _PASSES[kernel])[which](*args, **options)


def _single(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _by_group(forward: Callable[..., Tensor], backward: Callable[..., Any]) -> Code:
    """Code of one group in single precision, for groups and for half precision."""

    def all_forward(x: Tensor, k: Any, constants: Constants) -> Tensor:
        if not constants.groups:
            return forward(_single(x), float(k), constants).to(x.dtype)
        own = constants._replace(groups=0)
        return torch.stack([all_forward(x[g], float(k[g]), own) for g in range(constants.groups)])

    def all_backward(
        x: Tensor, grad: Tensor, k: Any, constants: Constants, *, learned: bool
    ) -> tuple[Tensor, Tensor | None]:
        if not constants.groups:
            found = backward(_single(x), _single(grad), float(k), constants, learned=learned)
            return found[0].to(x.dtype), found[1]
        own, ks = constants._replace(groups=0), range(constants.groups)
        each = [all_backward(x[g], grad[g], float(k[g]), own, learned=learned) for g in ks]
        by_k = torch.stack([by for _, by in each if by is not None]) if learned else None
        return torch.stack([grad_x for grad_x, _ in each]), by_k

    return Code(all_forward, all_backward)


def _in_single(forward: Callable[..., Tensor], backward: Callable[..., Any]) -> Code:
    """Code in single precision, for half precision too."""

    def all_forward(x: Tensor, gains: Tensor, mix: Tensor, rule: Rule, inner: int) -> Tensor:
        return forward(_single(x), gains, mix.to(gains.dtype), rule, inner).to(x.dtype)

    def all_backward(x: Tensor, grad: Tensor, gains: Tensor, mix: Tensor, *others: Any) -> Any:
        grad_x, by_gain, by_mix = backward(_single(x), _single(grad), gains, mix.to(gains.dtype), *others)
        return grad_x.to(x.dtype), by_gain, None if by_mix is None else by_mix.to(mix.dtype)

    return Code(all_forward, all_backward)


_PASSES = {
    "leaky_triton": _by_group(recurrence.forward, recurrence.backward),
    "ts_lif_triton": _in_single(ts_lif_passes.forward, ts_lif_passes.backward),
}
