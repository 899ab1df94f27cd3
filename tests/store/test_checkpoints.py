"""Checkpoints are whole or absent; a torn one means a fresh start, not an error."""

from __future__ import annotations

import os
import pickle
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


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Checkpoints, Path]:
    kept = Checkpoints(tmp_path, "s")
    kept.save("t", {"w": torch.ones(100), "epoch": 3, "name": "x"})
    (path,) = (tmp_path / "checkpoints" / "s").iterdir()
    return kept, path


def test_one_flipped_byte_is_no_other_weight(saved: tuple[Checkpoints, Path]) -> None:
    """PyTorch reads such a file without a word."""
    kept, path = saved
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        state = kept.load("t")
        if state is not None:  # a byte of padding
            assert torch.equal(state["w"], torch.ones(100))
            assert (state["epoch"], state["name"]) == (3, "x")


class Evil:
    """What a pickle runs when it is read."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("ran"),))


@pytest.mark.parametrize("how", ["pickle", "torch", "old torch"])
def test_nothing_is_unpickled(
    saved: tuple[Checkpoints, Path], how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, path = saved
    monkeypatch.chdir(tmp_path)
    if how == "pickle":
        path.write_bytes(pickle.dumps({"w": Evil()}))
    else:
        torch.save({"w": Evil()}, path, _use_new_zipfile_serialization=how == "torch")
    assert kept.load("t") is None
    assert not Path("ran").exists()


def test_a_fifo_is_no_checkpoint(saved: tuple[Checkpoints, Path]) -> None:
    kept, path = saved
    path.unlink()
    os.mkfifo(path)
    assert kept.load("t") is None
