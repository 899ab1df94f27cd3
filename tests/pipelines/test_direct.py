"""direct and ann: parameters that reach the network, encoders with seeds of their own."""

from __future__ import annotations

import pytest
import torch

from harness.contracts import Batch, Events, neurons
from harness.contracts.registry import pipeline
from harness.errors import HarnessError
from harness.models.network import neurons_of
from tests.pipelines.bench import CLASSES, FRAMES, IMAGES, VECTORS, Run, card, split


def test_every_spiking_neuron_and_liaf_can_be_chosen() -> None:
    (chooser,) = pipeline("direct").schema().find("neuron.name")
    spiking = {name for name, kind in neurons().items() if kind.spiking}
    assert set(chooser.choices) == spiking | {"liaf"}


@pytest.mark.parametrize("neuron", ["if", "lif", "plif", "liaf"])
def test_the_neuron_and_its_constants_are_the_ones_asked_for(neuron: str) -> None:
    run = Run("direct", IMAGES, **{"neuron.name": neuron, "neuron.v_threshold": 0.7})
    found = neurons_of(run.learner.model)
    assert {type(one) for one in found} == {neurons()[neuron]}
    assert all(one.params.v_threshold == 0.7 for one in found)
    weights = run.learner.model.get_submodule("norm").weight
    assert torch.equal(weights, torch.full_like(weights, 0.7)), "tdbn starts at the threshold"


@pytest.mark.parametrize("timesteps", [0, -3])
def test_no_timesteps_is_one_clear_line(timesteps: int) -> None:
    with pytest.raises(HarnessError) as caught:
        Run("direct", IMAGES, timesteps=timesteps)
    line = str(caught.value)
    assert "timesteps" in line
    assert str(timesteps) in line
    assert "\n" not in line


def test_timesteps_are_the_length_of_the_sequence() -> None:
    run = Run("direct", IMAGES, timesteps=5)
    seen: list[torch.Size] = []
    neurons_of(run.learner.model)[0].register_forward_hook(lambda _m, x, _y: seen.append(x[0].shape))
    run.learner.begin(run.stages[0])
    run.step(split(IMAGES).batch(torch.arange(4).numpy()))
    assert seen[0][:2] == (5, 4)


def test_poisson_codes_differ_by_epoch_and_not_in_evaluation() -> None:
    run = Run("direct", VECTORS, **{"encoder.code": "poisson"})
    stage = run.stages[0]
    run.learner.begin(stage)
    batch = split(VECTORS).batch(torch.arange(8).numpy())
    codes = []
    for epoch in (0, 1, 0):
        run.learner.before_epoch(epoch)
        codes.append(run.learner.sequence(batch))  # type: ignore[attr-defined]
    assert torch.equal(codes[0], codes[2])
    assert not torch.equal(codes[0], codes[1])
    assert torch.equal(run.outputs(stage), run.outputs(stage))


def test_an_evaluation_leaves_the_training_codes_alone() -> None:
    streams = []
    for evaluated in (False, True):
        run = Run("direct", VECTORS, **{"encoder.code": "poisson"})
        run.learner.begin(run.stages[0])
        run.learner.before_epoch(0)
        if evaluated:
            run.outputs(run.stages[0])
        streams.append(run.learner.sequence(split(VECTORS).batch(torch.arange(8).numpy())))  # type: ignore[attr-defined]
    assert torch.equal(*streams)


def test_events_are_binned_at_the_trials_timesteps() -> None:
    camera = card("events", (2, 8, 8), "toy-camera")
    run = Run("direct", camera, timesteps=4)
    run.learner.begin(run.stages[0])
    generator = torch.Generator().manual_seed(0)
    sample = torch.arange(6).repeat_interleave(50)
    events = Events(
        torch.randint(0, 1000, (300,), generator=generator),
        torch.randint(0, 128, (300,), generator=generator),
        sample,
        6,
        (2, 8, 8),
        1000,
    )
    batch = Batch(events, torch.arange(6) % CLASSES)
    assert run.learner.sequence(batch).shape == (4, 6, 2, 8, 8)  # type: ignore[attr-defined]
    assert run.step(batch) > 0


def test_ann_sees_events_as_one_frame_and_frames_as_they_are() -> None:
    assert all(not one.spiking for one in neurons_of(Run("ann", IMAGES).learner.model))
    run = Run("ann", FRAMES)
    run.learner.begin(run.stages[0])
    batch = split(FRAMES).batch(torch.arange(4).numpy())
    assert run.learner.sequence(batch).shape == (4, 4, 2, 10, 10)  # type: ignore[attr-defined]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "steps"])
def test_optimisers_and_schedules(optimizer: str, schedule: str) -> None:
    run = Run("direct", VECTORS, epochs=6, **{"optimizer.name": optimizer, "schedule.name": schedule})
    run.learner.begin(run.stages[0])
    rates = []
    for epoch in range(6):
        rates.append(run.learner.optimizers[0].param_groups[0]["lr"])
        run.epoch(run.stages[0], epoch)
    expected = {
        "constant": [1, 1, 1, 1, 1, 1],
        "steps": [1, 1, 0.3, 0.3, 0.09, 0.09],
        "cosine": [1, 0.933, 0.75, 0.5, 0.25, 0.067],
    }[schedule]
    assert rates == pytest.approx([5e-3 * factor for factor in expected], rel=2e-3)


def test_published_settings_are_parameters_of_their_pipeline() -> None:
    for name, data in [
        ("direct", "imagenet"),
        ("pipe-s", "imagenet"),
        ("direct", "es-imagenet"),
        ("pipe-d", "es-imagenet"),
        ("direct", "cifar10-dvs"),
        ("pipe-d", "cifar10-dvs"),
        ("direct", "cifar10-dvs-42"),
        ("pipe-d", "cifar10-dvs-42"),
        ("direct", "es-ucf101"),
        ("pipe-d", "es-ucf101"),
    ]:
        kind = pipeline(name)
        settings = kind().published(card("nchw", (3, 8, 8), data))
        assert settings
        params = kind.build_params(settings)
        assert kind.schema().resolve(settings).items() >= dict(settings).items()
        assert params.batch_size == settings["batch_size"]
    assert pipeline("direct")().published(IMAGES) is None
