"""Peak memory of one trial, not of the worker that ran others before it."""

from __future__ import annotations

import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from harness.layers.malloc import release_freed_memory

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SAMPLE_S = 0.02


class Peak:
    """What a trial needs above what the worker held when it began.

    On CUDA the allocator's own peak, reset at the start. On a CPU the rise of the resident memory: Linux's
    own high-water mark, reset at the start; where it cannot be, the highest of samples every
    20 ms; absent where the system says neither.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._highest, self._kept = device, 0.0, 0.0
        self._stop = threading.Event()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        self._own_mark = reset_high_water()
        self._before = resident_mib()
        if not self._own_mark and self._before is not None:
            threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self._highest = max(self._highest, resident_mib() or 0.0)

    def mib(self) -> float | None:
        """MiB so far; None where nothing can be measured."""
        if self._device.type == "cuda":
            return max(self._kept, torch.cuda.max_memory_allocated(self._device) / 2**20)
        if self._before is None:
            return None
        highest = high_water_mib() if self._own_mark else max(self._highest, resident_mib() or 0.0)
        return max(self._kept, (highest or 0.0) - self._before)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is held inside is not the trial's."""
        self._kept = self.mib() or 0.0
        try:
            yield
        finally:
            if self._device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self._device)
            else:
                release_freed_memory()
                self._highest = 0.0
                if self._own_mark:
                    reset_high_water()

    def close(self) -> None:
        """No more samples."""
        self._stop.set()


def reset_high_water() -> bool:
    """Set this process's high-water mark to what it holds now; False where the system cannot."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _status(name: str) -> float | None:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return float(line.split()[1]) / 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def resident_mib() -> float | None:
    """Resident memory of this process now; None where the system does not say."""
    return _status("VmRSS")


def high_water_mib() -> float | None:
    """The most this process ever held: ``VmHWM``, else ``ru_maxrss`` (KiB, on macOS bytes)."""
    mark = _status("VmHWM")
    if mark is not None:
        return mark
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
