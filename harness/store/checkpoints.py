"""Checkpoints and shared artifacts: whole files below the same root as the tables.

Workers write here (and nowhere else), so on several nodes the root must be one they all see.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from harness.store.files import Files


class Checkpoints:
    """``checkpoints/<study>/<trial>.pt`` of unfinished trials and ``artifacts/<id>.pt`` for all of them."""

    def __init__(self, root: str | Path, study: str) -> None:
        self.files, self._study = Files(root), study

    def _name(self, trial_id: str) -> str:
        return f"checkpoints/{self._study}/{trial_id}.pt"

    def save(self, trial_id: str, state: dict[str, Any]) -> None:
        """Replace the checkpoint of a trial. Raises StoreError."""
        self.files.write(self._name(trial_id), _dump(state))

    def load(self, trial_id: str) -> dict[str, Any] | None:
        """The checkpoint of a trial; None if there is none or it cannot be read (it starts afresh)."""
        return self._load(self._name(trial_id))

    def delete(self, trial_id: str) -> None:
        """Drop the checkpoint of a finished trial."""
        self.files.delete(self._name(trial_id))

    def trial_ids(self) -> set[str]:
        """The trials that have a checkpoint."""
        names = self.files.names(f"checkpoints/{self._study}", ".pt")
        return {name.removesuffix(".pt") for name in names}

    def save_artifact(self, artifact_id: str, state: dict[str, Any]) -> None:
        """Publish a trained artifact. Raises StoreError."""
        self.files.write(f"artifacts/{artifact_id}.pt", _dump(state))

    def load_artifact(self, artifact_id: str) -> dict[str, Any] | None:
        """A published artifact, None if nobody has made it."""
        return self._load(f"artifacts/{artifact_id}.pt")

    def _load(self, name: str) -> dict[str, Any] | None:
        try:
            data = self.files.read(name)
        except OSError:
            return None
        return _state(data)


def _state(data: bytes) -> dict[str, Any] | None:
    """What a checkpoint holds; None for anything but a whole archive of tensors and plain values.

    PyTorch does not look at the checksums of its own archives: one flipped byte is another weight. Nothing is
    unpickled: ``weights_only`` rebuilds tensors and plain values, and refuses every other name.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.testzip() is not None:
                return None
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # what damaged bytes raise is of many types, and all mean: start afresh
        return None
    return state if isinstance(state, dict) else None


def _dump(state: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    torch.save(state, sink)
    return sink.getvalue()
