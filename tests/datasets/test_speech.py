"""SHD, SSC, GSC and the cochlea sets: real formats in small, splits, and one clear line for what is wrong."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import wavfile

from harness.contracts.data import Dataset, Events, SplitName
from harness.datasets.speech import _spike_h5
from harness.datasets.speech.fsdd_cochlea import FsddCochlea, FsddCochleaSpeakers
from harness.datasets.speech.gsc import Gsc, GscMel
from harness.datasets.speech.shd import Shd, ShdOptions
from harness.datasets.speech.ssc import Ssc
from harness.errors import DataError, MissingDataError
from harness.events.anchored import frames
from tests.datasets.spoken import write, write_words

NAMES: tuple[SplitName, ...] = ("train", "valid", "test")
SHARED = os.environ.get("HARNESS_DATA", "")
shared = pytest.mark.skipif(not SHARED, reason="HARNESS_DATA is not set")


@pytest.fixture
def shd(root: Path) -> Path:
    write(root / "shd" / "shd_train.h5", 100)
    write(root / "shd" / "shd_test.h5", 30)
    return root


def indices(data: Dataset) -> dict[str, np.ndarray]:
    arrays = data.prepare()
    return {name: data.split(arrays, name).index for name in NAMES}


@pytest.mark.parametrize(("valid", "sizes"), [("random20", (80, 20, 30)), ("speaker", (60, 40, 30))])
def test_shd_splits_are_disjoint_and_as_the_card_says(shd: Path, valid: str, sizes: tuple[int, ...]) -> None:
    data = Shd(ShdOptions(valid=valid))
    found = indices(data)
    assert tuple(len(found[name]) for name in NAMES) == sizes == data.card().counts
    everything = np.concatenate(list(found.values()))
    assert len(np.unique(everything)) == 130
    assert set(found["test"]) == set(range(100, 130))
    if valid == "speaker":
        speaker = data.prepare()["speaker"]
        assert not set(speaker[found["train"]]) & set(speaker[found["valid"]])


def test_shd_without_validation_trains_on_everything(shd: Path) -> None:
    data = Shd(ShdOptions(valid="none"))
    found = indices(data)
    assert len(found["train"]) == 100
    assert data.card().counts == (100, 20, 30)


def test_shd_splits_have_a_hash_of_their_own(shd: Path) -> None:
    digests = set()
    for valid in ("random20", "speaker", "none"):
        data = Shd(ShdOptions(valid=valid))
        digests.add(data.split(data.prepare(), "train").digest)
    assert len(digests) == 3


def test_recordings_come_back_in_the_files_order_and_precision(shd: Path) -> None:
    data = Shd()
    arrays = data.prepare()
    batch = data.split(arrays, "test").batch(np.array([3, 0]))
    with h5py.File(shd / "shd" / "shd_test.h5") as file:
        times = 1000 * np.asarray(file["spikes/times"][3])
        units = np.asarray(file["spikes/units"][3])
    assert isinstance(batch.x, Events)
    mine = batch.x.sample == 0
    assert batch.x.time_us[mine].tolist() == np.rint(times.astype(np.float64) * 1000).tolist()
    assert batch.x.unit[mine].tolist() == units.tolist()
    assert batch.y.tolist() == [3, 0]
    assert not bool((batch.x.sample == 1).any())  # recording 0 is empty, and allowed
    assert frames(batch.x, timestep_ms=10)[1][1] == 0


def test_missing_files_say_where_from(root: Path) -> None:
    for data, words in ((Shd(), "shd_train.h5"), (Ssc(), "ssc_train.h5"), (Gsc(), "speech_commands")):
        with pytest.raises(MissingDataError, match=words) as caught:
            data.card()
        assert "Get it from" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": None}, r"no spikes/units; it holds .*Wanted spikes/times"),
        ({"labels": None}, "no labels"),
        ({"labels": np.full(40, 20)}, r"recording 0 has label 20; allowed are whole numbers 0\.\.19"),
        ({"labels": np.r_[np.zeros(39), -1.0]}, r"recording 39 has label -1\.0; allowed are whole"),
        ({"labels": np.full(40, 2.5)}, r"recording 0 has label 2\.5; allowed are whole numbers"),
        ({"labels": np.zeros(0), "times": [], "units": [], "speaker": None}, "of at least one recording"),
        ({"labels": np.zeros((40, 2))}, r"labels have shape \(40, 2\)"),
        ({"labels": np.zeros(39)}, "40 recordings of times, 40 of units and 39 labels"),
        (
            {"units": [np.full(1, 700)] * 40, "times": [np.zeros(1)] * 40},
            r"units 700\.\.700; allowed are whole numbers 0\.\.699",
        ),
        (
            {"units": [np.zeros(1)] * 40, "times": [np.array([900.0])] * 40},
            r"recording 0: a spike is at 900 s; allowed are 0\.\.60 s\. Are these milliseconds",
        ),
        ({"units": [np.zeros(1)] * 40, "times": [np.array([-0.5])] * 40}, "finite and not negative"),
        ({"units": [np.zeros(1)] * 40, "times": [np.zeros(2)] * 40}, "2 times and 1 units"),
        (
            {"units": [np.zeros(2)] * 40, "times": [np.array([0.5, 0.25])] * 40},
            "not sorted: spike 1 is at 0.25 s",
        ),
        ({"units": [np.zeros(1)] * 40, "times": [np.array([np.nan])] * 40}, "must be finite"),
        ({"speaker": np.zeros(3)}, "3 speakers for 40 recordings"),
    ],
)
def test_wrong_files_are_one_line(tmp_path: Path, changes: dict, message: str) -> None:
    path = write(tmp_path / "x.h5", **changes)
    with pytest.raises(DataError, match=message) as caught:
        _spike_h5.read(path, 20)
    assert "\n" not in str(caught.value)
    assert "x.h5" in str(caught.value)


def test_not_hdf5_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_text("nothing of the kind")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        _spike_h5.read(path, 20)


def test_speaker_split_needs_speakers(root: Path) -> None:
    write(root / "shd" / "shd_train.h5", 40, speaker=None)
    write(root / "shd" / "shd_test.h5", 30)
    with pytest.raises(DataError, match="needs extra/speaker"):
        Shd(ShdOptions(valid="speaker")).card()


def test_ssc_keeps_its_three_files(root: Path) -> None:
    for part, count in (("train", 70), ("valid", 35), ("test", 36)):
        write(root / "ssc" / f"ssc_{part}.h5", count, classes=35)
    data = Ssc()
    assert data.card().counts == (70, 35, 36)
    assert [len(index) for index in indices(data).values()] == [70, 35, 36]
    assert sorted(np.concatenate(list(indices(data).values()))) == list(range(141))


@pytest.fixture
def gsc(root: Path) -> Path:
    return write_words(root, ("yes", "no", "_background_noise_"))


@pytest.mark.parametrize("kind", [Gsc, GscMel])
def test_gsc_reads_wav_folders(gsc: Path, kind: type[Gsc]) -> None:
    data = kind()
    card, arrays = data.card(), data.prepare()
    assert card.counts == (5, 2, 1)
    assert card.classes == 2
    assert arrays["x"].shape == (8, 101, 140)
    batch = data.split(arrays, "train").batch(np.array([0, 4]))
    assert batch.x.shape == (2, *card.shape)
    assert float(batch.x[0, -30:, :87].mean()) < float(batch.x[1, -30:, :87].mean())  # padded with silence


def test_gsc_needs_its_sample_rate(gsc: Path) -> None:
    wavfile.write(gsc / "yes" / "0.wav", 8_000, np.zeros(8_000, dtype=np.int16))
    with pytest.raises(DataError, match="8000 Hz, int16, 1 axes; expected 16-bit mono at 16000 Hz"):
        Gsc().prepare()


def test_an_empty_gsc_folder_is_one_line(gsc: Path) -> None:
    shutil.rmtree(gsc / "yes")
    shutil.rmtree(gsc / "no")
    with pytest.raises(DataError, match="no folders of words"):
        Gsc().card()


@shared
def test_the_real_reader_reads_the_shared_files_of_the_same_layout() -> None:
    for part, count in (("train", 100), ("test", 40)):
        arrays = _spike_h5.read(Path(SHARED) / f"fsdd_shdformat_{part}.h5", 20)
        assert len(arrays["y"]) == count
        assert arrays["unit"].max() < 700
        assert 200_000 < arrays["time_us"].max() < 2_300_000  # FSDD lasts up to 2.28 s
        assert set(np.unique(arrays["speaker"])) <= set(range(6))


@shared
@pytest.mark.parametrize("part", ["train", "test"])
def test_spikes_of_the_cochlea_file_are_those_of_the_h5_file(
    part: str, cochlea: Callable[[], dict[str, np.ndarray]]
) -> None:
    """The same utterances in both files: times agree to a millisecond, units in number."""
    arrays = cochlea()
    h5 = _spike_h5.read(Path(SHARED) / f"fsdd_shdformat_{part}.h5", 20)
    sizes = {tuple(row) for row in zip(np.diff(arrays["offset"]), arrays["y"], strict=True)}
    found = sum((n, y) in sizes for n, y in zip(np.diff(h5["offset"]), h5["y"], strict=True))
    assert found >= 0.9 * len(h5["y"])


_cache: dict[str, np.ndarray] = {}


@pytest.fixture
def cochlea() -> Callable[[], dict[str, np.ndarray]]:
    def load() -> dict[str, np.ndarray]:
        if not _cache:
            _cache.update(FsddCochlea().prepare())
        return _cache

    return load


@shared
def test_cochlea_recordings_are_sorted_and_whole(cochlea: Callable[[], dict[str, np.ndarray]]) -> None:
    arrays = cochlea()
    step = np.diff(arrays["time_us"])
    inside = np.ones(len(step), dtype=bool)
    inside[arrays["offset"][1:-1] - 1] = False
    assert step[inside].min() >= 0
    assert arrays["time_us"].max() < 1_000_000
    assert arrays["unit"].max() < 700
    assert 0.99 < len(arrays["unit"]) / 17_239_960 <= 1.0


@shared
def test_no_speaker_is_in_two_splits(cochlea: Callable[[], dict[str, np.ndarray]]) -> None:
    arrays = cochlea()
    data = FsddCochleaSpeakers()
    splits = data.splits(arrays)
    speakers = [set(arrays["speaker"][index]) for index in splits.values()]
    assert sum(len(group) for group in speakers) == 6
    assert len(set.union(*speakers)) == 6
    assert tuple(len(splits[name]) for name in NAMES) == data.counts


@shared
def test_binning_is_free_to_search(cochlea: Callable[[], dict[str, np.ndarray]]) -> None:
    """The same sparse arrays at any timestep and grouping: no spike is lost on the grid."""
    data = FsddCochlea()
    batch = data.split(cochlea(), "valid").batch(np.arange(4))
    for timestep, group in ((5.0, 5), (10.0, 10), (20.0, 1)):
        dense, _ = frames(batch.x, timestep_ms=timestep, binning="grid", group=group)
        assert int(dense.sum()) == len(batch.x.unit)
        assert dense.shape[2] == 700 // group


def test_other_files_are_prepared_anew(shd: Path, gsc: Path) -> None:
    before = Shd().cache_key(), Gsc().cache_key()
    write(shd / "shd" / "shd_test.h5", 31)
    wavfile.write(gsc / "yes" / "9.wav", 16_000, np.zeros(16_000, dtype=np.int16))
    after = Shd().cache_key(), Gsc().cache_key()
    assert before[0] != after[0]
    assert before[1] != after[1]
