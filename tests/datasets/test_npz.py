"""A user's own file: dense and events train without Python; every mistake is one clear line."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.contracts.data import Batch, Events, SplitName
from harness.datasets.own._user import NpzOptions
from harness.datasets.own.npz import H5, Npz
from harness.errors import DataError

N = 60
NAMES: tuple[SplitName, ...] = ("train", "valid", "test")


def labels() -> NDArray[np.int64]:
    return np.arange(N) % 3


def save(path: Path, **arrays: Any) -> str:
    np.savez(path / "my.npz", **arrays)
    return str(path / "my.npz")


def dataset(path: str, **options: Any) -> Npz:
    return Npz(NpzOptions(path=path, **options))


def every_batch(data: Npz) -> dict[str, Batch]:
    arrays = data.prepare()
    splits = {name: data.split(arrays, name) for name in NAMES}
    return {name: split.batch(np.arange(len(split))) for name, split in splits.items()}


def test_labels_are_numbered_by_those_that_occur(tmp_path: Path) -> None:
    """A class that no sample has would be an output of the network and lower the chance level."""
    wide = np.array([5, 6, 9])[labels()].astype(np.uint8)
    data = dataset(save(tmp_path, x=np.ones((N, 4)), y=wide))
    assert data.card().classes == 3
    assert data.card().revision.endswith("-classes3")  # not the data of who reads nine classes
    assert data.prepare()["y"].tolist() == labels().tolist()


@pytest.mark.parametrize("kind", ["npz", "npz of bytes", "h5"])
def test_labels_of_text_are_sorted_and_keep_their_names(tmp_path: Path, kind: str) -> None:
    words = np.array(["owl", "cat", "yak \N{LATIN SMALL LETTER E WITH ACUTE}"])[labels()]
    x = np.ones((N, 4), dtype=np.float32)
    if kind == "h5":
        with h5py.File(tmp_path / "my.h5", "w") as file:
            file["x"], file["y"] = x, words.astype(object)
        data: Npz = H5(NpzOptions(path=str(tmp_path / "my.h5")))
    else:
        own = np.char.encode(words, "utf-8") if kind == "npz of bytes" else words
        data = dataset(save(tmp_path, x=x, y=own))
    card = data.card()
    names = ("cat", "owl", "yak \N{LATIN SMALL LETTER E WITH ACUTE}")
    assert (card.classes, card.class_names) == (3, names)
    assert card.said == (f"3 classes, in the order of their numbers: {', '.join(names)}",)
    assert data.prepare()["y"].tolist() == [{0: 1, 1: 0, 2: 2}[label] for label in labels().tolist()]
    assert data.applied(data.prepare()) == {"classes": list(names)}


def test_a_class_that_training_lacks_is_said(tmp_path: Path) -> None:
    split = np.where(labels() == 2, 2, np.arange(N) % 2)
    words = np.array(["owl", "cat", "yak"])[labels()]
    card = dataset(save(tmp_path, x=np.ones((N, 4)), y=words, s=split), split="s").card()
    assert card.remarks == (
        "class 'yak' is in test and not in train, so nothing can learn it",
        "class 'cat' is in train and valid and not in test, so the score does not count it",
        "class 'owl' is in train and valid and not in test, so the score does not count it",
    )
    assert dataset(save(tmp_path, x=np.ones((N, 4)), y=labels())).card().said == ()


@pytest.mark.parametrize(
    ("shape", "layout", "want", "sample"),
    [
        ((N, 4), None, "nc", (4,)),
        ((4, N), "cn", "nc", (4,)),
        ((N, 7, 4), "ntc", "ntc", (7, 4)),
        ((N, 4, 7), "nct", "ntc", (7, 4)),
        ((7, N), "tn", "ntc", (7, 1)),
        ((N, 5, 6), "nhw", "nchw", (1, 5, 6)),
        ((N, 5, 6, 3), "nhwc", "nchw", (3, 5, 6)),
        ((7, N, 2, 5, 6), "tnchw", "ntchw", (7, 2, 5, 6)),
    ],
)
def test_any_order_of_axes(
    tmp_path: Path, shape: tuple[int, ...], layout: str | None, want: str, sample: tuple[int, ...]
) -> None:
    x = np.random.default_rng(0).random(shape)
    data = dataset(save(tmp_path, a=x, b=labels()), x="a", y="b", layout=layout)
    card = data.card()
    assert (card.layout, card.shape, card.classes) == (want, sample, 3)
    assert card.counts == (38, 10, 12)
    batches = every_batch(data)
    assert tuple(len(batch) for batch in batches.values()) == card.counts
    for batch in batches.values():
        assert not isinstance(batch.x, Events)
        assert tuple(batch.x.shape[1:]) == sample
    axes = layout or "nc"
    first = np.moveaxis(x, axes.index("n"), 0)[data.prepare()["train"][0]]
    mine = batches["train"].x[0]  # type: ignore[index]
    assert np.sort(first.ravel()) == pytest.approx(np.sort(mine.numpy().ravel()))


def test_splits_of_the_file_are_kept(tmp_path: Path) -> None:
    code = np.arange(N) % 5 % 3
    x = np.arange(N, dtype=np.float32)[:, None]
    named = np.array(NAMES)[code]
    for split in (code.astype(np.uint8), named):
        data = dataset(save(tmp_path, x=x, y=labels(), s=split), split="s")
        for number, batch in enumerate(every_batch(data).values()):
            assert batch.x[:, 0].tolist() == np.flatnonzero(code == number).tolist()  # type: ignore[index]


def test_validation_is_cut_from_train_where_the_file_has_none(tmp_path: Path) -> None:
    test = np.arange(N) >= 40
    data = dataset(save(tmp_path, x=np.ones((N, 2)), y=labels(), s=test), split="s")
    arrays = data.prepare()
    assert arrays["test"].tolist() == list(range(40, N))
    assert len(arrays["valid"]) == 8
    assert sorted([*arrays["train"], *arrays["valid"]]) == list(range(40))
    again = data.prepare()
    assert np.array_equal(again["valid"], arrays["valid"])


def test_lengths_and_scale(tmp_path: Path) -> None:
    x = np.full((N, 6, 2), 10, dtype=np.uint8)
    length = np.arange(N) % 6 + 1
    path = save(tmp_path, x=x, y=labels(), n=length)
    batch = every_batch(dataset(path, layout="ntc", length="n", scale=0.1))["train"]
    assert batch.length is not None
    assert set(batch.length.tolist()) <= set(range(1, 7))
    assert batch.x.max().item() == pytest.approx(1.0)  # type: ignore[union-attr]


def events_file(path: Path, **changes: Any) -> str:
    arrays: dict[str, Any] = {
        "t": np.tile([0, 5, 9], N),
        "u": np.tile([0, 3, 6], N),
        "r": np.tile([0, 1, 2], N),
        "c": np.tile([1, 0, 1], N),
        "p": np.tile([False, True, True], N),
        "o": np.arange(0, 3 * N + 1, 3),
        "y": labels(),
    }
    return save(path, **(arrays | changes))


FLAT: dict[str, Any] = {"layout": "events", "times": "t", "units": "u", "offset": "o", "shape": [7]}
CAMERA: dict[str, Any] = FLAT | {"rows": "r", "cols": "c", "polarity": "p", "shape": [2, 3, 2]}


def test_events_with_flat_units(tmp_path: Path) -> None:
    data = dataset(events_file(tmp_path), **FLAT, time_unit="ms")
    card = data.card()
    assert (card.layout, card.shape) == ("events", (7,))
    assert card.duration_ms == pytest.approx(9.001)
    events = every_batch(data)["test"].x
    assert isinstance(events, Events)
    assert events.duration_us == 9001
    assert events.time_us[:3].tolist() == [0, 5000, 9000]
    assert events.unit[:3].tolist() == [0, 3, 6]


def test_events_of_a_camera(tmp_path: Path) -> None:
    data = dataset(events_file(tmp_path), **CAMERA, duration_ms=0.008)
    events = every_batch(data)["valid"].x
    assert isinstance(events, Events)
    assert (events.shape, events.duration_us) == ((2, 3, 2), 8)
    assert events.unit[:3].tolist() == [1, 8, 11]


def test_times_in_float16_seconds(tmp_path: Path) -> None:
    times = np.tile(np.array([0, 0.25, 0.5], dtype=np.float16), N)
    data = dataset(events_file(tmp_path, t=times), **FLAT, time_unit="s")
    assert data.prepare()["time_us"][:3].tolist() == [0, 250_000, 500_000]


def refused(data: Npz, words: str) -> None:
    """Both the card and the preparation, or at least the preparation, name the mistake."""

    def use() -> None:
        data.card()
        data.prepare()

    with pytest.raises(DataError, match=words) as caught:
        use()
    assert "\n" not in str(caught.value)
    assert "my.npz" in str(caught.value)


GOOD: dict[str, Any] = {"x": np.ones((N, 4)), "y": labels()}
NAN = np.ones((N, 4))
NAN[17, 2] = np.nan


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        ({}, {"x": "logmell"}, "unknown array 'logmell'"),
        ({"logmel": np.ones((N, 4))}, {"x": "logmell"}, "Did you mean 'logmel'"),
        ({}, {"y": "label"}, "unknown array 'label'"),
        ({}, {"split": "s"}, "unknown array 's'"),
        ({"x": np.ones((N, 4, 5))}, {}, "say what its axes are"),
        ({}, {"layout": "ntc"}, "has 2 axes .* 'ntc' has 3"),
        ({}, {"layout": "nq"}, "layout 'nq' is not known; allowed are"),
        ({}, {"layout": "nnc"}, "layout 'nnc' is not known"),
        ({"x": NAN}, {}, "not finite .* first in sample 17"),
        ({"x": np.ones((N, 4), dtype=complex)}, {}, "complex128: expected numbers"),
        ({"x": np.array([[1], [2, 3]] * 30, dtype=object)}, {}, "Python objects"),
        ({"x": np.ones((0, 4))}, {"layout": "nc"}, "nothing in it"),
        ({"y": labels() / 2}, {}, "float64: expected whole numbers or text"),
        ({"y": np.array(["a", ""] * 30)}, {}, "that of sample 1 is empty"),
        ({"y": np.array(["a", "b\x1b[2J"] * 30)}, {}, "control characters"),
        ({"y": np.array([b"a", b"\xff\xfe"] * 30)}, {}, "no UTF-8 text"),
        ({"y": np.array(["a", 1] * 30, dtype=object)}, {}, "Python objects"),
        ({"y": labels() - 1}, {}, "go down to -1"),
        ({"y": labels()[:, None]}, {}, "one class a sample"),
        ({"y": labels()[:-1]}, {}, "59, but there are 60 samples"),
        ({"y": labels() * 0}, {}, "all 0"),
        ({"s": np.zeros(N, int)}, {"split": "s"}, "test split is empty"),
        ({"s": np.full(N, 3)}, {"split": "s"}, "3..3: allowed are 0 train"),
        ({"s": np.array(["train", "dev"] * 30)}, {"split": "s"}, "holds 'dev'"),
        ({"s": np.zeros(9, int)}, {"split": "s"}, "but there are 60 samples"),
    ],
)
def test_mistakes_in_dense_files(
    tmp_path: Path, arrays: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    refused(dataset(save(tmp_path, **(GOOD | arrays)), **options), words)


@pytest.mark.parametrize("length", [np.zeros(N, int), np.full(N, 9), np.ones(N), np.ones(3, int)])
def test_mistakes_in_lengths(tmp_path: Path, length: NDArray[Any]) -> None:
    path = save(tmp_path, x=np.ones((N, 8, 2)), y=labels(), n=length)
    refused(dataset(path, layout="ntc", length="n"), "lengths 'n'")


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({}, FLAT | {"shape": []}, "need the sensor's shape"),
        ({}, FLAT | {"shape": [6]}, "units 'u' must be integers 0..5"),
        ({}, CAMERA | {"shape": [2, 2, 2]}, "row 0..2 is outside the canvas: allowed 0..1"),
        ({}, CAMERA | {"shape": [2, 3, 1]}, "column 0..1 is outside the canvas"),
        ({}, CAMERA | {"cols": None}, "need rows, cols"),
        ({"c": np.zeros(4, int)}, CAMERA, "4 columns"),
        ({"t": np.tile([0, -5, 9], N)}, FLAT, "finite and not negative"),
        ({"t": np.tile([0, np.inf, 9], N)}, FLAT, "finite and not negative"),
        ({"t": np.zeros((3, 3))}, FLAT, r"expected \(N,\)"),
        ({"o": np.arange(1, 3 * N + 2, 3)}, FLAT, "must rise from 0"),
        ({"o": np.arange(0, 3 * N + 1, 3)[::-1].copy()}, FLAT, "must rise from 0"),
        ({"o": np.zeros(2)}, FLAT, r"expected N \+ 1 integers"),
        ({"u": np.zeros(5, int)}, FLAT, "180 times but 5 addresses"),
        ({}, FLAT | {"duration_ms": 0.0}, "must be > 0"),
        ({}, FLAT | {"times": "when"}, "unknown array 'when'"),
    ],
)
def test_mistakes_in_event_files(
    tmp_path: Path, changes: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    refused(dataset(events_file(tmp_path, **changes), **options), words)


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    path = tmp_path / "my.npz"
    refused(dataset(str(path)), "no such file")
    path.write_bytes(b"hello")
    refused(dataset(str(path)), "not an .npz file")
    whole = Path(save(tmp_path, **GOOD)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(dataset(str(path)), "not an .npz file")
    with pytest.raises(DataError, match="needs a file"):
        Npz()


def test_identity_is_the_content(tmp_path: Path) -> None:
    first = dataset(save(tmp_path, **GOOD)).card()
    other = dataset(save(tmp_path, **(GOOD | {"x": np.zeros((N, 4))}))).card()
    assert first.revision != other.revision
    assert dataset(save(tmp_path, **GOOD)).cache_key() == (first.sha256,)


def test_hdf5_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "my.h5"
    code = np.arange(N) % 5 % 3
    x = np.random.default_rng(0).random((N, 7, 4))
    with h5py.File(path, "w") as file:
        file["data/logmel"], file["label"] = x, labels()
        file["split"] = np.array(NAMES, dtype=object)[code]
        file["ragged"] = np.zeros(1)
    options = {"x": "data/logmel", "y": "label", "split": "split", "layout": "ntc"}
    data = H5(NpzOptions(path=str(path), **options))  # type: ignore[arg-type]
    card = data.card()
    assert (card.layout, card.shape, card.counts) == ("ntc", (7, 4), tuple(np.bincount(code)))
    for number, batch in enumerate(every_batch(data).values()):
        assert np.allclose(batch.x.numpy(), x[code == number])  # type: ignore[union-attr]
    wrong = H5(NpzOptions(path=str(path), **(options | {"x": "logmel"})))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"unknown array 'logmel'\. Did you mean 'data/logmel'"):
        wrong.card()
    path.write_bytes(b"no hdf5")
    with pytest.raises(DataError, match="not an HDF5 file"):
        data.card()
    with pytest.raises(DataError, match=r"write dataset: {h5: my\.h5"):
        H5()


def test_hdf5_variable_lengths_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "my.h5"
    with h5py.File(path, "w") as file:
        file["y"] = labels()
        ragged = file.create_dataset("x", (N,), dtype=h5py.vlen_dtype(np.float32))
        ragged[0] = np.zeros(3)
    with pytest.raises(DataError, match="Save numbers; sequences of different lengths padded"):
        H5(NpzOptions(path=str(path), layout="nc")).card()
