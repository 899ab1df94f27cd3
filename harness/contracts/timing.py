"""How long alternatives take: in turns, medians of a few, without harm to what trains beside it."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import compress
from typing import Any

import torch
from torch import Tensor

Work = Callable[[], object]
LEAST, MOST, ENOUGH_S, LONG_S, FEW = 2, 30, 0.2, 1.0, 16
HOPELESS, CLEAR, EQUAL = 3.0, 1.5, 1.05


def wanted(*tensors: Tensor) -> tuple[bool, ...]:
    """Whether a gradient of each is wanted."""
    return tuple(torch.is_grad_enabled() and tensor.requires_grad for tensor in tensors)


def gradients(of: tuple[bool, ...]) -> str:
    """In words, of inputs and kernel."""
    return "gradients of " + (" and ".join(compress(("inputs", "kernel"), of)) or "nothing")


def samples(of: tuple[bool, ...], *likes_and_shapes: Any) -> list[Tensor]:
    """Values from -1 to 1, each tensor of the type and on the device of one, in a shape: like, shape, ..."""
    made = []
    for has, like, shape in zip(of, likes_and_shapes[::2], likes_and_shapes[1::2], strict=True):
        values = torch.linspace(-1.0, 1.0, math.prod(shape), device=like.device).view(shape)
        made.append(values.to(like.dtype).requires_grad_(has))
    return made


def there_and_back(run: Callable[[], Tensor], *tensors: Tensor) -> Work:
    """Compute, and the gradients of those tensors that want one."""
    inputs = [tensor for tensor in tensors if tensor.requires_grad]

    def work() -> None:
        out = run()
        if inputs:
            torch.autograd.grad(out, inputs, torch.ones_like(out))

    return work


def measure(
    batch: int, alternatives: Mapping[str, Callable[[int], Work]], device: torch.device
) -> dict[str, float]:
    """Milliseconds of the alternatives that were near, medians of a few, the one to take first.

    All take turns. A small part of the batch goes first: what needs more for that than another for the whole
    is out, so that no choice costs many times what it saves. Of equals the one named first is taken.
    """
    part = max(1, batch // FEW)
    small = {name: _warm(make(part), device, LONG_S) for name, make in alternatives.items()}
    first: dict[str, float] = {}
    works: dict[str, Work] = {}
    for name in sorted(small, key=lambda name: small[name]):
        if small[name] <= min(first.values(), default=math.inf):
            works[name] = alternatives[name](batch)
            first[name] = _warm(works[name], device, ENOUGH_S)
    spent, times = sum(first.values()), {name: [seconds] for name, seconds in first.items()}
    for turn in range(MOST):
        near = HOPELESS if spent < ENOUGH_S / 4 else CLEAR
        best = min(map(min, times.values()))
        works = {name: work for name, work in works.items() if min(times[name]) <= near * best}
        if len(works) < 2 or (turn >= LEAST and spent > ENOUGH_S):
            break
        for name, work in works.items():
            times[name].append(_seconds(work, device))
            spent += times[name][-1]
    found = {name: statistics.median(each) for name, each in times.items()}
    least = min(found.values())
    taken = next(name for name in alternatives if found.get(name, math.inf) <= EQUAL * least)
    return {name: found[name] * 1e3 for name in sorted(found, key=lambda name: (name != taken, found[name]))}


def _warm(work: Work, device: torch.device, short_s: float) -> float:
    """A second time where the first was short: that also made what a library keeps for the shape."""
    first = _seconds(work, device)
    return first if first > short_s else min(first, _seconds(work, device))


def _seconds(work: Work, device: torch.device) -> float:
    """Of this thread alone where one thread computes: what else runs on the machine does not count."""
    clock = time.thread_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    _wait(device)
    begun = clock()
    work()
    _wait(device)
    return clock() - begun


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
