"""What keeping a network costs a final trial."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.store.models import Models
from harness.train import loop
from harness.train.task import Task
from harness.trial import DatasetRef, Objective, Phase, TrialSpec
from tests.train.attempts import run

SHARE = 0.02


def test_keeping_costs_at_most_two_percent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.contracts import registry

    params = registry.pipeline("direct").schema().resolve({"timesteps": 4, "batch_size": 25})
    spent: list[float] = []
    real = loop.keep_model

    def timed(*arguments: object) -> dict[str, str]:
        begun = time.perf_counter()
        found = real(*arguments)  # type: ignore[arg-type]
        spent.append(time.perf_counter() - begun)
        return found

    monkeypatch.setattr(loop, "keep_model", timed)
    walls = []
    for seed in range(2):
        spec = TrialSpec(
            dataset=DatasetRef("digits"),
            pipeline="direct",
            params=tuple(params.items()),
            seed=seed,
            phase=Phase.FINAL,
            epochs=4,
            objectives=(Objective("accuracy", True),),
        )
        _, end = run(Task("s", "digits/direct", spec, seed, 1, str(tmp_path), keep=True))
        assert end is not None
        walls.append(end.wall_s)
    shares = [keeping / wall for keeping, wall in zip(spent, walls, strict=True)]
    assert min(shares) <= SHARE, f"{shares} of {walls} s"
    assert Models(tmp_path, "s").size()[0] == 2
