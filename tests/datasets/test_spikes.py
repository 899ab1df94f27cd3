"""Recordings in SHD's form as a file of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from harness.contracts.data import Events
from harness.datasets.own.spikes import Spikes, SpikesOptions
from harness.errors import DataError

Recordings = list[tuple[list[float], list[int]]]
PLAIN: Recordings = [([0.1, 0.2, 0.5], [0, 5, 2]), ([], []), ([0.25], [3])] * 10


def write(path: Path, recordings: Recordings = PLAIN, labels: Any = None, dtype: str = "f2") -> str:
    """A file as SHD's are; label i is i mod 3 unless given."""
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (len(recordings),), h5py.vlen_dtype(np.dtype(dtype)))
        units = file.create_dataset("spikes/units", (len(recordings),), h5py.vlen_dtype(np.dtype("u2")))
        for i, (time, unit) in enumerate(recordings):
            times[i], units[i] = np.array(time, dtype), np.array(unit, "u2")
        file["labels"] = np.arange(len(recordings)) % 3 if labels is None else labels
    return str(path)


def spikes(path: str, **options: Any) -> Spikes:
    return Spikes(SpikesOptions(path=path, **options))


def test_sizes_come_from_the_file_or_the_study(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    card = spikes(path).card()
    assert (card.shape, card.classes, card.counts) == ((6,), 3, (19, 5, 6))
    assert card.duration_ms == pytest.approx(500.001)
    card = spikes(path, channels=64, duration_ms=800).card()
    assert (card.shape, card.duration_ms) == ((64,), 800.0)


def test_recordings_come_back_with_their_spikes(tmp_path: Path) -> None:
    data = spikes(write(tmp_path / "a.h5"))
    arrays = data.prepare()
    index = np.concatenate([data.split(arrays, name).index for name in ("train", "valid", "test")])  # type: ignore[attr-defined]
    assert sorted(index.tolist()) == list(range(30))
    split = data.split(arrays, "train")
    batch = split.batch(np.arange(len(split)))
    assert isinstance(batch.x, Events)
    assert batch.x.shape == (6,)
    first = int(np.flatnonzero(batch.y.numpy() == 0)[0])
    assert batch.x.unit[batch.x.sample == first].tolist() == [0, 5, 2]
    assert batch.x.time_us[batch.x.sample == first].tolist() == [100_000, 200_000, 500_000]


def test_a_second_file_is_test(tmp_path: Path) -> None:
    path, test = write(tmp_path / "a.h5"), write(tmp_path / "b.h5", PLAIN[:9])
    data = spikes(path, test=test)
    assert data.card().counts == (24, 6, 9)
    assert data.split(data.prepare(), "test").index.tolist() == list(range(30, 39))  # type: ignore[attr-defined]


def test_labels_that_leave_numbers_out_keep_their_names(tmp_path: Path) -> None:
    data = spikes(write(tmp_path / "a.h5", labels=np.array([3, 7, 9] * 10)))
    assert data.card().class_names == ("3", "7", "9")
    assert set(data.prepare()["y"].tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("recordings", "options", "labels", "words"),
    [
        ([([], [])] * 30, {}, None, "no recording has a spike"),
        ([([0.2, 0.1], [0, 1])] * 30, {}, None, "not sorted: spike 1"),
        ([([-0.1], [0])] * 30, {}, None, "finite and not negative"),
        ([([np.nan], [0])] * 30, {}, None, "finite and not negative"),
        ([([120.0], [0])] * 30, {}, None, "Are these milliseconds"),
        ([([0.1], [0, 1])] * 30, {}, None, "1 times and 2 units"),
        (PLAIN, {"channels": 4}, None, r"units 0\.\.5; allowed are whole numbers 0\.\.3"),
        (PLAIN, {}, np.zeros(30), "labels are all 0"),
        (PLAIN, {}, np.arange(29) % 3, "30 recordings of times, 30 of units and 29 labels"),
        (PLAIN, {}, np.full(30, -1), "from 0 on"),
        (PLAIN, {"test": "none.h5"}, None, "no such file"),
    ],
)
def test_mistakes(
    tmp_path: Path, recordings: Recordings, options: dict[str, Any], labels: Any, words: str
) -> None:
    data = spikes(write(tmp_path / "a.h5", recordings, labels), **options)
    with pytest.raises(DataError, match=words) as caught:
        data.card()
    assert "\n" not in str(caught.value)


def test_another_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"hello")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        spikes(str(tmp_path / "a.h5")).card()
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = [1]
    with pytest.raises(DataError, match="Wanted spikes/times, spikes/units, labels"):
        spikes(str(tmp_path / "b.h5")).card()
