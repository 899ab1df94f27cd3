"""pipe-s and pipe-d: what is inherited, frozen, swapped, forgotten, shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.contracts.registry import pipeline
from harness.errors import HarnessError, IncompatibleError
from harness.models.network import neurons_of
from harness.neurons.analog import LeakyReLU, ReLU, SharpenedReLU, window
from harness.neurons.liaf import LIAF
from harness.neurons.lif import LIF
from harness.neurons.plif import PLIF
from harness.pipelines.pretraining._transfer import mean_over_inputs
from tests.pipelines.bench import FRAMES, IMAGES, Run


def state(run: Run) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in run.learner.model.state_dict().items()}


def through(run: Run, *names: str) -> None:
    """Run the named stages."""
    for stage in run.stages:
        if stage.name in names:
            run.learner.begin(stage)
            for epoch in range(stage.epochs):
                run.epoch(stage, epoch)


def kinds(run: Run) -> set[type]:
    return {type(neuron) for neuron in neurons_of(run.learner.model)}


# -- pipe-s ---------------------------------------------------------------------------------------


def test_stages_of_pipe_s() -> None:
    first, second = Run("pipe-s", IMAGES, epochs=7).stages
    assert (first.name, first.epochs, first.pretrain) == ("sharpen", 2, True)
    assert (second.name, second.epochs, second.pretrain) == ("finetune", 7, False)
    assert first.artifact
    assert second.artifact is None


def test_everything_is_inherited_with_its_statistics() -> None:
    run = Run("pipe-s", IMAGES)
    through(run, "sharpen")
    assert kinds(run) == {SharpenedReLU}
    before = state(run)
    run.learner.begin(run.stages[1])
    assert kinds(run) == {LIF}
    after = state(run)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert before["norm.running_mean"].abs().sum() > 0


@pytest.mark.parametrize("inherit", [True, False])
def test_momentum_is_a_switch(inherit: bool) -> None:
    run = Run("pipe-s", IMAGES, inherit_momentum=inherit, **{"optimizer.lr": 0.03})
    through(run, "sharpen")
    weight = run.learner.model.get_parameter("conv.weight")
    buffer = run.learner.optimizers[0].state[weight]["momentum_buffer"].clone()
    run.learner.begin(run.stages[1])
    held = run.learner.optimizers[0].state.get(weight, {}).get("momentum_buffer")
    assert (held is not None) == inherit
    assert held is None or torch.equal(held, buffer)
    assert run.learner.optimizers[0].param_groups[0]["lr"] == 0.03, "the rate is the second stage's"


def test_the_window_narrows_and_evaluation_is_hard() -> None:
    run = Run("pipe-s", IMAGES, **{"sharpen.epochs": 4})
    stage = run.stages[0]
    run.learner.begin(stage)
    for epoch in range(4):
        run.learner.before_epoch(epoch)
        for unit in neurons_of(run.learner.model):
            assert unit.window == pytest.approx(window(epoch + 1, 4))
            assert not unit.hard
        with run.learner.evaluating():
            assert all(unit.hard for unit in neurons_of(run.learner.model))
    metrics = run.learner.extra_metrics(lambda: [run.splits[IMAGES.name].batch(torch.arange(8).numpy())])
    assert 0 <= metrics["accuracy_analog"] <= 1
    assert not any(unit.hard for unit in neurons_of(run.learner.model))


def test_the_window_follows_the_threshold() -> None:
    run = Run("pipe-s", IMAGES, **{"neuron.v_threshold": 2.0, "sharpen.epochs": 2})
    run.learner.begin(run.stages[0])
    run.learner.before_epoch(0)
    unit = neurons_of(run.learner.model)[0]
    assert unit.window == pytest.approx((1.0, 3.0))
    assert unit.v_threshold == 2.0


@pytest.mark.parametrize(("activation", "kind"), [("relu", ReLU), ("relu1", ReLU), ("leaky-relu", LeakyReLU)])
def test_ablation_without_sharpening(activation: str, kind: type) -> None:
    run = Run("pipe-s", IMAGES, **{"sharpen.activation": activation})
    through(run, "sharpen")
    assert kinds(run) == {kind}
    assert run.learner.extra_metrics(list) == {}
    run.learner.begin(run.stages[1])
    assert kinds(run) == {LIF}


@pytest.mark.parametrize("part", ["encoder", "decoder", "none"])
def test_partial_inheritance(part: str) -> None:
    run = Run("pipe-s", IMAGES, inherit=part)
    through(run, "sharpen")
    before = state(run)
    run.learner.begin(run.stages[1])
    for key, value in state(run).items():
        if key.endswith(("weight",)) and "norm" not in key:
            decoder = key.startswith("head.")
            kept = part != "none" and decoder == (part == "decoder")
            assert torch.equal(value, before[key]) == kept, key


def test_arms_share_an_ann_where_its_content_is_the_same() -> None:
    def artifact(**params: Any) -> Any:
        return Run("pipe-s", IMAGES, **params).stages[0].artifact

    base = artifact()
    assert artifact(**{"optimizer.lr": 0.3, "timesteps": 9, "neuron.tau": 3.0}) == base
    assert artifact(seed=2) != base
    for change in ({"sharpen.optimizer.lr": 0.3}, {"network.width": 5}, {"batch_size": 4}):
        assert artifact(**change) != base
    assert artifact(**{"neuron.v_threshold": 1.0}) != base


# -- pipe-d ---------------------------------------------------------------------------------------


def test_stages_of_pipe_d() -> None:
    stages = Run("pipe-d", FRAMES, epochs=7).stages
    assert [stage.name for stage in stages] == ["ann", "warmup", "liaf", "lif"]
    assert [stage.epochs for stage in stages] == [2, 1, 1, 7]
    assert [stage.pretrain for stage in stages] == [True, False, False, False]
    assert [stage.selects for stage in stages][1:] == [False, False, True]


def test_ann_sees_images_of_one_channel_rebuilt_from_the_events() -> None:
    run = Run("pipe-d", FRAMES)
    run.learner.begin(run.stages[0])
    batch = run.splits[FRAMES.name].batch(torch.arange(4).numpy())
    image = run.learner.sequence(batch)  # type: ignore[attr-defined]
    assert image.shape == (1, 4, 1, 10, 10)
    expected = batch.x[:, :, 0].sum(1) - batch.x[:, :, 1].sum(1)  # type: ignore[index]
    torch.testing.assert_close(image[0, :, 0], expected)
    assert run.learner.model.get_parameter("conv.weight").shape[1] == 1
    assert kinds(run) == {ReLU}


def test_the_first_layer_is_swapped_and_alone_in_the_warmup() -> None:
    run = Run("pipe-d", FRAMES)
    through(run, "ann")
    before = state(run)
    warmup = run.stages[1]
    run.learner.begin(warmup)
    assert kinds(run) == {LIAF}
    start = state(run)
    assert start["conv.weight"].shape[1] == 2
    assert all(torch.equal(start[key], before[key]) for key in before if key != "conv.weight")
    run.epoch(warmup, 0)
    after = state(run)
    changed = {key for key in after if not torch.equal(after[key], start[key])}
    weights = {key for key in changed if "running" not in key and "tracked" not in key}
    assert weights == {"conv.weight"}
    assert "norm.running_mean" in changed, "statistics go on adapting"
    run.learner.begin(run.stages[2])
    assert all(parameter.requires_grad for parameter in run.learner.model.parameters())
    run.learner.begin(run.stages[3])
    assert kinds(run) == {LIF}


@pytest.mark.parametrize("first_layer", ["random", "mean"])
def test_the_new_first_layer(first_layer: str) -> None:
    run = Run("pipe-d", FRAMES, **{"warmup.first_layer": first_layer})
    through(run, "ann")
    old = state(run)["conv.weight"]
    run.learner.begin(run.stages[1])
    new = state(run)["conv.weight"]
    assert torch.equal(new, old.expand_as(new)) == (first_layer == "mean")


def test_mean_over_channels_by_hand() -> None:
    old = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1)
    assert mean_over_inputs(old, torch.zeros(1, 2, 1, 1)).flatten().tolist() == [3.0, 3.0]  # type: ignore[union-attr]
    assert mean_over_inputs(old, torch.zeros(2, 2, 1, 1)) is None


def test_a_static_source_is_another_data_set() -> None:
    run = Run("pipe-d", FRAMES, **{"source.kind": "static", "source.dataset": IMAGES.name})
    assert run.stages[0].dataset == IMAGES.name
    assert all(torch.tensor(run.curve()).isfinite())
    with pytest.raises(HarnessError, match=r"source\.dataset is empty"):
        Run("pipe-d", FRAMES, **{"source.kind": "static"})


def test_a_learned_decay_reaches_the_spiking_network() -> None:
    run = Run("pipe-d", FRAMES, **{"neuron.name": "plif"})
    through(run, "ann", "warmup", "liaf")
    decays = [neuron.w.item() for neuron in neurons_of(run.learner.model)]
    assert len(set(decays)) > 1, "they have been trained"
    run.learner.begin(run.stages[3])
    assert kinds(run) == {PLIF}
    assert [neuron.w.item() for neuron in neurons_of(run.learner.model)] == decays


def test_no_warmup_still_swaps_the_first_layer() -> None:
    run = Run("pipe-d", FRAMES, **{"warmup.epochs": 0, "liaf.epochs": 0})
    through(run, "ann", "warmup", "liaf", "lif")
    assert state(run)["conv.weight"].shape[1] == 2
    assert all(parameter.requires_grad for parameter in run.learner.model.parameters())


@pytest.mark.parametrize("part", ["encoder", "decoder", "none"])
def test_partial_transfer_to_events(part: str) -> None:
    run = Run("pipe-d", FRAMES, inherit=part)
    through(run, "ann")
    before = state(run)
    run.learner.begin(run.stages[1])
    after = state(run)
    for key in ("head.weight", "blocks.0.conv1.weight"):
        kept = part != "none" and key.startswith("head.") == (part == "decoder")
        assert torch.equal(after[key], before[key]) == kept, key


def test_frames_are_a_static_source_of_the_crnn() -> None:
    """ES-UCF101: an ANN of CNN and LSTM on frames, each through the encoder with rectifiers."""
    settings = {"network.name": "crnn", "network.scale": 32, "source.dataset": "toy-video"}
    run = Run("pipe-d", FRAMES, **{"source.kind": "static", **settings})
    run.learner.begin(run.stages[0])
    batch = run.splits["toy-video"].batch(torch.arange(4).numpy())
    assert run.learner.sequence(batch).shape == (4, 4, 3, 10, 10)  # type: ignore[attr-defined]
    assert all(torch.tensor(run.curve()).isfinite())


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_partial_transfer_from_liaf_to_lif(part: str) -> None:
    run = Run("pipe-d", FRAMES, **{"liaf.inherit": part})
    through(run, "ann", "warmup", "liaf")
    before = state(run)
    run.learner.begin(run.stages[3])
    after = state(run)
    for key in ("head.weight", "conv.weight", "blocks.0.conv1.weight"):
        kept = key.startswith("head.") == (part == "decoder")
        assert torch.equal(after[key], before[key]) == kept, key


# -- checkpoints ------------------------------------------------------------------------------------


def test_a_checkpoint_stands_for_the_first_stage(tmp_path: Path) -> None:
    run = Run("pipe-s", IMAGES)
    through(run, "sharpen")
    torch.save({"model": run.learner.model.state_dict()}, tmp_path / "ann.pt")
    other = Run("pipe-s", IMAGES, seed=5, **{"sharpen.checkpoint": str(tmp_path / "ann.pt")})
    other.learner.begin(other.stages[0])
    assert all(torch.equal(value, state(run)[key]) for key, value in state(other).items())


def test_a_checkpoint_that_does_not_fit_lists_the_difference(tmp_path: Path) -> None:
    torch.save(Run("pipe-s", IMAGES, **{"network.width": 5}).learner.model.state_dict(), tmp_path / "a.pt")
    run = Run("pipe-s", IMAGES, **{"sharpen.checkpoint": str(tmp_path / "a.pt")})
    with pytest.raises(IncompatibleError) as caught:
        run.learner.begin(run.stages[0])
    line = str(caught.value)
    assert "a.pt" in line
    assert "conv.weight has shape (5, 1, 3, 3), the network (4, 1, 3, 3)" in line
    assert "\n" not in line


@pytest.mark.parametrize("content", ["absent", "text", "list"])
def test_what_is_no_checkpoint(tmp_path: Path, content: str) -> None:
    path = tmp_path / "b.pt"
    if content == "text":
        path.write_text("no checkpoint")
    elif content == "list":
        torch.save([1, 2], path)
    run = Run("pipe-d", FRAMES, **{"source.checkpoint": str(path)})
    with pytest.raises(IncompatibleError, match=r"b\.pt") as caught:
        run.learner.begin(run.stages[0])
    assert "\n" not in str(caught.value)


def test_a_restored_state_that_differs_is_a_misfit() -> None:
    run, other = Run("direct", IMAGES), Run("direct", IMAGES, **{"network.width": 5})
    for one in (run, other):
        one.learner.begin(one.stages[0])
    with pytest.raises(IncompatibleError, match="differences"):
        run.learner.load_state_dict(other.learner.state_dict())


def test_convert_shares_its_ann_between_recipes() -> None:
    def artifact(**params: Any) -> Any:
        return Run("convert", IMAGES, **params).stages[0].artifact

    assert artifact(recipe="max") == artifact(recipe="balanced", timesteps=64)
    assert artifact(**{"optimizer.lr": 0.1}) != artifact()
    assert pipeline("convert")().incompatible(FRAMES)
