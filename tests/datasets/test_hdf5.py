"""An HDF5 file that names other files is refused by every reader of HDF5."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from harness.datasets._hdf5 import open_hdf5
from harness.datasets.events import _matlab
from harness.datasets.own._user_file import H5File
from harness.datasets.series.series_hdf import read_hdf
from harness.datasets.speech import _spike_h5
from harness.errors import DataError

READERS: dict[str, Callable[[Path], object]] = {
    "own": H5File,
    "series": lambda path: read_hdf(path, "", str(path)),
    "speech": _spike_h5._open,
    "matlab": lambda path: _matlab._hdf5(path, ("x",)),
}


def external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("x", (4, 2), "u1", external=[(str(secret), 0, 8)])


def external_link(file: h5py.File, secret: Path) -> None:
    file["deep/x"] = h5py.ExternalLink(str(secret), "/x")


def behind_a_soft_link(file: h5py.File, secret: Path) -> None:
    file["outside"] = h5py.ExternalLink(str(secret), "/")
    file["x"] = h5py.SoftLink("/outside/x")


def virtual_set(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((4, 2), "u1")
    layout[:] = h5py.VirtualSource(str(secret), "x", (4, 2))
    file.create_virtual_dataset("x", layout)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("make", [external_storage, external_link, behind_a_soft_link, virtual_set])
def test_refused_and_named(tmp_path: Path, make: Callable[[h5py.File, Path], None], reader: str) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.ones((4, 2), "u1")
    path = tmp_path / "given.h5"
    with h5py.File(path, "w") as file:
        make(file, secret)
    with pytest.raises(DataError, match=r"given\.h5: '.*' is .*secret\.h5.*refused"):
        READERS[reader](path)


def test_links_and_virtual_sets_within_the_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "given.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones((4, 2), "u1")
        file["soft"] = h5py.SoftLink("/x")
        file["hard"] = file["x"]
        layout = h5py.VirtualLayout((4, 2), "u1")
        layout[:] = h5py.VirtualSource(".", "x", (4, 2))
        file.create_virtual_dataset("virtual", layout)
    with open_hdf5(path) as file:
        assert file["virtual"][()].sum() == file["soft"][()].sum() == 8


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_no_hdf5(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "given.h5")
    with pytest.raises(OSError, match="is not a file"):
        open_hdf5(tmp_path / "given.h5")


@pytest.mark.parametrize("seed", range(20))
def test_damaged_files_are_data_errors(tmp_path: Path, seed: int) -> None:
    path, rng = tmp_path / "given.h5", np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        file["spikes/x"], file["labels"] = np.ones((40, 2)), np.arange(40)
    data = bytearray(path.read_bytes())
    for at in rng.integers(0, len(data), 30):
        data[at] ^= int(rng.integers(1, 256))
    path.write_bytes(data)
    try:
        with open_hdf5(path) as file:
            file.visititems(lambda name, node: None)
    except (OSError, DataError, RuntimeError):
        return
