"""What the small sets promise beyond the contract."""

import os

import numpy as np
import pytest
import torch

from harness.contracts.data import ArraySplit, SplitName
from harness.datasets._frames import PackedFrames, pack
from harness.datasets.events import ucf_mini
from harness.datasets.events.dvs_gesture10 import DvsGesture10
from harness.datasets.events.nmnist_small import NmnistSmall
from harness.datasets.images import photo10
from harness.datasets.images.cifar10_jpeg12k import Cifar10Jpeg12k
from harness.datasets.speech.vowels import Vowels
from harness.errors import MissingDataError

NAMES: tuple[SplitName, ...] = ("train", "valid", "test")
shared = pytest.mark.skipif("HARNESS_DATA" not in os.environ, reason="HARNESS_DATA is not set")


def test_packed_frames_come_back() -> None:
    frames = np.random.default_rng(0).random((5, 3, 2, 5, 7)) < 0.2
    split = PackedFrames(pack(frames), np.arange(5), np.array([4, 2, 0]), (3, 2, 5, 7))
    batch = split.batch(np.array([0, 2]))
    assert isinstance(batch.x, torch.Tensor)
    assert torch.equal(batch.x, torch.from_numpy(frames[[4, 0]]).float())
    assert batch.y.tolist() == [4, 0]


def test_vowels_means_are_removed_and_padding_is_zero() -> None:
    try:
        data = Vowels()
        arrays = data.prepare()
    except MissingDataError as error:
        pytest.skip(str(error))
    batch = data.split(arrays, "test").batch(np.arange(370))
    assert batch.length is not None
    assert isinstance(batch.x, torch.Tensor)
    assert (int(batch.length.min()), int(batch.length.max())) == (7, 29)
    beyond = torch.arange(29) >= batch.length[:, None]
    assert float(batch.x[beyond].abs().max()) == 0.0
    assert float((batch.x.sum(1) / batch.length[:, None]).abs().max()) < 1e-6
    assert torch.bincount(batch.y).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]


def test_photo10_has_no_pixel_in_two_splits() -> None:
    """Blocks are dealt apart and a crop stays inside its block: checked on coordinates."""
    height, width = 427, 640
    place = np.arange(height * width, dtype=np.int64).reshape(height, width)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    # Coordinates travel with the pixels: crops are looked up in a copy that holds them.
    crops = photo10._crops_of_parts(noise, "rocket.jpg")
    key = {noise[r, c : c + 3].tobytes(): place[r, c] for r in range(height) for c in range(width - 3)}
    seen = []
    for part, count in zip(crops, photo10.PER_SPLIT.values(), strict=True):
        assert len(part) == count
        corners = [key[crop[0, :3].tobytes()] for crop in part]
        cells = set()
        for corner in corners:
            row, col = divmod(int(corner), width)
            assert row % 48 <= 16
            assert col % 48 <= 16
            cells |= set(place[row : row + 32, col : col + 32].ravel().tolist())
        seen.append(cells)
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_ucf_mini_is_group_aware_and_moves() -> None:
    frames, y = ucf_mini.clips()
    columns = frames.sum(2) @ np.arange(24) / frames.sum((2, 3))  # centre of mass, (clips, frames)
    travel = columns[:, -1] - columns[:, 0]
    assert np.allclose(travel[0::3], 6, atol=0.1)
    assert np.allclose(travel[1::3], -6, atol=0.1)
    assert y[:6].tolist() == [0, 1, 2, 3, 4, 5]
    arrays = {"y": y}
    index = [ucf_mini._index(arrays, name) for name in NAMES]
    assert [len(part) for part in index] == [1800, 1200, 2391]
    groups = [set((part // 3).tolist()) for part in index]
    assert not groups[0] & groups[1]
    assert not (groups[0] | groups[1]) & groups[2]


@shared
def test_nmnist_small_test_items_are_the_official_ones() -> None:
    data = NmnistSmall()
    arrays = data.prepare()
    raw = np.load(os.path.join(os.environ["HARNESS_DATA"], "nmnist_small.npz"), allow_pickle=False)
    index = np.concatenate([data.split(arrays, name).index for name in NAMES])  # type: ignore[attr-defined]
    assert np.array_equal(index[-100:], np.flatnonzero(raw["test"]))
    assert sorted(index.tolist()) == list(range(1100))
    start, stop = raw["offset"][7:9]
    time = np.cumsum(raw["dt_us"][start:stop], dtype=np.int64)
    assert np.array_equal(arrays["time_us"][start:stop], time)
    unit = (raw["p"].astype(int) * 34 + raw["y"]) * 34 + raw["x"]
    assert np.array_equal(arrays["unit"][start:stop], unit[start:stop])


@shared
def test_dvs_gesture_pieces_hold_all_events() -> None:
    arrays = DvsGesture10().prepare()
    assert arrays["offset"][-1] == len(arrays["unit"]) == 1_206_710
    assert int(arrays["time_us"].max()) < 145_000
    assert np.diff(arrays["offset"]).min() > 100


@shared
def test_cifar_images_are_upright_rgb() -> None:
    data = Cifar10Jpeg12k()
    split = data.split(data.prepare(), "test")
    assert isinstance(split, ArraySplit)
    batch = split.batch(np.arange(2000))
    assert torch.bincount(batch.y).tolist() == [200] * 10
    # Sky and sea: ships and aeroplanes are bluer than red, and brighter above than below.
    assert isinstance(batch.x, torch.Tensor)
    ships = batch.x[(batch.y == 0) | (batch.y == 8)].mean(0)
    assert float(ships[2].mean()) > float(ships[0].mean()) + 0.02
    assert float(ships[:, :8].mean()) > float(ships[:, -8:].mean())
