"""A study file on fakes, written and edited by tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.contracts.data import DATASETS
from harness.contracts.neuron import NEURONS
from harness.contracts.pipeline import PIPELINES
from harness.studyfile.load import load_study
from harness.studyfile.values import StudySpec

FAKES = (Path(__file__).parent / "fakes.py").read_text()
BASE = """\
name: toy-study
plugins: [./fakes.py]
cells:
  - dataset: toy
    pipelines:
      - toyann
      - {name: toyspike, label: fixed delays, set: {delay.kind: fixed}}
      - {name: toyspike, label: no delays, set: {delay.kind: none}}
space:
  neuron.tau: {float: [1.1, 4.0], log: true}
  delay.max: {int: [5, 31], when: {delay.kind: [fixed, learned]}}
  optimizer.lr: {float: [3.0e-4, 1.0e-2], log: true}
fixed: {timesteps: 4, batch_size: 16}
start: [published]
search: {sampler: tpe, pruner: hyperband, trials: 30, epochs: 15}
confirm: {top: 3, seeds: 3}
final: {seeds: 5}
resources: {cpus: 1, gpus: 0.25}
"""


@pytest.fixture(scope="package", autouse=True)
def _registries_as_before() -> Iterator[None]:
    """Forget the fakes afterwards: tests over every registry entry must not meet them."""
    kinds = (DATASETS, PIPELINES, NEURONS)
    before = [dict(kind.all()) for kind in kinds]
    yield
    for kind, classes in zip(kinds, before, strict=True):
        kind._classes.clear()
        kind._classes.update(classes)
    for name in [name for name in sys.modules if name.startswith("harness_plugin_fakes_")]:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write a study file beside the fakes; its path is relative, as a user types it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fakes.py").write_text(FAKES)

    def _write(text: str) -> Path:
        Path("x.yaml").write_text(text)
        return Path("x.yaml")

    return _write


@pytest.fixture
def load(write: Callable[[str], Path]) -> Callable[..., StudySpec]:
    """Load a study from its text and overrides."""

    def _load(text: str = BASE, *overrides: str) -> StudySpec:
        return load_study(write(text), overrides)

    return _load
