"""Fixtures that every area shares: a private cache, the toy plug-in, one Ray cluster a session."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from harness.engine.pool import RayEngine
from harness.studyfile.load import load_study
from harness.studyfile.values import ClusterSpec, StudySpec

torch.set_num_threads(1)
TOY = Path(__file__).with_name("toy.py")
MakeStudy = Callable[..., StudySpec]

STUDY = """
name: toy
plugins: [{plugin}]
cells:
  - dataset: toy-points
    pipelines:
      - {{name: toy, label: a}}
      - {{name: toy, label: b, set: {{width: 4}}}}
space:
  lr: {{float: [1.0e-3, 1.0], log: true}}
fixed: {{batch_size: 8}}
search: {{sampler: tpe, pruner: {pruner}, trials: {trials}, epochs: {epochs}, startup: 2}}
confirm: {{top: 2, seeds: 1}}
final: {{seeds: 2}}
checkpoint_every: 2
"""


@pytest.fixture(autouse=True, scope="session")
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Prepared data of tests goes to a folder of their own, unless CI gave one."""
    os.environ.setdefault("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def study_text() -> Callable[..., str]:
    """The toy study as text: two cells, ``trials`` each."""

    def make(trials: int = 4, epochs: int = 4, pruner: str = "median", more: str = "") -> str:
        text = STUDY.format(plugin=TOY, trials=trials, epochs=epochs, pruner=pruner)
        return text + textwrap.dedent(more)

    return make


@pytest.fixture
def make_study(tmp_path: Path, study_text: Callable[..., str]) -> MakeStudy:
    """Load the toy study, with overrides."""

    def make(*overrides: str, **options: object) -> StudySpec:
        path = tmp_path / "toy.yaml"
        path.write_text(study_text(**options))
        return load_study(path, overrides)

    return make


@pytest.fixture(scope="session")
def ray_engine() -> Iterator[RayEngine]:
    """One local Ray cluster for all tests: two CPUs and two logical GPUs, loopback only, no dashboard."""
    with RayEngine(ClusterSpec(cpus=2, gpus=2, logical_gpus=True)) as engine:
        engine.capacity()  # waits until Ray is there
        yield engine
