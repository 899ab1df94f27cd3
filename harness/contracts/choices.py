"""Alternatives that compute the same: timed once for a shape and machine, the fastest taken and kept.

What a trial took stands in its :class:`Record`: in its row, and in its checkpoint, so that a resume takes
the same on any machine. A machine keeps its choices in a file of the cache folder; of two processes that
time the same shape, the first to write decides for both. Timing is no training: :func:`working` stands
still meanwhile.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from harness.contracts.timing import Work, measure
from harness.ids import content_id
from harness.paths import cache_root

Name = TypeVar("Name", bound=str)
LOCK_S = 20.0


@dataclass(slots=True)
class Record:
    """What one trial took: ``taken`` by shape, ``used`` by the code of its neurons.

    ``given`` is what other trials of its study took. ``aside`` surrounds each timing: memory that it needs is
    not the trial's.
    """

    taken: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    given: Mapping[str, str] = field(default_factory=dict)
    aside: Callable[[], AbstractContextManager[object]] = nullcontext


_nobody = Record()
_active: ContextVar[Record] = ContextVar("record", default=_nobody)
_known: dict[Path, dict[str, dict[str, float]]] = {}
_aside = [0.0, 0.0]


def active() -> Record:
    """The record of the trial that runs."""
    return _active.get()


@contextmanager
def recording(record: Record) -> Iterator[Record]:
    """What is taken inside stands in ``record``."""
    token = _active.set(record)
    try:
        yield record
    finally:
        _active.reset(token)


def working() -> tuple[float, float]:
    """Seconds of a clock and of this process's CPUs, both standing still while alternatives are timed."""
    return time.perf_counter() - _aside[0], time.process_time() - _aside[1]


def pick(key: str, x: Tensor, batch: int, alternatives: Mapping[Name, Callable[[int], Work]]) -> Name:
    """The alternative for a shape: what the trial took before, what this machine keeps, or the fastest now.

    ``key`` names the shape; type, precision and threads of ``x`` come with it. ``alternatives`` make their
    work for a batch of any size, without random numbers. The first is taken where nothing can be timed:
    within a graph that is being compiled, and under ``vmap``.
    """
    names = {str(name): name for name in alternatives}
    if torch.compiler.is_compiling() or torch._C._functorch.is_batchedtensor(x):
        return next(iter(alternatives))
    key = f"{key}; {_setting(x)}"
    record = active()
    if record.taken.get(key) not in names:
        given = record.given.get(key, "")
        record.taken[key] = given if given in names else _kept(key, x.device, batch, alternatives)
    return names[record.taken[key]]


def bucket(size: int) -> int:
    """The least of 1, 2, 3, 4, 6, 8, 12, 16, ... that is not below ``size``: sizes that share a choice."""
    power = 1 << max(0, math.ceil(math.log2(max(1, size))))
    return power * 3 // 4 if power >= 4 and size <= power * 3 // 4 else power


def _setting(x: Tensor) -> str:
    kind = x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    threads = f" {torch.get_num_threads()} thread(s)" if kind == "cpu" else ""
    return f"{str(dtype).removeprefix('torch.')} on {kind}{threads}"


def plain(choices: object) -> dict[str, str]:
    """Choices of a row or a checkpoint, whatever it holds."""
    return {str(k): str(v) for k, v in choices.items()} if isinstance(choices, Mapping) else {}


# -- what a machine keeps -----------------------------------------------------------------------------


@cache
def cpu_name() -> str:
    """The processor's model name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def file(device: torch.device) -> Path:
    """The file of this kind of machine with this torch."""
    machine = str(torch.cuda.get_device_name(device)) if device.type == "cuda" else cpu_name()
    return cache_root() / f"choices-{content_id({'machine': machine, 'torch': torch.__version__})}.json"


def kept(device: torch.device) -> dict[str, dict[str, float]]:
    """Milliseconds of alternatives by shape, the one taken first; empty where nothing is kept."""
    try:
        found = json.loads(file(device).read_text(encoding="utf-8"))
        return {
            str(key): {str(name): float(value) for name, value in times.items()}
            for key, times in found.items()
            if times and min(times.values()) > 0
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def explain(device: torch.device) -> list[str]:
    """What is kept, a line each: the alternative taken, its time, and by how much others are slower."""
    lines = [f"kept choices of measured alternatives: {file(device)}"]
    for key, times in sorted(kept(device).items()):
        (taken, base), *others = times.items()
        beside = ", ".join(f"{name} {value / base:.2f} x its time" for name, value in others)
        lines.append(f"  {key}: {taken} ({base:.2f} ms); {beside or 'others are far slower'}")
    return lines if len(lines) > 1 else [f"{lines[0]} (none yet)"]


def _kept(
    key: str, device: torch.device, batch: int, alternatives: Mapping[Name, Callable[[int], Work]]
) -> str:
    path = file(device)
    known = _known.setdefault(path, {})
    if next(iter(known.get(key, ())), None) not in alternatives:
        with _set_aside(), _locked(path):
            known.update(kept(device))
            if next(iter(known.get(key, ())), None) not in alternatives:
                known[key] = measure(batch, {str(n): work for n, work in alternatives.items()}, device)
                _keep(path, {**kept(device), key: known[key]})
    return next(iter(known[key]))


@contextmanager
def _set_aside() -> Iterator[None]:
    begun, cpu = time.perf_counter(), time.process_time()
    try:
        with active().aside(), _disable_current_modes():
            yield
    finally:
        _aside[0] += time.perf_counter() - begun
        _aside[1] += time.process_time() - cpu


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process of a node times at a time; without a lock where the folder has none, or it takes long."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    with suppress(OSError, Timeout):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=LOCK_S)
    try:
        yield
    finally:
        lock.release()


def _keep(path: Path, choices: dict[str, dict[str, float]]) -> None:
    """Whole or not at all; where nothing can be written, the process alone knows."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.aside")
    with suppress(OSError):
        try:
            aside.write_text(json.dumps(choices, indent=1), encoding="utf-8")
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
