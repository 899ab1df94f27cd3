"""Camera readers: the events that were written, the same as SpikingJelly's readers find."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import DataError
from harness.events import readers
from harness.events.readers import RawEvents
from tests.events import camera_files as files

Reader = Callable[[Path], RawEvents]


def same(got: RawEvents, want: dict[str, Any]) -> None:
    for mine, name in ((got.time_us, "t"), (got.row, "y"), (got.col, "x"), (got.polarity, "p")):
        assert np.array_equal(mine.astype(np.int64), np.asarray(want[name]).astype(np.int64)), name


@pytest.mark.parametrize("count", [0, 1, 777])
@pytest.mark.parametrize(
    ("write", "read", "side"),
    [
        (files.write_atis, readers.read_atis_bin, 34),
        (files.write_aedat2, readers.read_aedat2_dvs128, 128),
        (files.write_aedat3, readers.read_aedat3, 128),
    ],
)
def test_what_was_written_is_read(tmp_path: Path, write: Any, read: Reader, side: int, count: int) -> None:
    events = files.events(count, side)
    write(tmp_path / "a", events)
    same(read(tmp_path / "a"), events)


def test_equal_to_spikingjelly(tmp_path: Path) -> None:
    from spikingjelly.datasets import cifar10_dvs, utils

    pairs: list[tuple[Any, Reader, Any, int]] = [
        (files.write_atis, readers.read_atis_bin, utils.load_ATIS_bin, 34),
        (files.write_aedat2, readers.read_aedat2_dvs128, cifar10_dvs._load_origin_data, 128),
        (files.write_aedat3, readers.read_aedat3, utils.load_aedat_v3, 128),
    ]
    for number, (write, read, theirs, side) in enumerate(pairs):
        path = tmp_path / str(number)
        write(path, files.events(500, side, seed=number))
        same(read(path), theirs(path))


def test_between_counts_from_its_start() -> None:
    time = np.array([0, 5, 5, 9, 20])
    events = RawEvents(time, time, time, time).between(5, 20)
    assert events.time_us.tolist() == [0, 0, 4]
    assert events.row.tolist() == [5, 5, 9]


@pytest.mark.skipif("HARNESS_DATA" not in os.environ, reason="HARNESS_DATA is not set")
def test_a_real_nmnist_file() -> None:
    path = Path(os.environ["HARNESS_DATA"], "event_samples", "sample_nmnist.bin")
    events = readers.read_atis_bin(path)
    assert len(events) == path.stat().st_size // 5
    assert events.row.max() <= 33
    assert events.col.max() <= 33
    assert (np.diff(events.time_us) >= 0).all()
    assert 280_000 < events.time_us[-1] < 340_000


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for read in (readers.read_atis_bin, readers.read_aedat2_dvs128, readers.read_aedat3):
        with pytest.raises(DataError, match="cannot be read: No such file"):
            read(tmp_path / "none")
    path.write_bytes(b"1234567")
    with pytest.raises(DataError, match="7 bytes are not whole events"):
        readers.read_atis_bin(path)
    with pytest.raises(DataError, match="not whole events"):
        readers.read_aedat2_dvs128(path)
    with pytest.raises(DataError, match="no AEDAT 3 header"):
        readers.read_aedat3(path)
    files.write_aedat3(path, files.events(250, 128))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(DataError, match="cut off in a packet of 50 events"):
        readers.read_aedat3(path)
    path.write_bytes(whole + b"123")
    with pytest.raises(DataError, match="cut off in a packet's header"):
        readers.read_aedat3(path)
