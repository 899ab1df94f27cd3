"""From a file to a study that passes check: what inspect sees, and the study file that new writes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from harness.studyfile.load import load_study
from tests.cli.conftest import Cli
from tests.kept.conftest import write_images, write_series

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], 20)
ARRAYS = {
    "images.npz": ({"pixels": RNG.integers(0, 255, (60, 8, 8, 3)).astype(np.uint8), "label": LABELS}, "nhwc"),
    "grey.npz": ({"x": RNG.random((60, 9, 9)), "y": LABELS}, "nhw"),
    "sound.npz": ({"mel": RNG.random((60, 12, 5)), "y": LABELS, "split": np.arange(60) % 3}, "ntc"),
    "frames.npz": ({"x": RNG.random((60, 4, 2, 6, 6)), "y": LABELS.astype(str)}, "ntchw"),
    "rows.npz": ({"x": RNG.random((60, 7)), "y": LABELS}, "nc"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_seen_and_their_line_checks(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arrays, layout = ARRAYS[name]
    np.savez(name, **arrays)
    said = cli("data", "inspect", name)
    assert said.code == 0, said.err
    line = said.out.splitlines()[-1]
    assert line.startswith(f"dataset: {{npz: {name}")
    assert f"layout: {layout}" in line
    assert "3: 0 20, 1 20, 2 20" in said.out
    Path("s.yaml").write_text(
        f"name: s\ncells:\n  - {line}\n    pipelines: [ann]\nspace: "
        f"{{optimizer.lr: {{float: [0.001, 0.01]}}}}\n"
    )
    assert cli("check", "s.yaml").code == 0


def test_pictures_values_splits_and_steps(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image = np.zeros((60, 1, 6, 6), np.uint8)
    image[:, 0, 2] = 200
    np.savez("bars.npz", x=image, y=LABELS)
    out = cli("data", "inspect", "bars.npz").out
    assert "@@@@@@@@@@@@" in out
    assert "0 to 200, mean 33.33; scale: 0.00392157 makes it 0 to 1" in out
    assert "none in the file: a stratified fifth is test" in out
    np.savez("sound.npz", **ARRAYS["sound.npz"][0])
    assert "12 steps" in cli("data", "inspect", "sound.npz").out
    write_series(Path("load.csv"))
    out = cli("data", "inspect", "load.csv").out
    assert "every 3600 seconds" in out
    assert "dataset: {series: load.csv, window: 10, horizon: 2}" in out
    write_images(Path("photos"), ("cat", "dog"))
    assert "dataset: {images: photos, pixels: 16}" in cli("data", "inspect", "photos").out


def test_events(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    offset = np.arange(0, 61 * 5, 5)
    np.savez("ev.npz", t=np.arange(300) % 90, u=np.arange(300) % 12, offset=offset, y=LABELS)
    line = cli("data", "inspect", "ev.npz").out.splitlines()[-1]
    assert line == "dataset: {npz: ev.npz, layout: events, times: t, units: u, offset: offset, shape: [12]}"


@pytest.mark.parametrize(
    ("name", "arrays", "words"),
    [
        ("bare.npz", {"x": np.zeros((4, 2))}, "no array of labels; it holds x (4, 2)"),
        ("alone.npz", {"y": LABELS}, "no array of 60 samples beside the labels"),
        ("deep.npz", {"x": np.zeros((60, 1, 1, 1, 1, 1)), "y": LABELS}, "has 6 axes"),
    ],
)
def test_what_no_reader_takes_is_one_line(
    cli: Cli, tmp_path: Path, name: str, arrays: dict[str, np.ndarray], words: str
) -> None:
    np.savez(tmp_path / name, **arrays)
    assert words in cli("data", "inspect", tmp_path / name).line
    (tmp_path / "x.docx").write_text("")
    assert "no reader for '.docx'" in cli("data", "inspect", tmp_path / "x.docx").line
    assert "no such file" in cli("data", "inspect", tmp_path / "gone.npz").line


@pytest.mark.parametrize(
    ("data", "budget"), [("sound.npz", "quick"), ("load.csv", "normal"), ("digits", "thorough")]
)
def test_a_new_study_passes_check(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, budget: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("sound.npz", **ARRAYS["sound.npz"][0])
    write_series(Path("load.csv"))
    said = cli("new", "study", "--data", data, "--budget", budget, "-o", "mine.yaml")
    assert said.code == 0, said.err
    text = Path("mine.yaml").read_text()
    assert text.startswith("# ")
    assert text.count("#") >= 8
    spec = load_study(Path("mine.yaml"))
    assert spec.name == "mine"
    assert len(spec.cells) >= 2
    assert cli("check", "mine.yaml").code == 0
    assert "is there already" in cli("new", "study", "--data", data, "-o", "mine.yaml").line


def test_wrong_answers_are_one_line(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert "nobody is here to ask: give --data" in cli("new", "study").line
    assert "unknown dataset 'digit'" in cli("new", "study", "--data", "digit").line
    assert "no such file" in cli("new", "study", "--data", "gone.npz").line
    assert "unknown budget 'huge'" in cli("new", "study", "--data", "digits", "--budget", "huge").line
    line = cli("new", "study", "--data", "digits", "--pipelines", "delays").line
    assert "pipeline 'delays'" in line
    assert "These fit: ann, convert, direct" in line
