"""Conversion: ES-ImageNet's layout, quarantine, and nothing lost or torn after a kill."""

import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError
from harness.events import convert, odg, sources
from harness.events.convert import Convert, OdgWork, VideoWork
from harness.events.odg import OdgSettings
from harness.events.video import VideoSettings, events_cthw

SMALL = OdgWork(OdgSettings(window=None, min_events=10), longer_side=None)


def picture(seed: int, size: tuple[int, int] = (12, 9)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def images(root: Path, classes: tuple[str, ...] = ("cat", "dog"), each: int = 3) -> Path:
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for item in range(each):
            Image.fromarray(picture(10 * number + item)).save(root / name / f"im_{item}.png")
    return root


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


def test_the_layout_of_es_imagenet(tmp_path: Path) -> None:
    source, out = images(tmp_path / "images"), tmp_path / "out"
    seen: list[tuple[int, int, int]] = []
    items = sources.image_items(source)
    summary = convert.convert(items, SMALL, out, progress=lambda *state: seen.append(state), chunk=4)
    assert (summary.made, summary.kept, summary.bad) == (6, 0, 0)
    assert seen == [(4, 6, 0), (6, 6, 0)]
    lines = (out / "trainlabel.txt").read_text().splitlines()
    assert lines[0] == "class0/class0_1.npz 0 12 9"
    assert lines[5] == "class1/class1_3.npz 1 12 9"
    with np.load(out / "train" / "class1" / "class1_2.npz", allow_pickle=False) as file:
        want = odg.generate(odg.lightness(picture(11)), SMALL.settings)
        assert file["pos"].dtype == np.uint8
        assert np.array_equal(file["pos"], want.pos)
        assert np.array_equal(file["neg"], want.neg)
    assert (out / convert.QUARANTINE).read_text() == ""


def test_train_and_val(tmp_path: Path) -> None:
    images(tmp_path / "images" / "train")
    images(tmp_path / "images" / "val", classes=("dog", "owl"), each=1)
    items = sources.image_items(tmp_path / "images")
    convert.convert(items, SMALL, tmp_path / "out")
    lines = (tmp_path / "out" / "vallabel.txt").read_text().splitlines()
    # Two classes share a file name: each gets its class in front.
    assert lines == ["class1_im_0.npz 1 12 9", "class2_im_0.npz 2 12 9"]
    assert (tmp_path / "out" / "val" / "class2_im_0.npz").is_file()


def test_the_papers_settings_resize_to_254(tmp_path: Path) -> None:
    (tmp_path / "images" / "cat").mkdir(parents=True)
    Image.fromarray(picture(0, (30, 60))).save(tmp_path / "images" / "cat" / "a.png")
    convert.convert(sources.image_items(tmp_path / "images"), OdgWork(), tmp_path / "out")
    assert (tmp_path / "out" / "trainlabel.txt").read_text() == "class0/class0_1.npz 0 127 254\n"


def test_a_second_run_keeps_everything(tmp_path: Path) -> None:
    items = sources.image_items(images(tmp_path / "images"))
    convert.convert(items, SMALL, tmp_path / "out")
    before = tree(tmp_path / "out")
    summary = convert.convert(items, SMALL, tmp_path / "out")
    assert (summary.made, summary.kept) == (0, 6)
    assert tree(tmp_path / "out") == before


def test_damaged_and_foreign_files_are_made_again(tmp_path: Path) -> None:
    items = sources.image_items(images(tmp_path / "images"))
    out = tmp_path / "out"
    convert.convert(items, SMALL, out)
    before = tree(out)
    (out / items[0].target).write_bytes(b"PK torn")
    (out / items[1].target).write_bytes((out / items[2].target).read_bytes())
    (out / "train" / "class0" / ".aside-dead").write_bytes(b"left by a killed writer")
    summary = convert.convert(items, SMALL, out)
    assert (summary.made, summary.kept) == (2, 4)
    assert tree(out) == before


def test_other_settings_need_another_folder(tmp_path: Path) -> None:
    items = sources.image_items(images(tmp_path / "images"))
    convert.convert(items, SMALL, tmp_path / "out")
    with pytest.raises(DataError, match=r"made with .*choose another folder"):
        convert.convert(items, OdgWork(), tmp_path / "out")


def test_bad_images_are_quarantined_and_the_rest_goes_on(tmp_path: Path) -> None:
    source = images(tmp_path / "images")
    (source / "cat" / "a_text.jpg").write_text("no image")
    whole = (source / "cat" / "im_0.png").read_bytes()
    (source / "cat" / "b_cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (1, 1), (255, 0, 0)).save(source / "dog" / "c_pixel.png")
    Image.new("RGB", (50, 50), (9, 9, 9)).save(source / "dog" / "d_flat.png")
    Image.fromarray(picture(3)[..., 0]).save(source / "dog" / "e_grey.png")
    summary = convert.convert(sources.image_items(source), SMALL, tmp_path / "out")
    assert (summary.made, summary.bad) == (7, 4)
    assert "4 bad" in str(summary)
    lines = (tmp_path / "out" / convert.QUARANTINE).read_text().splitlines()
    words = ["not an image", "not an image", "1 pixel", "0 events, fewer than the 10"]
    assert len(lines) == 4
    for line, word in zip(lines, words, strict=True):
        assert word in line
        assert line.startswith(str(source))
    labels = (tmp_path / "out" / "trainlabel.txt").read_text().splitlines()
    assert len(labels) == 7


def test_no_images_at_all(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(DataError, match="no images; expected"):
            sources.image_items(folder)


def test_a_full_disk_stops_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = sources.image_items(images(tmp_path / "images"))
    out = tmp_path / "out"

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    convert.convert(items[:2], SMALL, out)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"No space left on device\. What is finished stays"):
        convert.convert(items, SMALL, out)
    monkeypatch.undo()
    assert not list(out.rglob(".aside-*"))
    assert convert.convert(items, SMALL, out).kept == 2


def test_a_chunk_that_fails_leaves_nothing_and_what_was_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = sources.image_items(images(tmp_path / "images"))
    out = tmp_path / "out"
    convert.convert(items[:2], SMALL, out, chunk=2)
    before = tree(out)
    renamed = Path.replace
    seen = []

    def refused(self: Path, target: Path) -> Path:
        seen.append(target.name)
        if len(seen) == 2:
            raise OSError(5, "Input/output error")
        return renamed(self, target)

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(DataError, match=r"cannot write .*class1_1\.npz: Input/output error"):
        convert.convert(items, SMALL, out, chunk=6)
    monkeypatch.undo()
    assert not list(out.rglob(".aside-*"))
    assert tree(out).items() >= before.items()
    assert len(finished(out)) == 3
    assert convert.convert(items, SMALL, out).kept == 3


def test_every_folder_is_listed_once_and_no_file_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million files: what costs is a call a file."""
    source = images(tmp_path / "images")
    listed = []
    scandir = os.scandir

    def counted(path: str) -> object:
        listed.append(str(path))
        return scandir(path)

    def looked(*arguments: object, **more: object) -> None:
        raise AssertionError(arguments)

    monkeypatch.setattr(os, "scandir", counted)
    monkeypatch.setattr(Path, "is_file", looked)
    monkeypatch.setattr(Path, "iterdir", looked)
    assert len(sources.image_items(source)) == 6
    assert sorted(listed) == [str(source), str(source / "cat"), str(source / "dog")]


def finished(out: Path) -> list[Path]:
    return [path for path in out.rglob("*.npz") if not path.name.startswith(".")]


@pytest.mark.kill
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("chunk", [1, 7])
def test_killed_at_random_moments_nothing_is_lost_or_torn(tmp_path: Path, chunk: int) -> None:
    items = sources.image_items(images(tmp_path / "images", each=150))
    whole, out = tmp_path / "whole", tmp_path / "out"
    convert.convert(items, SMALL, whole)
    reference = tree(whole)
    rng = np.random.default_rng(0)
    counts = [0]
    for _ in range(5):
        child = multiprocessing.get_context("fork").Process(
            target=convert.convert, args=(items, SMALL, out), kwargs={"chunk": chunk}
        )
        child.start()
        limit = time.monotonic() + 20
        while len(finished(out)) <= counts[-1] and time.monotonic() < limit:
            time.sleep(0.001)
        time.sleep(float(rng.uniform(0.0, 0.02)))
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        counts.append(len(finished(out)))
        for path in finished(out):
            assert path.read_bytes() == reference[str(path.relative_to(out))]
    assert counts == sorted(counts)
    assert 5 <= counts[-1] < 300
    summary = convert.convert(items, SMALL, out)
    assert (summary.kept, summary.made) == (counts[-1], 300 - counts[-1])
    assert tree(out) == reference


def clips(root: Path) -> Path:
    for name, frames in (("v_Kick_g01_c01", 33), ("v_Jump_g02_c01", 40), ("v_Kick_g02_c01", 1)):
        (root / name).mkdir(parents=True)
        for number in range(frames):
            Image.fromarray(picture(number)).save(root / name / f"frame{number:06d}.png")
    return root


def test_the_layout_of_es_ucf101(tmp_path: Path) -> None:
    items = sources.clip_items(clips(tmp_path / "clips"))
    summary = convert.convert(items, VideoWork(), tmp_path / "out")
    assert (summary.made, summary.bad) == (2, 1)
    lines = (tmp_path / "out" / "labels.txt").read_text().splitlines()
    assert lines == ["v_Jump_g02_c01.npz 0 12 9", "v_Kick_g01_c01.npz 1 12 9"]
    with np.load(tmp_path / "out" / "event_dvs" / "v_Kick_g01_c01.npz") as file:
        assert file["arr_0"].shape == (2, 30, 12, 9)
        frames = np.stack([np.asarray(Image.fromarray(picture(i)).convert("L")) for i in range(33)])
        assert np.array_equal(file["arr_0"], events_cthw(frames))
    assert "1 frames: needs at least 2" in (tmp_path / "out" / convert.QUARANTINE).read_text()


def test_bad_clip_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no clips; expected"):
        sources.clip_items(tmp_path / "none")
    (tmp_path / "v_Kick_g01_c01.avi").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"v_Kick_g01_c01.avi is a video: first write its frames"):
        sources.clip_items(tmp_path)
    (tmp_path / "holiday").mkdir()
    with pytest.raises(DataError, match="clip 'holiday': expected a name of the form v_<Class>"):
        sources.clip_items(tmp_path)


def test_work_travels_to_other_processes(tmp_path: Path) -> None:
    chunk = tuple(sources.image_items(images(tmp_path / "images")))
    there = pickle.loads(pickle.dumps(Convert(SMALL, str(tmp_path / "out"))))
    assert [outcome.state for outcome in there(chunk)] == ["made"] * 6
    noisy = VideoWork(VideoSettings(threshold_sd=0.03))
    assert pickle.loads(pickle.dumps(noisy)) == noisy
