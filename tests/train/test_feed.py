"""Reading ahead: the same batches whatever the number of processes, and one line where reading fails."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.contracts.data import View
from harness.datasets.own.folders import Images, ImagesOptions
from harness.errors import DataError
from harness.events import views
from harness.train import attempt
from harness.train.feed import Feed, died, stream
from harness.train.task import Task
from harness.trial import DatasetRef, Objective, Phase, Resources, State, TrialSpec, freeze
from tests.train.attempts import run

CROPS = View(seed=3, smallest_area=0.08, flip="horizontal")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of photographs of several sizes, one large, one grey."""
    rng = np.random.default_rng(0)
    for number in range(30):
        side = 700 if number == 4 else 40 + number
        tone = rng.integers(0, 255, 3) if number % 2 else np.array([200, 30, 30])
        pixels = np.clip(tone + rng.normal(0, 20, (side, side + 8, 3)), 0, 255).astype(np.uint8)
        path = tmp_path / "photos" / ("odd" if number % 2 else "even") / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels)
        (image.convert("L") if number == 6 else image).save(path)
    return tmp_path / "photos"


def opened(folder: Path) -> tuple[Images, Any]:
    data = Images(ImagesOptions(path=str(folder), pixels=24))
    return data, data.split(data.prepare(), "train")


def curve(folder: Path, cpus: int) -> list[float]:
    data, _ = opened(folder)
    params = {"network.name": "resnet", "network.width": 4, "timesteps": 2, "batch_size": 5}
    params |= {"augment.crop": 0.3, "augment.flip": "horizontal"}
    spec = TrialSpec(
        DatasetRef("images", data.card().revision, (("path", str(folder)), ("pixels", 24))),
        "direct",
        freeze(params),
        1,
        Phase.SEARCH,
        2,
        (Objective("accuracy", True),),
    )
    task = Task("s", "c", spec, 0, 1, str(folder.parent / "results"), resources=Resources(cpus))
    rows, end = run(replace(task, checkpoint_every=0))
    assert end is not None
    assert end.state is State.COMPLETE, end.detail
    return [row.value for row in rows if row.metric in ("loss", "accuracy")]


def test_the_curve_does_not_depend_on_how_many_processes_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With as many threads in the sums: a trial of more processors has more of them."""
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    none, one, three = (curve(folder, workers + 1) for workers in (0, 1, 3))
    assert none == one == three


@pytest.mark.parametrize("view", [None, CROPS])
def test_batches_are_the_same_bytes_whoever_reads_them(folder: Path, view: View | None) -> None:
    _, split = opened(folder)
    order = np.random.default_rng(1).permutation(len(split))
    parts = [order[at : at + 4] for at in range(0, len(order), 4)]
    here = list(stream(split, parts, view))
    for workers in (1, 3):
        feed = Feed(split, workers, pin=False)
        for _ in range(2):  # the processes live on
            for a, b in zip(stream(feed, parts, view), here, strict=True):  # type: ignore[arg-type]
                torch.testing.assert_close(a.x, b.x, rtol=0, atol=0)
                assert a.y.tolist() == b.y.tolist()
        feed.close()


def test_a_view_depends_on_the_sample_and_the_seed_alone(folder: Path) -> None:
    _, split = opened(folder)
    together = split.viewed(np.arange(6), CROPS).x
    torch.testing.assert_close(split.viewed(np.array([4]), CROPS).x[0], together[4], rtol=0, atol=0)
    other = split.viewed(np.arange(6), replace(CROPS, seed=4)).x
    assert not torch.equal(other, together)
    assert together.dtype == torch.uint8
    numbers = split.viewed(np.arange(6), CROPS).to(torch.device("cpu")).x
    assert numbers.dtype == torch.float32
    assert numbers.is_contiguous()


def test_a_view_without_change_is_the_centre_crop(folder: Path) -> None:
    """But for rounding: the whole is resized first there, the window at once here."""
    _, split = opened(folder)
    whole = split.batch(np.arange(4)).x
    window = split.viewed(np.arange(4), View(seed=0)).to(torch.device("cpu")).x
    assert float((whole - window).abs().mean()) < 0.15


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    _, split = opened(folder)
    bad = folder / split.names[split.index[2]].decode()
    bad.write_bytes(b"no image")
    feed = Feed(split, 1, pin=False)
    with pytest.raises(DataError, match=f"{bad.name} is not an image"):
        list(feed.stream([np.arange(5)], CROPS))
    assert len(list(feed.stream([np.array([0, 1])], CROPS))) == 1, "the process goes on"
    feed.close()


DIES = """
import os, signal, sys
import numpy as np
from harness.contracts.data import View
from harness.datasets.own.folders import Images, ImagesOptions
from harness.train.feed import Feed, died
data = Images(ImagesOptions(path=sys.argv[1], pixels=24))
feed = Feed(data.split(data.prepare(), "train"), 1, pin=False)
batches = feed.stream([np.array([0])] * 50, View(seed=3))
next(batches)
try:
    os.kill(feed._loader._iterator._workers[0].pid, signal.SIGKILL)
    list(batches)
except RuntimeError as error:
    print(died(error), flush=True)
    os._exit(0)
os._exit(1)
"""


def test_a_process_that_dies_is_one_line(folder: Path) -> None:
    """In a process of its own: torch raises from a handler of SIGCHLD, wherever Python is just then."""
    done = subprocess.run(
        [sys.executable, "-c", DIES, str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("a process that reads data died")
    assert died(RuntimeError("another")) == ""


def test_an_attempt_whose_reader_dies_is_interrupted_not_failed(folder: Path) -> None:
    lost = RuntimeError("DataLoader worker (pid 1) is killed by signal: Bus error.")
    end = attempt._failure(lost)
    assert (end.state, end.reason) == (State.INTERRUPTED, "environment")
    assert "/dev/shm" in end.detail


def test_a_large_jpeg_is_decoded_small_where_its_crop_is_large(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same view to a few grey levels, at a fraction of the pixels."""
    path = next(folder.rglob("4.jpg"))

    def box(height: int, width: int) -> views.Box:
        return 70, 80, height - 140, width - 160

    data = path.read_bytes()
    assert views._crop(data, path, box, 600).size == (548, 560), "708 x 700 less the border"
    assert views._crop(data, path, box, 24).size == (69, 70), "an eighth of it"
    view = View(seed=1, smallest_area=0.5)
    small = views.read_view(path, view, 0, 24, 1.0).float()
    monkeypatch.setattr(Image.Image, "draft", lambda *_: None)
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.draft", lambda *_: None)
    whole = views.read_view(path, view, 0, 24, 1.0).float()
    assert 0 < float((small - whole).abs().mean()) < 12
