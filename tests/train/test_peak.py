"""Peak memory is a trial's own, whatever the worker ran before."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from harness.train import peak
from harness.train.attempt import clean_device
from harness.train.task import Task
from tests.train.test_loop import make_task

CPU = torch.device("cpu")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux resets a high-water mark")


def needed(task: Task, mib: int) -> float:
    """What a trial that touches so much is said to need."""
    clean_device(task)
    measured = peak.Peak(CPU)
    torch.ones(mib * 2**18).sum()
    found = measured.mib()
    measured.close()
    assert found is not None
    return found


@linux
def test_a_small_trial_after_a_large_one_says_the_small_figure(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    for mib in (256, 32, 256, 16):
        assert mib - 2 <= needed(task, mib) <= mib + 12


def test_without_a_mark_it_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "reset_high_water", lambda: False)
    rising = iter([100.0, *[400.0] * 3])
    monkeypatch.setattr(peak, "resident_mib", lambda: next(rising, 150.0))
    measured = peak.Peak(CPU)
    while next(rising, None) is not None:
        pass
    measured._highest = max(measured._highest, 400.0)
    assert measured.mib() == 300.0
    measured.close()


def test_where_nothing_can_be_measured_it_is_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peak, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(peak, "_CLEAR", tmp_path / "none" / "none")
    assert peak.Peak(CPU).mib() is None


@pytest.mark.parametrize(("platform", "mib"), [("darwin", 3.0), ("linux", 3072.0)])
def test_the_resource_is_in_bytes_on_macos(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, mib: float
) -> None:
    class Usage:
        ru_maxrss = 3 * 2**20

    monkeypatch.setattr(peak, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(peak.sys, "platform", platform)
    monkeypatch.setattr(peak.resource, "getrusage", lambda _who: Usage)
    assert peak.high_water_mib() == mib
