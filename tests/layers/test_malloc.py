"""Freed memory stays in the process: the same block comes back without new page faults."""

import subprocess
import sys

import pytest

from harness.layers.malloc import keep_freed_memory

_FAULTS = """
import resource, torch
from harness.layers.malloc import keep_freed_memory
if {keep}:
    assert keep_freed_memory()
def touch():
    torch.empty(10_000_000).fill_(1.0)
for _ in range(20):  # aligned blocks leave fragments until the heap has settled
    touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(keep: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS.format(keep=keep)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_large_blocks_are_reused() -> None:
    assert page_faults(keep=True) * 20 < page_faults(keep=False)


def test_elsewhere_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
