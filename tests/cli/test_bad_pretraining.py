"""Bad input of the pretraining part, through the real command: one clear line, exit code 2, no traceback.

Converters quarantine a bad file, go on and count it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.contracts.registry import pipeline
from harness.models.build import build
from harness.neurons.lif import LIF
from tests.cli.conftest import Cli

STUDY = """\
name: small
cells:
  - dataset: digits
    pipelines: [{name: pipe-s, set: {neuron.name: lif}}]
space:
  optimizer.lr: {float: [1.0e-3, 1.0e-1], log: true}
fixed: {timesteps: 2, network.width: 4, sharpen.epochs: 1, batch_size: 200}
search: {trials: 2, epochs: 1}
"""
FIXED = "fixed: {timesteps: 2"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(STUDY)
    return Path("small.yaml")


def launch(cli: Cli, study: Path) -> str:
    return cli("launch", study, "--engine", "local").line


@pytest.mark.parametrize("command", ["check", "launch"])
@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        (FIXED, "fixed: {timesteps: 0", 7, "timesteps: 0 is outside [1, 10000]"),
        ("optimizer.lr: {float: [1.0e-3, 1.0e-1], log: true}", "timesteps: {int: [0, 4]}", 6, "[1, 10000]"),
        (FIXED, "fixed: {augment.shift: -1, timesteps: 2", 7, "augment.shift: -1 is outside [0, 1024]"),
        (FIXED, "fixed: {augment.crop: 0.0, timesteps: 2", 7, "augment.crop: 0.0 is outside [0.01, 1]"),
        (FIXED, "fixed: {augment.flip: yes, timesteps: 2", 7, "augment.flip"),
        (FIXED, "fixed: {augment.turn: 3, timesteps: 2", 7, "augment.turn"),
    ],
)
def test_values(cli: Cli, study: Path, command: str, old: str, new: str, line: int, words: str) -> None:
    text = STUDY.replace(old, new, 1)
    study.write_text(text.replace("fixed: {timesteps: 2, ", "fixed: {") if "timesteps: {" in new else text)
    said = cli(command, study).line
    assert said.startswith(f"error: small.yaml:{line}: ")
    assert words in said


def state(width: int = 4) -> dict[str, torch.Tensor]:
    params = pipeline("pipe-s").build_params({"network.width": width})
    network = build(params.network, (1, 16, 16), 10, LIF, generator=torch.Generator().manual_seed(0))
    return network.state_dict()


def test_checkpoints(cli: Cli, study: Path) -> None:
    study.write_text(STUDY.replace(FIXED, "fixed: {sharpen.checkpoint: ann.pt, timesteps: 2"))
    assert "checkpoint ann.pt does not exist" in launch(cli, study)
    own = state()
    Path("ann.pt").write_text("no checkpoint")
    assert "cannot be read as a state dict" in launch(cli, study)
    torch.save({"a": 1}, "ann.pt")
    assert "holds no state dict" in launch(cli, study)
    torch.save(state(8), "ann.pt")
    said = launch(cli, study)
    assert "conv.weight has shape (8, 1, 3, 3), the network (4, 1, 3, 3)" in said
    torch.save(
        {**{key: value for key, value in own.items() if key != "conv.weight"}, "old": own["conv.weight"]},
        "ann.pt",
    )
    said = launch(cli, study)
    assert "2 differences" in said
    assert "missing conv.weight" in said
    assert "unexpected old" in said
    torch.save({"model": own}, "ann.pt")
    assert cli("launch", study, "--engine", "local", "--results", "fits").code == 0


def test_views_that_the_data_cannot_have(cli: Cli, study: Path) -> None:
    study.write_text(STUDY.replace(FIXED, "fixed: {augment.shift: 100, timesteps: 2"))
    said = cli("launch", study, "--engine", "local")
    assert said.code == 1, "every trial failed, each with its reason"
    assert "failed 2 x digits/pipe-s: misfit: augment.shift: 100 pixels" in said.out
    assert "choose less than 16" in said.out


def sample(path: Path, **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


GOOD = np.array([[100, 100, 1], [120, 90, 8]], dtype=np.uint8)
EVENTS = (
    STUDY.replace("dataset: digits", "dataset: {odg-events: events}")
    .replace(
        "{name: pipe-s, set: {neuron.name: lif}}",
        "{name: direct, set: {neuron.name: lif, network.width: 1, network.depth: 1}}",
    )
    .replace("network.width: 4, sharpen.epochs: 1, ", "")
)


@pytest.fixture
def events(study: Path) -> Path:
    """A folder as `harness data convert odg` writes, of two classes."""
    lines = []
    for label in range(2):
        for number in range(1, 11):
            name = f"class{label}/class{label}_{number}.npz"
            sample(Path("events", "train", name), pos=GOOD, neg=GOOD)
            lines.append(f"{name} {label} 200 254")
    Path("events", "trainlabel.txt").write_text("\n".join(lines) + "\n")
    study.write_text(EVENTS)
    return Path("events")


def test_good_events_train(cli: Cli, study: Path, events: Path) -> None:
    said = cli("launch", study, "--engine", "local")
    assert said.code == 0, said.err


BAD_SAMPLES = {
    "no keys": (
        {"positive": GOOD, "neg": GOOD},
        "expected arrays pos and neg, or arr_0; it holds positive, neg",
    ),
    "row outside": (
        {"pos": np.array([[250, 3, 1]]), "neg": GOOD},
        "row 277..277 is outside the canvas, 0..255",
    ),
    "column outside": (
        {"pos": np.array([[3, 300, 1]]), "neg": GOOD},
        "column 300..300 is outside the canvas, 0..255",
    ),
    "time outside": ({"pos": np.array([[3, 3, 9]]), "neg": GOOD}, "time 9..9 is outside the canvas, 1..8"),
    "shape": ({"pos": GOOD.ravel(), "neg": GOOD}, "expected integers (N, 3)"),
    "dtype": ({"pos": GOOD.astype(float), "neg": GOOD}, "expected integers (N, 3)"),
}


@pytest.mark.parametrize("kind", BAD_SAMPLES)
def test_event_files(cli: Cli, study: Path, events: Path, kind: str) -> None:
    arrays, words = BAD_SAMPLES[kind]
    for path in sorted(events.rglob("*.npz")):
        sample(path, **arrays)
    said = launch(cli, study)
    assert words in said
    assert "class" in said, "the file is named"


def test_event_files_that_are_no_npz(cli: Cli, study: Path, events: Path) -> None:
    for path in sorted(events.rglob("*.npz")):
        path.write_text("torn")
    assert "cannot be read" in launch(cli, study)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "class9/gone.npz 1 200 254",
            "trainlabel.txt names 1 files that are missing, first events/train/class9/gone.npz",
        ),
        (
            "class0/class0_1.npz",
            "trainlabel.txt:21: 'class0/class0_1.npz': expected file, class, height, width",
        ),
        ("class0/class0_1.npz 0 0 254", "trainlabel.txt:21: image of 0 x 254: at most 254"),
    ],
)
def test_label_files(cli: Cli, study: Path, events: Path, line: str, words: str) -> None:
    with (events / "trainlabel.txt").open("a") as file:
        file.write(f"{line}\n")
    assert words.replace("events/", f"{events.resolve()}/") in launch(cli, study)


def test_no_label_file(cli: Cli, study: Path, events: Path) -> None:
    (events / "trainlabel.txt").unlink()
    assert "neither trainlabel.txt nor trainlabel.csv is there" in cli("check", study).line


def noise(path: Path, size: tuple[int, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)).save(path)


def test_images_that_are_bad_are_set_aside_and_counted(cli: Cli, tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    noise(images / "cat" / "good.png", (40, 30, 3))
    noise(images / "cat" / "grey.png", (40, 30))
    noise(images / "cat" / "pixel.png", (1, 1, 3))
    noise(images / "dog" / "line.png", (1, 40, 3))
    (images / "dog" / "text.jpg").write_text("no image")
    (images / "dog" / "empty.png").write_bytes(b"")
    Image.new("L", (40, 30), 128).save(images / "dog" / "flat.png")
    said = cli("data", "convert", "odg", images, out, "--workers", "1")
    assert said.code == 0, said.err
    assert "5 bad" in said.out
    reasons = dict(line.split("\t") for line in (out / "quarantine.tsv").read_text().splitlines())
    assert {Path(path).name for path in reasons} == {
        "pixel.png",
        "line.png",
        "text.jpg",
        "empty.png",
        "flat.png",
    }
    assert "1 pixel" in reasons[str(images / "cat" / "pixel.png")]
    assert "0 events, fewer than the 1000" in reasons[str(images / "dog" / "flat.png")]
    assert "is not an image" in reasons[str(images / "dog" / "text.jpg")]
    assert [line.split()[0] for line in (out / "trainlabel.txt").read_text().splitlines()] == [
        "class0/class0_1.npz",
        "class0/class0_2.npz",
    ]
    again = cli("data", "convert", "odg", images, out, "--workers", "1")
    assert "0 converted, 2 there already, 5 bad" in again.out


def test_clips_that_are_bad_are_set_aside_and_counted(cli: Cli, tmp_path: Path) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    for number in range(6):
        noise(clips / "v_Kick_g01_c01" / f"f{number}.png", (9, 12))
        noise(clips / "v_Kick_g02_c01" / f"f{number}.png", (9 + number, 12))
    noise(clips / "v_Jump_g01_c01" / "f0.png", (9, 12))
    (clips / "v_Jump_g02_c01").mkdir()
    (clips / "v_Jump_g03_c01").mkdir()
    (clips / "v_Jump_g03_c01" / "f0.png").write_text("no image")
    (clips / "v_Jump_g03_c01" / "f1.png").write_text("no image")
    said = cli("data", "convert", "video", clips, out, "--workers", "1")
    assert said.code == 0, said.err
    assert "1 converted, 0 there already, 4 bad" in said.out
    reasons = (out / "quarantine.tsv").read_text()
    for words in (
        "1 frames: needs at least 2",
        "no frames",
        "is not an image",
        "the clip's first frame (9, 12)",
    ):
        assert words in reasons


def test_folders_that_hold_nothing_to_convert(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    for kind, words in (("odg", "no images; expected"), ("video", "no clips; expected")):
        for folder in (tmp_path, tmp_path / "none", tmp_path / "a.png"):
            assert words in cli("data", "convert", kind, folder, tmp_path / "out", "--workers", "1").line
    noise(tmp_path / "images" / "cat" / "good.png", (40, 30, 3))
    (tmp_path / "file").write_text("mine")
    said = cli("data", "convert", "odg", tmp_path / "images", tmp_path / "file", "--workers", "1").line
    assert "cannot write" in said
    assert (
        "workers"
        in cli("data", "convert", "odg", tmp_path / "images", tmp_path / "o", "--workers", "-1").line
    )
