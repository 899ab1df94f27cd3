"""Synaptic operations counted operator by operator, whatever module or function asked for them.

A product ``a @ b`` takes one operation for each pair of values, neither of them zero, that meet: linear
layers, attention, ``matmul`` and ``einsum`` alike. Spikes drive it where one side is 0 or 1 throughout, else
it is analog. Convolutions count what their borders leave. Where one operator hides a whole network (fused
recurrent layers, attention in one call) a rule of its own says what is inside. Neurons and layers that state
their synapses themselves (``fan_out``) are passed over here: see :mod:`harness.train.probes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from spikingjelly.activation_based.op_counter.base import BaseCounter, DispatchCounterMode
from torch import Tensor
from torch.utils.hooks import RemovableHandle

aten = torch.ops.aten
Found = tuple[Tensor | float, bool]
"""Operations, and whether spikes drive them."""


def binary(x: Tensor) -> bool:
    """Whether every value is 0 or 1."""
    return x.dtype == torch.bool or (_binary(x.reshape(-1)[:64]) and _binary(x))


def _binary(x: Tensor) -> bool:
    return torch.equal(x, x * x)


def active(x: Tensor, dim: tuple[int, ...], *, spikes: bool) -> Tensor:
    """Values unequal to zero, counted over ``dim``; of spikes their sum, which is quicker."""
    return (x if spikes and x.is_floating_point() else (x != 0)).float().sum(dim).double()


def pairs(a_nk: Tensor, b_km: Tensor) -> Tensor | float:
    """Triples (n, k, m) with both values unequal to zero, over (..., N, K) and (..., K, M)."""
    if b_km.dim() == 2 and int(torch.count_nonzero(b_km)) == b_km.numel():
        return float(torch.count_nonzero(a_nk)) * b_km.shape[-1]
    return (active(a_nk, (-2,), spikes=False) * active(b_km, (-1,), spikes=False)).sum()


def product(a: Tensor, b: Tensor) -> Found:
    """The operations of ``a @ b``."""
    return pairs(a, b), binary(a) or binary(b)


@lru_cache(maxsize=512)
def _reach(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> Tensor:
    """For each position of an axis how many outputs it reaches, (size,)."""
    at = (torch.arange(out) * stride - padding)[:, None] + torch.arange(kernel) * dilation
    return torch.bincount(at[(at >= 0) & (at < size)], minlength=size).double()


@lru_cache(maxsize=512)
def _reach_transposed(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> Tensor:
    at = (torch.arange(size) * stride - padding)[:, None] + torch.arange(kernel) * dilation
    return ((at >= 0) & (at < out)).sum(1).double()


def convolution(args: Sequence[Any], _kwargs: Any, out: Tensor) -> Found:
    """``aten.convolution``: every value unequal to zero times the kernels that reach it."""
    x, weight, _bias, stride, padding, dilation, transposed, _output_padding, groups = args[:9]
    axes = weight.dim() - 2
    stride, padding, dilation = ((list(v) * axes)[:axes] for v in (stride, padding, dilation))
    reach = _reach_transposed if transposed else _reach
    spikes = binary(x)
    by_place = active(x, (0, 1), spikes=spikes).cpu()
    for i in range(axes):
        kernel = weight.shape[2 + i]
        times = reach(x.shape[2 + i], out.shape[2 + i], kernel, stride[i], padding[i], dilation[i])
        by_place *= times.view([-1 if axis == i else 1 for axis in range(axes)])
    return by_place.sum() * (out.shape[1] // groups), spikes


def attention(args: Sequence[Any], _kwargs: Any, _out: Any) -> list[Found]:
    """Scaled dot products in one call: queries with keys, then weights (none of them zero) with values."""
    q, k, v = args[:3]
    weighted = torch.count_nonzero(v).double() * q.shape[-2]
    return [product(q, k.transpose(-2, -1)), (weighted, binary(v))]


def _heads(query: Tensor, key: Tensor, qkv_weight: Tensor, proj_weight: Tensor) -> list[Found]:
    """Attention over (B, L, D) and (B, S, D) as one operator: projections, both products, the way out."""
    batch, length, _ = query.shape
    own = qkv_weight.shape[0] // 3
    inputs = torch.count_nonzero(query) + 2 * torch.count_nonzero(key)
    inside = batch * (2 * length * key.shape[1] * own + length * proj_weight.numel())
    return [(inputs * own, binary(query) and binary(key)), (inside, False)]


def _native_heads(args: Sequence[Any], _kwargs: Any, _out: Any) -> list[Found]:
    return _heads(args[0], args[1], args[5], args[7])


def _encoder_layer(args: Sequence[Any], _kwargs: Any, _out: Any) -> list[Found]:
    x, wide = args[0], args[14].numel() + args[16].numel()
    return [*_heads(x, x, args[3], args[5]), (x.shape[0] * x.shape[1] * wide, False)]


def recurrent(x: Tensor, weights: Sequence[Tensor], hidden: Tensor | None) -> list[Found]:
    """A fused recurrent network over x (T, B, F): its input as it is, its analog states dense."""
    matrices = [w for w in weights if w.dim() == 2]
    steps_batch = x.shape[0] * x.shape[1]
    first = steps_batch - (0 if hidden is not None and bool(hidden.any()) else x.shape[1])
    analog = 0.0
    found: list[Found] = []
    for index, w in enumerate(matrices):
        if index % 2:
            analog += float(first * w.numel())
        elif index == 0 or (w.shape[1] == x.shape[2] and w.shape[1] != matrices[1].shape[1]):
            found.append(product(x.flatten(0, 1), w.t()))
        else:
            analog += float(steps_batch * w.numel())
    return [*found, (analog, False)]


def _fused(args: Sequence[Any], _kwargs: Any, _out: Any) -> list[Found]:
    return recurrent(args[0], args[1:3], args[5])


def _cudnn(args: Sequence[Any], _kwargs: Any, _out: Any) -> list[Found]:
    x = args[0].transpose(0, 1) if args[10] else args[0]
    return recurrent(x, args[1], args[4])


def _of(a: int, b: int) -> Callable[..., Found]:
    def rule(args: Sequence[Any], _kwargs: Any, _out: Any) -> Found:
        x, y = args[a], args[b]
        return product(x if x.dim() > 1 else x[None], y if y.dim() > 1 else y[:, None])

    return rule


RULES: dict[Any, Callable[..., Any]] = {
    aten.mm.default: _of(0, 1),
    aten.bmm.default: _of(0, 1),
    aten.addmm.default: _of(1, 2),
    aten.baddbmm.default: _of(1, 2),
    aten.mv.default: _of(0, 1),
    aten.addmv.default: _of(1, 2),
    aten.dot.default: _of(0, 1),
    aten.convolution.default: convolution,
    aten.mkldnn_rnn_layer.default: _fused,
    aten._cudnn_rnn.default: _cudnn,
    aten._native_multi_head_attention.default: _native_heads,
    aten._transformer_encoder_layer_fwd.default: _encoder_layer,
    aten._scaled_dot_product_flash_attention_for_cpu.default: attention,
    aten._scaled_dot_product_flash_attention.default: attention,
    aten._scaled_dot_product_efficient_attention.default: attention,
    aten._scaled_dot_product_cudnn_attention.default: attention,
}


class SynapticOperations(BaseCounter):  # type: ignore[misc]
    """A counter for SpikingJelly's ``DispatchCounterMode``: ``accumulates`` and ``multiplies`` so far."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = dict(RULES)
        self.ignore_modules = [torch.nn.Module]  # those that Watch is told of
        self.accumulates = 0.0
        self.multiplies = 0.0

    def count(self, func: Any, args: Any, kwargs: Any, out: Any, **_context: Any) -> int:
        """Add what one operator does."""
        found = self.rules[func](args, kwargs, out)
        for operations, spikes in found if isinstance(found, list) else [found]:
            self.add(operations, spikes=spikes)
        return 0

    def add(self, operations: Tensor | float, *, spikes: bool) -> None:
        """Add operations that spikes drive, or analog values."""
        if spikes:
            self.accumulates += float(operations)
        else:
            self.multiplies += float(operations)

    def record(self, scope: str, func: Any, value: int) -> None:
        """Nothing: one total is all that is asked for."""


class _Inside:
    """Which modules run now, of those that say so: quicker than hooks on every module of a network."""

    def __init__(self) -> None:
        self.active_modules: set[torch.nn.Module] = set()
        self.parents: set[str] = set()

    def __enter__(self) -> None:
        self.active_modules.clear()

    def __exit__(self, *_error: object) -> None:
        self.active_modules.clear()


class Watch(DispatchCounterMode):  # type: ignore[misc]
    """SpikingJelly's mode; operators without a rule, and those within a module passed over, pass at once."""

    def __init__(self, counters: list[SynapticOperations]) -> None:
        super().__init__(counters)
        self.module_tracker = _Inside()

    def pass_over(self, module: torch.nn.Module) -> list[RemovableHandle]:
        """Count nothing that runs inside of a module; the hooks that see to it."""
        inside = self.module_tracker.active_modules
        return [
            module.register_forward_pre_hook(lambda own, _inputs: inside.add(own)),
            module.register_forward_hook(lambda own, _inputs, _out: inside.discard(own)),
        ]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in RULES and not self.module_tracker.active_modules:
            return super().__torch_dispatch__(func, types, args, kwargs)
        return func(*args, **(kwargs or {}))
