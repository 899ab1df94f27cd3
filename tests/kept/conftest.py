"""A study whose networks are kept: digits, own arrays, images and series, and the toy plug-in."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from harness.engine.local import LocalEngine
from harness.study import Study
from harness.studyfile.load import load_study
from tests.cli.conftest import cli  # noqa: F401 - a fixture
from tests.conftest import TOY

STUDY = """
name: kept
plugins: [{toy}]
cells:
  - dataset: {{name: digits, pixels: 8}}
    pipelines: [ann, direct]
  - dataset: {{npz: own.npz, x: signal, y: kind, layout: ntc, scale: 0.5}}
    pipelines: [direct]
  - dataset: {{images: photos, pixels: 12}}
    pipelines: [ann]
  - dataset: {{series: load.csv, window: 12, horizon: 3, eval_stride: 2}}
    pipelines:
      - persistence
      - window-mean
      - train-mean
      - nlinear-ridge
      - {{name: forecast-snn, set: {{net.wide: 8}}}}
  - dataset: vowels
    pipelines: [{{name: delays, set: {{network.width: 8, delay.max: 7, neuron.name: lif}}}}]
  - dataset: {{spikes: words.h5}}
    pipelines: [direct]
  - dataset: toy-points
    pipelines: [toy]
space: {{optimizer.lr: {{float: [1.0e-3, 1.0e-2], log: true}}, lr: {{float: [0.01, 0.1]}}}}
fixed: {{timesteps: 3, batch_size: 20, network.width: 4, network.depth: 2}}
search: {{trials: 1, epochs: 2, startup: 1}}
confirm: {{top: 1, seeds: 0}}
final: {{seeds: 2}}
"""
LABELS = np.array([3, 5, 9])


def signals(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences (count, 6, 2) and labels 3, 5, 9 by their mean."""
    rng = np.random.default_rng(seed)
    kind = np.arange(count) % 3
    return rng.normal(size=(count, 6, 2)) + 2.0 * kind[:, None, None], LABELS[kind]


def write_series(path: Path, rows: int = 200) -> None:
    """Hours of two variates in units of their own."""
    step = np.arange(rows)
    stamps = np.datetime64("2026-01-01T00", "h") + step
    load = 500.0 + 100.0 * np.sin(step / 4.0)
    wind = -3.0 + np.cos(step / 7.0)
    lines = [f"{when},{a:.4f},{b:.4f}" for when, a, b in zip(stamps, load, wind, strict=True)]
    path.write_text("time,load,wind\n" + "\n".join(lines) + "\n")


def write_images(folder: Path, classes: tuple[str, ...], count: int = 10) -> None:
    """Noise, brighter by class."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for at, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 100, (16, 16, 3)) + 70 * at
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")


def write_recordings(path: Path, count: int, highest: int = 9) -> None:
    """Spikes on channels up to ``highest`` in SHD's form; the class says which half has more of them."""
    import h5py

    rng = np.random.default_rng(count)
    labels = np.arange(count) % 2
    with h5py.File(path, "w") as file:
        ragged = [h5py.vlen_dtype(np.float16), h5py.vlen_dtype(np.uint16)]
        times = file.create_dataset("spikes/times", (count,), ragged[0])
        units = file.create_dataset("spikes/units", (count,), ragged[1])
        for at, label in enumerate(labels):
            times[at] = np.sort(rng.random(20)).astype(np.float16)
            units[at] = rng.integers(0, 5, 20) + label * (highest - 4)
            if at < 2:
                units[at] = np.append(units[at][:-1], highest)
        file["labels"] = labels


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study's file, its data, and ``results``. Not to be changed."""
    folder = tmp_path_factory.mktemp("kept")
    os.environ.setdefault("HARNESS_CACHE", str(folder / "cache"))
    x, y = signals(90, 0)
    np.savez(folder / "own.npz", signal=x, kind=y)
    write_images(folder / "photos", ("cat", "dog"))
    write_series(folder / "load.csv")
    write_recordings(folder / "words.h5", 60)
    (folder / "study.yaml").write_text(STUDY.format(toy=TOY))
    Study(load_study(folder / "study.yaml"), folder / "results").run(LocalEngine())
    return folder


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder as the working one."""
    monkeypatch.chdir(made)
    return made
