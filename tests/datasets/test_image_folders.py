"""ImageNet, ES-ImageNet and UCF101, from small folders in their real layouts."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.contracts.data import Batch, Dataset
from harness.datasets.events import es_imagenet, ucf101
from harness.datasets.events.es_imagenet import EsImageNet
from harness.datasets.events.ucf101 import EsUcf101, Ucf101, UcfOptions
from harness.datasets.images.imagenet import MEAN, STD, ImageNet, ImageNetOptions, centre_crop
from harness.datasets.own import folders
from harness.errors import DataError, MissingDataError
from harness.events import convert, odg, sources
from harness.events.video import events_cthw
from tests.datasets.whole import NAMES, whole


def dense(batch: Batch) -> torch.Tensor:
    assert isinstance(batch.x, torch.Tensor)
    return batch.x


def picture(seed: int, size: tuple[int, int] = (40, 60)) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (size[0] // 2, size[1] // 2, 3))
    return coarse.repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)


def images(folder: Path, each: dict[str, int]) -> None:
    for part, count in each.items():
        for label, name in enumerate(("n01", "n02", "n03")):
            (folder / part / name).mkdir(parents=True)
            for item in range(count):
                image = Image.fromarray(picture(label * 100 + item))
                image.save(folder / part / name / f"{part}_{label}_{item}.png")


def test_imagenet(root: Path) -> None:
    images(root / "imagenet", {"train": 25, "val": 2})
    (root / "imagenet" / "val" / "n01" / ".DS_Store").write_bytes(b"x")
    batches = whole(ImageNet(ImageNetOptions(pixels=28)))
    assert [len(batch) for batch in batches.values()] == [72, 3, 6]
    assert batches["test"].y.tolist() == [0, 0, 1, 1, 2, 2]
    want = centre_crop(picture(1), 28)
    assert np.allclose(dense(batches["test"])[1].numpy(), want)
    assert ImageNet().card().shape == (3, 224, 224)


def test_imagenet_normalisation_and_crop() -> None:
    grey = np.full((50, 80, 3), 124, dtype=np.uint8)
    got = centre_crop(grey, 28)
    assert got.shape == (3, 28, 28)
    assert np.allclose(got[:, 0, 0], (124 / 255 - MEAN) / STD)


def test_imagenet_bad_folders(root: Path) -> None:
    with pytest.raises(MissingDataError, match="imagenet"):
        ImageNet().card()
    images(root / "imagenet", {"train": 25, "val": 2})
    (root / "imagenet" / "val" / "n02" / "val_1_0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"val_1_0\.png is not an image"):
        whole(ImageNet(ImageNetOptions(pixels=28)))
    shutil.rmtree(root / "imagenet" / "val" / "n03")
    with pytest.raises(DataError, match="train has 3 class folders, val has 2"):
        ImageNet().card()


def es_folder(root: Path) -> Path:
    """What the converter writes is what the reader reads."""
    images(root / "images", {"train": 9, "val": 2})
    convert.convert(sources.image_items(root / "images"), convert.OdgWork(), root / "es-imagenet")
    return root / "es-imagenet"


def test_es_imagenet(root: Path) -> None:
    es_folder(root)
    batches = whole(EsImageNet())
    assert [len(batch) for batch in batches.values()] == [26, 1, 6]
    x = dense(batches["test"])
    assert set(np.unique(x.numpy()).tolist()) == {0.0, 1.0}
    # By hand: the events of the picture resized to 169 x 254, centred on 256 x 256, cropped.
    events = odg.generate(odg.resize_longer_side(odg.lightness(picture(0))))
    assert (events.height, events.width) == (169, 254)
    canvas = np.zeros((8, 2, 256, 256))
    for channel, rows in enumerate((events.pos, events.neg)):
        for row, col, time in rows.tolist():
            canvas[time - 1, channel, row + (254 - 169) // 2, col] = 1
    assert np.array_equal(x[0].numpy(), canvas[:, :, 16:240, 16:240])
    assert canvas.sum() > 1000


def test_es_imagenet_converted_layout(root: Path) -> None:
    folder = es_folder(root)
    want = whole(EsImageNet())
    for part in ("train", "val"):
        lines = es_imagenet.read_labels(folder, part)
        for line in lines:
            frames = es_imagenet.read_events(folder / line.file, line.height, line.width)
            np.savez_compressed(folder / line.file, frames.transpose(1, 0, 2, 3).astype(np.int8))
        text = "".join(f"{line.file},{line.label}\n" for line in lines)
        (folder / f"{part}label.csv").write_text(f"path,class\n{text}")
        (folder / f"{part}label.txt").unlink()
    got = whole(EsImageNet())
    for name in NAMES:
        assert torch.equal(dense(got[name]), dense(want[name]))
        assert torch.equal(got[name].y, want[name].y)


def test_es_imagenet_bad_files(root: Path) -> None:
    with pytest.raises(MissingDataError, match="es-imagenet"):
        EsImageNet().card()
    folder = es_folder(root)
    line = es_imagenet.read_labels(folder, "val")[0]
    path = folder / line.file
    good: dict[str, Any] = {"pos": np.array([[5, 6, 1]]), "neg": np.zeros((0, 3), np.uint8)}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"positive": good["pos"]}, "expected arrays pos and neg, or arr_0; it holds positive"),
        (good | {"pos": np.array([[5, 6, 9]])}, "time 9..9 is outside the canvas, 1..8"),
        (good | {"pos": np.array([[5, 6, 0]])}, "time 0..0 is outside"),
        (good | {"neg": np.array([[250, 6, 1]])}, "row 292..292 is outside the canvas, 0..255"),
        (good | {"neg": np.array([[5, -3, 1]])}, "column -3..-3 is outside"),
        (good | {"neg": np.zeros((4, 2), int)}, r"expected integers \(N, 3\)"),
        (good | {"neg": np.zeros((4, 3))}, "float64"),
        ({"arr_0": np.zeros((2, 8, 10, 10))}, r"arr_0 is \(2, 8, 10, 10\)"),
        ({"pos": np.array([{}], dtype=object), "neg": good["neg"]}, "cannot be read"),
    ]
    for arrays, words in cases:
        np.savez(path, **arrays)
        with pytest.raises(DataError, match=words) as caught:
            es_imagenet.read_events(path, line.height, line.width)
        assert path.name in str(caught.value)
    path.unlink()
    with pytest.raises(DataError, match=rf"vallabel.txt names 1 files that are missing, .*{path.name}"):
        EsImageNet().prepare()


def test_es_imagenet_bad_labels(root: Path) -> None:
    folder = es_folder(root)
    labels = folder / "vallabel.txt"
    good = labels.read_text()
    for text, words in (
        ("a.npz 3 200", "expected file, class, height, width"),
        ("a.npz x 200 200", "expected file, class, height, width"),
        ("a.npz 3 300 200", "at most 254"),
    ):
        labels.write_text(good + text + "\n")
        with pytest.raises(DataError, match=rf"vallabel\.txt:7: .*{words}"):
            EsImageNet().card()
    labels.write_text("")
    with pytest.raises(DataError, match="no samples"):
        EsImageNet().card()
    labels.unlink()
    with pytest.raises(DataError, match=r"neither vallabel\.txt nor vallabel\.csv"):
        EsImageNet().card()


def clips(root: Path, groups: int = 8) -> Path:
    folder = root / "ucf101" / "jpegs_256"
    for label, name in enumerate(("Jump", "Kick")):
        for group in range(1, groups + 1):
            for clip in (1, 2):
                where = folder / f"v_{name}_g{group:02d}_c{clip:02d}"
                where.mkdir(parents=True)
                for frame in range(1, 19):
                    image = picture(1000 * label + 10 * group + frame, (8, 10))
                    Image.fromarray(image).save(where / f"frame{frame:06d}.png")
    return folder


def test_ucf101_frames_and_events(root: Path) -> None:
    folder = clips(root)
    convert.convert(sources.clip_items(folder), convert.VideoWork(), root / "es-ucf101")
    events, frames = whole(EsUcf101()), whole(Ucf101())
    assert [len(batch) for batch in events.values()] == [20, 4, 8]
    for name in NAMES:
        assert torch.equal(events[name].y, frames[name].y)
    arrays = EsUcf101().prepare()
    split = EsUcf101().split(arrays, "test")
    first = arrays["file"][split.index[0]].decode().removesuffix(".npz")  # type: ignore[attr-defined]
    files = sorted((folder / first).iterdir())
    grey = np.stack([np.asarray(Image.open(file).convert("L")) for file in files])
    want = events_cthw(grey)[:, :15].transpose(1, 0, 2, 3)
    assert np.array_equal(dense(events["test"])[0].numpy(), want)
    third = np.asarray(Image.open(files[2])) / 255
    assert np.allclose(dense(frames["test"])[0, 2].numpy(), ((third - MEAN) / STD).transpose(2, 0, 1))


def names(classes: int = 3, groups: int = 25) -> list[str]:
    return [
        f"v_Class{label}_g{group:02d}_c{clip:02d}"
        for label in range(classes)
        for group in range(1, groups + 1)
        for clip in (1, 2, 3, 4)
    ]


def groups_of(index: np.ndarray) -> set[str]:
    return {names()[i].rsplit("_c", 1)[0] for i in index.tolist()}


@pytest.mark.parametrize("how", ["groups", "ucf-1", "ucf-2", "ucf-3"])
def test_groups_do_not_leak(how: str) -> None:
    found = ucf101.splits(names(), how)
    parts = [groups_of(found[name]) for name in NAMES]
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & parts[2]
    assert sum(len(found[name]) for name in NAMES) == 300
    again = ucf101.splits(names(), how)
    assert all(np.array_equal(found[name], again[name]) for name in NAMES)


def test_a_clip_that_is_missing_moves_no_other() -> None:
    every = names()
    fewer = [name for name in every if name not in ("v_Class1_g07_c02", "v_Class2_g03_c01")]
    fewer = [name for name in fewer if not name.startswith("v_Class0_g11")]
    for how in ("groups", "ucf-2"):
        before, after = ucf101.splits(every, how), ucf101.splits(fewer, how)
        for name in NAMES:
            there = [every[i] for i in before[name].tolist() if every[i] in fewer]
            assert [fewer[i] for i in after[name].tolist()] == there


def test_official_test_groups() -> None:
    wanted = {"ucf-1": range(1, 8), "ucf-2": range(8, 15), "ucf-3": range(15, 22)}
    for how, groups in wanted.items():
        test = groups_of(ucf101.splits(names(), how)["test"])
        assert test == {f"v_Class{label}_g{group:02d}" for label in range(3) for group in groups}


def test_the_papers_random_split_leaks_and_says_so(root: Path) -> None:
    found = ucf101.splits(names(), "paper-random")
    assert len(found["test"]) == 75
    assert groups_of(found["train"]) & groups_of(found["test"])
    clips(root)
    card = Ucf101(UcfOptions(splits="paper-random")).card()
    assert "paper-random" in card.notes


def test_ucf101_bad_files(root: Path) -> None:
    with pytest.raises(MissingDataError, match="harness data convert video"):
        EsUcf101().card()
    with pytest.raises(MissingDataError, match="ucf101"):
        Ucf101().card()
    path = root / "a.npz"
    for arrays, words in (
        ({"x": np.zeros(3)}, "no array arr_0; it holds x"),
        ({"arr_0": np.zeros((2, 9, 4, 4))}, r"expected \(2, 30, height, width\)"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(DataError, match=words):
            ucf101.read_events(path)
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match="cannot be read"):
        ucf101.read_events(path)
    with pytest.raises(DataError, match="clip 'v_Kick_c01': expected a name"):
        ucf101.splits(["v_Kick_c01"], "groups")
    folder = clips(root, groups=3)
    for file in sorted((folder / "v_Kick_g01_c01").iterdir())[5:]:
        file.unlink()
    with pytest.raises(DataError, match="v_Kick_g01_c01: 5 frames: needs at least 15"):
        whole(Ucf101())
    with pytest.raises(DataError, match=r"the valid split is empty|the train split is empty"):
        ucf101.splits([f"v_Kick_g01_c{clip:02d}" for clip in range(1, 9)], "groups")


def test_a_users_own_folders(root: Path) -> None:
    images(root / "photos", {"train": 25, "val": 2})
    convert.convert(sources.image_items(root / "photos"), convert.OdgWork(), root / "both")
    flat = root / "photos" / "train"
    convert.convert(sources.image_items(flat), convert.OdgWork(), root / "flat")
    convert.convert(sources.clip_items(clips(root)), convert.VideoWork(), root / "clips")
    cases: list[tuple[type[Dataset], dict[str, Any], list[int]]] = [
        (folders.Images, {"path": str(root / "photos"), "pixels": 28}, [72, 3, 6]),
        (folders.Images, {"path": str(flat), "pixels": 28}, [48, 12, 15]),
        (folders.OdgEvents, {"path": str(root / "both")}, [72, 3, 6]),
        (folders.OdgEvents, {"path": str(root / "flat")}, [48, 12, 15]),
        (folders.ClipEvents, {"path": str(root / "clips"), "splits": "groups"}, [20, 4, 8]),
    ]
    for kind, options, wanted in cases:
        batches = whole(kind(kind.Options(**options)))
        assert [len(batch) for batch in batches.values()] == wanted
        with pytest.raises(DataError, match="no such folder"):
            kind(kind.Options(**(options | {"path": str(root / "none")}))).card()
        with pytest.raises(DataError, match="needs a folder"):
            kind()
