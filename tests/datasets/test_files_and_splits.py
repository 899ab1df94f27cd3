"""Files are the right ones or one line says which; splits are stratified and seeded."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.datasets import _files, _splits
from harness.datasets.events.nmnist_small import FILE, SHA256, NmnistSmall
from harness.datasets.images.digits import Digits, DigitsEvents, double_bilinear
from harness.datasets.images.photo10 import Photo10
from harness.datasets.series.series_made import Tmy3
from harness.errors import DataError, MissingDataError

Y = np.repeat([0, 1, 2], [50, 30, 20])


def test_a_missing_file_says_what_where_and_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    with pytest.raises(MissingDataError) as caught:
        NmnistSmall().card()
    line = str(caught.value)
    for part in ("nmnist-small", str(tmp_path / FILE), SHA256, "slayerPytorch"):
        assert part in line


def test_another_sha256_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    (tmp_path / FILE).write_bytes(b"not it")
    NmnistSmall().card()
    with pytest.raises(DataError, match=f"its sha256 is [0-9a-f]{{64}}, wanted {SHA256}"):
        NmnistSmall().prepare()


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    first = _files.file_sha256(path)
    path.write_bytes(b"22")
    assert _files.file_sha256(path) != first


def test_a_package_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no_such_package.*\[data\]"):
        _files.package_path("x", "no_such_package", "data")


def test_a_packaged_file_that_the_installation_lost_or_changed() -> None:
    with pytest.raises(MissingDataError, match=r"nothing\.npz.*install it again"):
        _files.packaged("x", "nothing.npz", "0" * 64)
    with pytest.raises(DataError, match="its sha256 is"):
        _files.packaged("x", "digits.npz", "0" * 64)


def test_arrays_digest_sees_names_types_shapes_and_bytes() -> None:
    base = {"a": np.arange(6, dtype=np.int32)}
    others: list[dict[str, NDArray[Any]]] = [
        {"b": base["a"]},
        {"a": base["a"].astype(np.int64)},
        {"a": base["a"].reshape(2, 3)},
        {"a": base["a"][::-1]},
        {"a": base["a"], "b": np.zeros(0)},
    ]
    digests = {_files.arrays_sha256(arrays) for arrays in [base, *others]}
    assert len(digests) == 6
    assert _files.arrays_sha256({"a": base["a"].astype(">i4")}) == _files.arrays_sha256(base)
    with pytest.raises(DataError, match="have sha256"):
        _files.guard("x", base, "0" * 64)


def test_npz_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros(3))
    with pytest.raises(DataError, match="has no array 'y'; it holds x"):
        _files.load_npz("d", path, ("x", "y"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match="cannot be read"):
        _files.load_npz("d", path, ("x",))
    np.savez(path, x=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        _files.load_npz("d", path, ("x",))


@pytest.mark.parametrize("count", [10, 33, 50])
def test_every_prefix_is_stratified(count: int) -> None:
    order = _splits.stratified_order(Y, "seed")
    assert sorted(order.tolist()) == list(range(100))
    got = np.bincount(Y[order[:count]], minlength=3)
    assert np.abs(got - np.array([0.5, 0.3, 0.2]) * count).max() <= 1


def test_the_order_depends_on_the_seed_alone() -> None:
    first = _splits.stratified_order(Y, "a", 1)
    np.random.default_rng().random(5)
    assert np.array_equal(first, _splits.stratified_order(Y, "a", 1))
    assert not np.array_equal(first, _splits.stratified_order(Y, "a", 2))


def test_three_way_and_with_valid() -> None:
    splits = _splits.three_way(Y, 20, 30, "seed")
    assert _splits.counts(splits) == (50, 20, 30)
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(100))
    is_test = np.arange(100) % 4 == 0
    splits = _splits.with_valid(Y, is_test, 0.2, "seed")
    assert _splits.counts(splits) == (60, 15, 25)
    assert splits["test"].tolist() == list(range(0, 100, 4))
    with pytest.raises(DataError, match="the test split is empty"):
        _splits.check("x", splits | {"test": splits["test"][:0]})


def test_digits_and_their_events_share_their_splits() -> None:
    still, moving = Digits(), DigitsEvents()
    a, b = still.prepare(), moving.prepare()
    assert np.array_equal(a["y"], b["y"])
    for name in ("train", "valid", "test"):
        assert still.split(a, name).digest == moving.split(b, name).digest


def test_events_of_the_plain_digits_are_as_many_as_written_down() -> None:
    """docs/papers.md, ODG: raw 8 x 8 images over 16."""
    x = DigitsEvents(DigitsEvents.Options(pixels=8)).prepare()["x"]
    assert x.shape == (1797, 8, 2, 12, 12)
    assert x.sum((0, 1, 3, 4)).tolist() == [203_448, 202_516]
    assert x[:3].sum((1, 3, 4)).tolist() == [[132, 131], [101, 101], [111, 119]]


def test_doubling_is_bilinear() -> None:
    got = double_bilinear(np.array([[[0.0, 4.0]]]))
    assert got.tolist() == [[[0, 1, 3, 4], [0, 1, 3, 4]]]


def test_packaged_data_are_those_of_the_packages_they_came_from() -> None:
    """Digests taken when scikit-image and pvlib still brought them.

    Of tmy3 that of the readings in tenths: its mean and scale differ in the last bit between processors.
    """
    photos = _files.arrays_sha256(Photo10().prepare())
    assert photos == "8e1503816328b344a09a4d791372ecc02cdcd80543263a04f5e2ab47470d9e38"
    arrays = Tmy3().prepare()
    readings = np.asarray(arrays["values"], dtype=np.float64) * arrays["scale"] + arrays["shift"]
    tenths = np.rint(10 * readings).astype(np.int64)
    assert np.abs(10 * readings - tenths).max() < 0.1
    digest = hashlib.sha256(tenths.tobytes()).hexdigest()
    assert digest == "f0ae268258eee3ffe33258e857d05f7f65f70d3d64c0c2044558619aa813492a"
