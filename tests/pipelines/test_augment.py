"""Random views in the pipelines: training alone, seeded, resumable, refused where they make no sense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.contracts import Batch, DatasetCard, Events
from harness.contracts.registry import pipeline
from harness.errors import HarnessError, IncompatibleError
from harness.pipelines.pretraining._network import NetworkLearner
from tests.pipelines import test_contract
from tests.pipelines.bench import FRAMES, IMAGES, SEQUENCES, VECTORS, VIDEO, Run, card, split

ON: dict[str, Any] = {"augment.shift": 1, "augment.flip": "horizontal", "augment.crop": 0.5}
EVERY = (
    ("direct", IMAGES),
    ("direct", FRAMES),
    ("pipe-s", IMAGES),
    ("convert", IMAGES),
    ("pipe-d", FRAMES),
    ("ann", VIDEO),
)


def on(name: str) -> dict[str, Any]:
    """Views in every stage."""
    return ON | ({f"source.{key}": value for key, value in ON.items()} if name == "pipe-d" else {})


NAMES = [f"{name} {of.name}" for name, of in EVERY]


@pytest.mark.parametrize(("name", "of"), EVERY, ids=NAMES)
def test_off_draws_nothing_and_on_changes_the_curve(name: str, of: DatasetCard) -> None:
    off = Run(name, of)
    before = None
    for stage in off.stages[:1]:
        off.learner.begin(stage)
        off.learner.before_epoch(0)
        assert isinstance(off.learner, NetworkLearner)
        before = off.learner.views.get_state()
        batch = split(of).batch(np.arange(8))
        assert torch.equal(off.learner.loss(batch), off.learner.criterion(off.learner.predict(batch), batch))
        assert torch.equal(off.learner.views.get_state(), before)
    assert Run(name, of, **on(name)).curve() != Run(name, of).curve()


@pytest.mark.parametrize(("name", "of"), EVERY, ids=NAMES)
def test_evaluation_sees_the_samples_as_they_are(name: str, of: DatasetCard) -> None:
    plain, views = Run(name, of), Run(name, of, **on(name))
    for run in (plain, views):
        run.learner.begin(run.stages[0])
    assert torch.equal(plain.outputs(plain.stages[0]), views.outputs(views.stages[0]))
    again = views.outputs(views.stages[0])
    assert torch.equal(again, views.outputs(views.stages[0]))


@pytest.mark.parametrize(("name", "of"), EVERY, ids=NAMES)
def test_same_seed_same_curve_another_seed_another_crop(
    name: str, of: DatasetCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with_views(monkeypatch)
    test_contract.test_same_seed_same_curve(name, of)
    one, two = Run(name, of, **on(name)), Run(name, of, seed=2, **on(name))
    two.learner.model.load_state_dict(one.learner.model.state_dict())
    drawn = []
    for run in (one, two):
        run.learner.begin(run.stages[0])
        run.learner.before_epoch(0)
        drawn.append(run.learner.loss(split(of).batch(np.arange(8))).item())
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(("name", "of"), EVERY, ids=NAMES)
def test_resumed_in_mid_run_the_curve_is_the_same(
    name: str, of: DatasetCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with_views(monkeypatch)
    test_contract.test_saved_and_loaded_in_mid_run_the_curve_is_the_same(name, of)


def run_with_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract's runs, with random views on."""
    monkeypatch.setattr(test_contract, "Run", lambda name, of, **more: Run(name, of, **{**on(name), **more}))


def test_an_epoch_s_views_differ_from_the_one_before() -> None:
    run = Run("ann", IMAGES, **ON)
    run.learner.begin(run.stages[0])
    batch = split(IMAGES).batch(np.arange(8))
    losses = []
    for epoch in (0, 1, 0):
        run.learner.before_epoch(epoch)
        losses.append(run.learner.loss(batch).item())
    assert losses[0] == losses[2] != losses[1]


def test_sparse_events_are_moved_once_they_are_frames() -> None:
    sensor = card("events", (2, 10, 10), "toy-events")
    unit = torch.arange(200)
    events = Events(unit * 5, unit, torch.zeros(200, dtype=torch.long), 1, (2, 10, 10), 1000)
    batch = Batch(events, torch.zeros(1, dtype=torch.long))
    run = Run("direct", IMAGES, **{"augment.shift": 3})
    learner = run.learner
    assert isinstance(learner, NetworkLearner)
    learner.job = type(learner.job)(**{**fields(learner.job), "card": sensor})
    learner.model = learner.new_network(sensor, run.params.neuron.build)
    learner.begin(run.stages[0])
    learner.before_epoch(0)
    moved = learner.augment(learner.sequence(batch), learner.views, time_major=True)
    assert moved.shape == learner.sequence(batch).shape
    assert 0 < float(moved.sum()) <= 200
    assert torch.isfinite(learner.loss(batch))


def fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def test_pipe_d_has_views_of_its_own_for_its_ann() -> None:
    run = Run("pipe-d", FRAMES, **{"source.augment.shift": 2, "augment.flip": "horizontal"})
    found = []
    for stage in run.stages:
        run.learner.begin(stage)
        found.append((run.learner.augment.shift, run.learner.augment.flip))  # type: ignore[attr-defined]
    assert found == [(2, "none"), *[(0, "horizontal")] * 3]


@pytest.mark.parametrize(
    ("name", "own"), [("pipe-s", "augment"), ("pipe-d", "source.augment"), ("convert", "augment")]
)
def test_an_ann_of_other_views_is_another_artifact(name: str, own: str) -> None:
    kind = pipeline(name)
    plain, views = (
        kind().stages(kind.build_params(settings), 1, 0)[0].artifact for settings in ({}, {f"{own}.shift": 1})
    )
    assert plain != views


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"augment.shift": -1}, "augment.shift: -1 is outside [0, 1024]"),
        ({"augment.shift": 1.5}, "augment.shift: 1.5 is a number, not a whole number"),
        ({"augment.crop": 0.0}, "augment.crop: 0.0 is outside [0.01, 1]"),
        ({"augment.crop": 2}, "augment.crop: 2.0 is outside [0.01, 1]"),
        ({"augment.flip": "vertical"}, "augment.flip"),
        ({"augment.turn": 3}, "augment.turn"),
    ],
)
def test_bad_values_are_one_line(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(HarnessError) as caught:
        pipeline("direct").build_params(settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("of", [VECTORS, SEQUENCES], ids=["vectors", "sequences"])
def test_what_has_no_pixels_has_no_views(of: DatasetCard) -> None:
    run = Run("ann", of, **{"augment.flip": "horizontal"})
    with pytest.raises(IncompatibleError, match=r"set augment\.shift: 0") as caught:
        run.learner.begin(run.stages[0])
    assert "\n" not in str(caught.value)


def test_a_shift_out_of_the_image() -> None:
    run = Run("ann", IMAGES, **{"augment.shift": 8})
    with pytest.raises(IncompatibleError, match="choose less than 8"):
        run.learner.begin(run.stages[0])
