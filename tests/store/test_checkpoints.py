"""Checkpoints are whole or absent; a torn one means a fresh start, not an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.store.checkpoints import Checkpoints


def test_saved_replaced_and_deleted(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, "s")
    assert kept.load("t") is None
    kept.save("t", {"epoch": 1, "w": torch.ones(2)})
    kept.save("t", {"epoch": 2, "w": torch.zeros(2)})
    state = kept.load("t")
    assert state is not None
    assert state["epoch"] == 2
    assert torch.equal(state["w"], torch.zeros(2))
    assert kept.trial_ids() == {"t"}
    kept.delete("t")
    kept.delete("t")
    assert kept.trial_ids() == set()


@pytest.mark.parametrize("keep", [0, 10, -5])
def test_a_torn_one_is_none(tmp_path: Path, keep: int) -> None:
    kept = Checkpoints(tmp_path, "s")
    kept.save("t", {"w": torch.ones(100)})
    (path,) = (tmp_path / "checkpoints" / "s").iterdir()
    path.write_bytes(path.read_bytes()[:keep])
    assert kept.load("t") is None


def test_artifacts_are_shared_by_studies(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "one").save_artifact("a", {"w": torch.ones(1)})
    found = Checkpoints(tmp_path, "two").load_artifact("a")
    assert found is not None
    assert torch.equal(found["w"], torch.ones(1))
    assert Checkpoints(tmp_path, "two").load_artifact("b") is None
