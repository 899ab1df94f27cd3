"""N-MNIST, CIFAR10-DVS and DVS128 Gesture, from small files in their real formats."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from harness.cache import prepared
from harness.contracts.data import Batch, Dataset, Events
from harness.datasets.events import cifar10_dvs
from harness.datasets.events.dvs128_gesture import Dvs128Gesture
from harness.datasets.events.nmnist import Nmnist
from harness.errors import DataError, MissingDataError
from tests.datasets.whole import NAMES, whole
from tests.events import camera_files as files


def dense(batch: Batch) -> torch.Tensor:
    assert isinstance(batch.x, torch.Tensor)
    return batch.x


def test_nmnist(root: Path) -> None:
    for part, each in (("Train", 10), ("Test", 2)):
        for digit in range(10):
            for item in range(each):
                events = files.events(20 + digit, 34, seed=100 * digit + item)
                files.write_atis(root / "nmnist" / part / str(digit) / f"{item:05d}.bin", events)
    batches = whole(Nmnist())
    assert [len(batch) for batch in batches.values()] == [90, 10, 20]
    assert torch.bincount(batches["valid"].y).tolist() == [1] * 10
    x = batches["test"].x
    assert isinstance(x, Events)
    want = files.events(20, 34, seed=0)
    assert x.unit[:20].tolist() == ((want["p"] * 34 + want["y"]) * 34 + want["x"]).tolist()
    assert x.time_us[:20].tolist() == (want["t"] - want["t"][0]).tolist()
    assert torch.bincount(x.sample).tolist() == (20 + batches["test"].y).tolist()


def test_prepared_once_and_mapped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was collected in temporary files arrives in the node's cache whole."""
    monkeypatch.setenv("HARNESS_CACHE", str(root / "cache"))
    for part in ("Train", "Test"):
        for digit in range(10):
            for item in range(5):
                path = root / "nmnist" / part / str(digit) / f"{item}.bin"
                files.write_atis(path, files.events(30, 34, seed=10 * digit + item))
    mapped, fresh = prepared(Nmnist()), Nmnist().prepare()
    assert sorted(mapped) == sorted(fresh)
    for key in fresh:
        assert np.array_equal(mapped[key], fresh[key])
    files.write_atis(root / "nmnist" / "Test" / "3" / "9.bin", files.events(30, 34))
    assert len(prepared(Nmnist())["y"]) == 101


def test_nmnist_bad_folders(root: Path) -> None:
    with pytest.raises(MissingDataError, match="nmnist"):
        Nmnist().card()
    (root / "nmnist").mkdir()
    with pytest.raises(DataError, match=r"no \.bin files"):
        Nmnist().card()
    for part in ("Train", "Test"):
        for digit in range(10):
            files.write_atis(root / "nmnist" / part / str(digit) / "0.bin", files.events(5, 34))
    files.write_atis(root / "nmnist" / "Test" / "3" / "0.bin", files.events(50, 60))
    with pytest.raises(DataError, match=r"3/0.bin: (row|column) \d+\.\.\d+ is outside the canvas"):
        Nmnist().prepare()


def test_cifar10_dvs_aedat(root: Path) -> None:
    for label, name in enumerate(cifar10_dvs.CLASSES):
        for item in range(20):
            path = root / "cifar10-dvs" / name / f"cifar10_{name}_{item:03d}.aedat"
            files.write_aedat2(path, files.events(30, 128, seed=label * 20 + item))
    batches = whole(cifar10_dvs.Cifar10Dvs())
    assert [len(batch) for batch in batches.values()] == [162, 18, 20]
    # The last tenth of each class by name.
    x = batches["test"].x
    assert isinstance(x, Events)
    want = files.events(30, 128, seed=18)
    assert x.unit[:30].tolist() == ((want["p"] * 128 + want["y"]) * 128 + want["x"]).tolist()


def mat73(path: Path, count: int, frames: int, seed: int) -> np.ndarray:
    """The paper's form (a): in the file the axes are reversed, as MATLAB writes them."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 5, (count, 2, 42, 42, frames)).astype(np.float64)
    one_hot = np.eye(10)[np.arange(count) % 10]
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["image"] = image.transpose()
        file["label"] = one_hot.transpose()
    return image


def test_cifar10_dvs_42(root: Path) -> None:
    folder = root / "cifar10-dvs-42"
    mat73(folder / "train.mat", 50, 9, seed=0)
    image = mat73(folder / "test.mat", 20, 9, seed=1)
    batches = whole(cifar10_dvs.Cifar10DvsMat42())
    assert [len(batch) for batch in batches.values()] == [45, 5, 20]
    want = image[:, :, :, :, :8].transpose(0, 4, 1, 2, 3)
    assert np.array_equal(dense(batches["test"]).numpy(), want.astype(np.float32))
    assert batches["test"].y.tolist() == [*range(10)] * 2
    more = cifar10_dvs.Cifar10DvsMat42(cifar10_dvs.FrameOptions(frames=12))
    with pytest.raises(DataError, match="9 frames stored, 12 asked"):
        more.prepare()


def test_cifar10_dvs_42_bad_files(root: Path) -> None:
    folder = root / "cifar10-dvs-42"
    with pytest.raises(MissingDataError):
        cifar10_dvs.Cifar10DvsMat42().card()
    mat73(folder / "train.mat", 20, 8, seed=0)
    with pytest.raises(MissingDataError, match=r"test\.mat"):
        cifar10_dvs.Cifar10DvsMat42().card()
    (folder / "test.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(DataError, match=r"cannot be read as a MATLAB 7\.3 file"):
        cifar10_dvs.Cifar10DvsMat42().card()
    with h5py.File(folder / "test.mat", "w") as file:
        file["picture"] = np.zeros(3)
    with pytest.raises(DataError, match="no variable image, label; it holds picture"):
        cifar10_dvs.Cifar10DvsMat42().card()
    with h5py.File(folder / "test.mat", "w") as file:
        file["image"], file["label"] = np.zeros((8, 42, 42, 2, 4)), np.zeros((10, 4))
    with pytest.raises(DataError, match="expected one-hot"):
        cifar10_dvs.Cifar10DvsMat42().card()


def mat128(root: Path, folder: str, offset: int, frames: int, **changes: Any) -> None:
    for part, each in (("train", 5), ("test", 1)):
        (root / folder / part).mkdir(parents=True, exist_ok=True)
        for label in range(10):
            for item in range(each):
                data = np.zeros((2, frames, 128, 128), dtype=np.uint8)
                data[1, 2, 3, label] = item + 1
                content = {"frame_Data": data, "label": label + offset, "name": "x"} | changes
                savemat(root / folder / part / f"{label}_{item}.mat", content)


@pytest.mark.parametrize(
    ("kind", "folder", "offset", "frames", "used"),
    [
        (cifar10_dvs.Cifar10DvsMat128, "CIFAR10-MAT", 5, 9, 8),
        (cifar10_dvs.Cifar10DvsMat128x20, "CIFAR10-MAT-20", 0, 20, 20),
    ],
)
def test_cifar10_dvs_128(
    root: Path, kind: type[Dataset], folder: str, offset: int, frames: int, used: int
) -> None:
    mat128(root, folder, offset, frames)
    batches = whole(kind())
    assert [len(batch) for batch in batches.values()] == [45, 5, 10]
    x = dense(batches["test"])
    assert x.shape == (10, used, 2, 128, 128)
    assert batches["test"].y.tolist() == list(range(10))
    assert x[:, 2, 1, 3, :10].diagonal().tolist() == [1.0] * 10
    assert float(x.sum()) == 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": 30}, "class 25 is outside 0..9"),
        ({"label": [1, 2]}, "expected one number"),
        ({"frame_Data": np.zeros((2, 9, 42, 42))}, "frame_Data is"),
        ({"frame_Data": np.zeros((2, 3, 128, 128))}, "3 frames stored, 8 asked"),
        ({"frame_Data": np.full((2, 9, 128, 128), 0.5)}, "expected counts"),
    ],
)
def test_cifar10_dvs_128_bad_files(root: Path, changes: dict[str, Any], words: str) -> None:
    mat128(root, "CIFAR10-MAT", 5, 9)
    path = root / "CIFAR10-MAT" / "test" / "3_0.mat"
    savemat(path, {"frame_Data": np.zeros((2, 9, 128, 128)), "label": 8} | changes)
    with pytest.raises(DataError, match=words) as caught:
        cifar10_dvs.Cifar10DvsMat128().prepare()
    assert "3_0.mat" in str(caught.value)
    path.write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot be read as a MATLAB file"):
        cifar10_dvs.Cifar10DvsMat128().prepare()


def gestures(root: Path, users: int = 6) -> Path:
    folder = root / "dvs128-gesture"
    folder.mkdir()
    names = [f"user{user:02d}_led.aedat" for user in range(1, users + 1)]
    (folder / "trials_to_train.txt").write_text("\n".join(names[:-1]) + "\n")
    (folder / "trials_to_test.txt").write_text(names[-1] + "\n")
    for number, name in enumerate(names):
        files.write_aedat3(folder / name, files.events(1000, 128, seed=number, span_us=12_000))
        lines = [f"{label},{1000 * label},{1000 * label + 900}" for label in range(1, 12)]
        labels = "\n".join(["class,startTime_usec,endTime_usec", *lines])
        (folder / name.replace(".aedat", "_labels.csv")).write_text(labels + "\n")
    return folder


def test_dvs128_gesture(root: Path) -> None:
    gestures(root)
    batches = whole(Dvs128Gesture())
    assert [len(batch) for batch in batches.values()] == [33, 22, 11]
    assert batches["test"].y.tolist() == list(range(11))
    x = batches["test"].x
    assert isinstance(x, Events)
    raw = files.events(1000, 128, seed=5, span_us=12_000)
    first = (raw["t"] >= 1000) & (raw["t"] < 1900)
    mine = x.sample == 0
    assert int(mine.sum()) == int(first.sum()) > 30
    unit = (raw["p"] * 128 + raw["y"]) * 128 + raw["x"]
    assert x.unit[mine].tolist() == unit[first].tolist()
    assert int(x.time_us.max()) < 900
    arrays = Dvs128Gesture().prepare()
    users = [set(arrays["user"][Dvs128Gesture().split(arrays, n).index].tolist()) for n in NAMES]  # type: ignore[attr-defined]
    assert not users[0] & users[1]
    assert users[2] == {6}


def test_dvs128_gesture_bad_folders(root: Path) -> None:
    folder = gestures(root)
    labels = folder / "user02_led_labels.csv"
    good = labels.read_text()
    for line, words in (("12,5,6", "class 1..11"), ("1,6,6", "end after start"), ("1,a,6", "expected")):
        labels.write_text(good + line + "\n")
        with pytest.raises(DataError, match=f"user02_led_labels.csv:13: '{line}': .*{words}"):
            Dvs128Gesture().card()
    labels.unlink()
    with pytest.raises(DataError, match=r"user02_led_labels.csv: named by .* but missing"):
        Dvs128Gesture().card()
    (folder / "trials_to_test.txt").unlink()
    with pytest.raises(DataError, match="no such list of trials"):
        Dvs128Gesture().card()
