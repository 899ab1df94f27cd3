"""The pipeline `delays`: the paper's sizes, schedules and constants, and what its learner leaves alone."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from harness.contracts import Batch, DatasetCard, Events, Job, Stage, registry
from harness.errors import HarnessError, IncompatibleError
from harness.layers.delay import delay_layers
from harness.models.delays import DelayNet, LinearSynapses, SequenceDropout
from harness.pipelines.delays.delays import Delays, DelaysLearner
from harness.pipelines.delays.delays_params import EPOCHS, PUBLISHED
from harness.space import Scalar

CARDS = {
    "shd": ("events", (700,), 20, 1400.0),
    "ssc": ("events", (700,), 35, 1000.0),
    "gsc": ("ntc", (101, 140), 35, 1000.0),
    "small": ("events", (20,), 3, 200.0),
}


def card(name: str) -> DatasetCard:
    layout, shape, classes, duration = CARDS[name]
    return DatasetCard(
        name=name,
        revision="1",
        task="classification",
        layout=layout,
        shape=shape,
        counts=(8, 4, 4),
        classes=classes,
        duration_ms=duration,
    )


def learner(name: str, epochs: int = 4, seed: int = 7, **values: Scalar) -> DelaysLearner:
    own = dict(PUBLISHED.get(name, {}))
    named = {key.replace("__", "."): value for key, value in values.items()}
    params = Delays.build_params(own | named)
    job = Job(params, card(name), torch.device("cpu"), seed, epochs, 1, {name: card(name)})
    made = Delays().learner(job)
    made.begin(Stage("train", epochs))
    return made


SMALL = {"network__width": 6, "channel_group": 2, "delay__max": 5, "batch_size": 4}


def batch(count: int = 4, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    per = 60
    time = np.sort(rng.integers(0, 200_000, (count, per)), axis=1).ravel()
    tensors = [
        torch.from_numpy(array.astype(np.int64))
        for array in (time, rng.integers(0, 20, count * per), np.repeat(np.arange(count), per))
    ]
    return Batch(Events(*tensors, count, (20,), 200_000), torch.arange(count) % 3)


def parameters(made: DelaysLearner) -> int:
    return sum(p.numel() for p in made.model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("shd", {}, 214_016),
        ("shd", {"delay__schedule": "constant"}, 214_016),
        ("shd", {"delay__kind": "fixed"}, 107_520),
        ("shd", {"delay__kind": "none"}, 107_520),
        ("shd", {"delay__kind": "dense"}, 2_662_400 + 1_024),
        ("shd", {"delay__train_weights": False}, 107_520),
        ("ssc", {"network__depth": 2}, 705_536),
        ("ssc", {"network__depth": 2, "delay__elements": 2}, 1_409_024),
        ("ssc", {}, 1_230_848),
        ("gsc", {}, 1_230_848),
        ("gsc", {"delay__elements": 2}, 2_458_624),
    ],
)
def test_trainable_parameters_are_the_papers(name: str, values: Mapping[str, Scalar], wanted: int) -> None:
    assert parameters(learner(name, **values)) == wanted


SHD = [
    (0, 2.00e-4, 0.9500, 1.00e-1, 12.0),
    (1, 2.06e-4, 0.9499, 1.00e-1, 10.7836),
    (36, 4.62e-3, 0.8579, 8.64e-2, 0.2559),
    (37, 4.71e-3, 0.8561, 8.57e-2, 0.2300),
    (44, 5.00e-3, 0.8500, 8.02e-2, 0.2300),
    (75, 4.00e-3, 0.8700, 5.00e-2, 0.2300),
    (149, 2.00e-8, 0.9500, 1.10e-5, 0.2300),
]
SSC = [
    (1, 2.41e-4, 0.9491, 9.99e-2, 11.3536),
    (14, 4.64e-3, 0.8575, 8.72e-2, 0.3039),
    (15, 4.84e-3, 0.8534, 8.54e-2, 0.2300),
    (17, 5.00e-3, 0.8500, 8.15e-2, 0.2300),
    (30, 3.91e-3, 0.8718, 5.00e-2, 0.2300),
    (59, 2.00e-8, 0.9500, 6.85e-5, 0.2300),
]
GSC = [
    (1, 2.14e-4, 0.9497, 1.00e-1, 12.6916),
    (24, 4.66e-3, 0.8572, 8.64e-2, 0.2718),
    (25, 4.78e-3, 0.8546, 8.54e-2, 0.2300),
    (29, 5.00e-3, 0.8500, 8.06e-2, 0.2300),
    (50, 3.97e-3, 0.8706, 5.00e-2, 0.2300),
    (99, 2.00e-8, 0.9500, 2.47e-5, 0.2300),
]


@pytest.mark.parametrize(("name", "table"), [("shd", SHD), ("ssc", SSC), ("gsc", GSC)])
def test_schedules_are_the_papers(name: str, table: list[tuple[float, ...]]) -> None:
    """Values in force during the epoch, as the loop would set them."""
    made = learner(name, EPOCHS[name], network__width=3)
    for optimizer in made.optimizers:
        optimizer.step()
    found = {}
    for epoch in range(EPOCHS[name]):
        made.before_epoch(epoch)
        weights, positions = (optimizer.param_groups[0] for optimizer in made.optimizers)
        sigma = float(delay_layers(made.model)[0].sigma)
        found[epoch] = (weights["lr"], weights["betas"][0], positions["lr"], sigma)
        made.after_epoch(epoch)
    for epoch, *wanted in table:
        assert found[epoch] == pytest.approx(wanted, rel=6e-3, abs=1e-9), epoch


def test_groups_and_decay_are_the_papers() -> None:
    made = learner("shd")
    weights, positions = made.optimizers
    assert [group["weight_decay"] for group in weights.param_groups] == [1e-5, 0.0]
    assert [len(group["params"]) for group in weights.param_groups] == [3, 4]
    assert isinstance(weights, torch.optim.Adam)
    assert positions.param_groups[0]["weight_decay"] == 0.0
    assert made.model.spec.decay == pytest.approx(0.004975, abs=1e-6)
    assert learner("ssc", network__width=3).model.spec.decay == pytest.approx(1 / 3)


def test_the_neuron_decays_by_one_minus_one_over_tau() -> None:
    """Not exp(-1/tau): that would be 0.37."""
    neuron = learner("shd", network__width=3).model.blocks[0].neuron
    assert neuron.decay() == pytest.approx(0.004975, abs=1e-6)
    x = torch.zeros(3, 1, 1)
    x[0], x[1] = 0.9, 0.99
    assert neuron(x).flatten().tolist() == [0.0, 0.0, 0.0]
    x[1] = 1.0 - 0.0044
    assert neuron(x).flatten().tolist() == [0.0, 1.0, 0.0]
    u = torch.zeros(1, requires_grad=True)
    neuron(1.0 + u.view(1, 1)).sum().backward()
    assert u.grad.item() == pytest.approx(2.5)


def test_surrogate_is_atan_of_alpha_five() -> None:
    neuron = learner("shd", network__width=3).model.blocks[0].neuron
    u = torch.tensor([0.3], requires_grad=True)
    neuron((1.0 + u).view(1, 1)).sum().backward()
    assert u.grad.item() == pytest.approx(2.5 / (1 + (np.pi / 2 * 5 * 0.3) ** 2), rel=1e-5)


def test_no_delays_has_no_kernel_at_all() -> None:
    made = learner("shd", delay__kind="none")
    assert not delay_layers(made.model)
    assert isinstance(made.model.readout, LinearSynapses)
    assert len(made.optimizers) == 1
    assert made.epoch_metrics() == {}
    assert made.model(torch.rand(9, 2, 140)).shape == (2, 20)
    assert made.model.membrane(torch.rand(9, 2, 140)).shape[0] == 9


def test_fixed_delays_stay_where_they_are() -> None:
    made = learner("small", delay__kind="fixed", **SMALL)
    before = [layer.position.clone() for layer in delay_layers(made.model)]
    run_epoch(made, 0)
    for layer, position in zip(delay_layers(made.model), before, strict=True):
        assert torch.equal(layer.position, position)
        assert torch.equal(position, position.round())


def run_epoch(made: DelaysLearner, epoch: int) -> float:
    made.before_epoch(epoch)
    for optimizer in made.optimizers:
        optimizer.zero_grad()
    loss = made.loss(batch(seed=epoch))
    loss.backward()
    for optimizer in made.optimizers:
        optimizer.step()
    made.after_step()
    made.after_epoch(epoch)
    return float(loss.detach())


def test_time_grows_by_half_a_kernel_a_layer() -> None:
    made = learner("shd", network__width=8)
    assert made.model.membrane(torch.rand(100, 2, 140)).shape == (136, 2, 20)


def test_epoch_metrics_follow_the_positions() -> None:
    made = learner("small", epochs=2, **SMALL)
    run_epoch(made, 0)
    first = made.epoch_metrics()
    assert first["sigma"] == pytest.approx(2.0)
    assert 0.0 < first["position_move"] < 1.0
    assert 0.0 < first["share_at_longest_delay"] < 1.0
    assert not any(name.startswith("delay_share") for name in first)
    run_epoch(made, 1)
    last = made.epoch_metrics()
    shares = [value for name, value in last.items() if name.startswith("delay_share/")]
    assert len(shares) == 5
    assert sum(shares) == pytest.approx(1.0)


def test_evaluation_leaves_the_training_state_alone() -> None:
    made = learner("small", **SMALL)
    run_epoch(made, 0)
    before = {key: value.clone() for key, value in made.model.state_dict().items()}
    made.model.eval()
    with torch.no_grad(), made.evaluating():
        whole = made.predict(batch())
        again = made.predict(batch(seed=1))
    assert torch.equal(
        torch.stack(list(map(torch.sum, before.values()))),
        torch.stack(list(map(torch.sum, made.model.state_dict().values()))),
    )
    with torch.no_grad():
        assert not torch.equal(made.predict(batch()), whole)
    assert not torch.equal(whole, again)


@pytest.mark.parametrize("augment", ["none", "tn+cutmix"])
@pytest.mark.parametrize("kind", ["none", "fixed", "learned", "dense"])
def test_saved_and_loaded_mid_run_gives_the_same_curve(kind: str, augment: str) -> None:
    def fresh() -> DelaysLearner:
        return learner("small", delay__kind=kind, augment=augment, network__dropout=0.0, **SMALL)

    whole = fresh()
    losses = [run_epoch(whole, epoch) for epoch in range(4)]
    first = fresh()
    assert [run_epoch(first, epoch) for epoch in range(2)] == losses[:2]
    second = fresh()
    second.load_state_dict(first.state_dict())
    assert [run_epoch(second, epoch) for epoch in (2, 3)] == losses[2:]


def test_eight_samples_are_learnt() -> None:
    made = learner(
        "small", epochs=60, network__dropout=0.0, **{**SMALL, "network__width": 32, "optimizer__lr": 3e-3}
    )
    data = batch(8)
    for epoch in range(60):
        made.before_epoch(epoch)
        for optimizer in made.optimizers:
            optimizer.zero_grad()
        made.loss(data).backward()
        for optimizer in made.optimizers:
            optimizer.step()
        made.after_step()
        made.after_epoch(epoch)
    made.model.eval()
    with torch.no_grad(), made.evaluating():
        assert made.predict(data).argmax(1).tolist() == data.y.tolist()


def test_the_last_epochs_can_train_as_evaluated() -> None:
    made = learner("small", epochs=4, delay__whole_fraction=0.5, network__dropout=0.0, **SMALL)
    moves, sigmas = [], []
    for epoch in range(4):
        before = [layer.weight.clone() for layer in delay_layers(made.model)]
        run_epoch(made, epoch)
        assert all(
            not torch.equal(layer.weight, weight)
            for layer, weight in zip(delay_layers(made.model), before, strict=True)
        )
        moves.append(made.epoch_metrics()["position_move"])
        sigmas.append(made.epoch_metrics()["sigma"])
    assert [move > 0 for move in moves] == [True, True, False, False]
    assert sigmas[2:] == [0.0, 0.0]
    assert min(sigmas[:2]) >= 0.23 - 1e-6
    spread = made.loss(batch()).detach()  # the training form is now that of evaluation
    with made.evaluating():
        torch.testing.assert_close(made.loss(batch()).detach(), spread)


def test_positions_alone_can_be_learnt() -> None:
    made = learner("small", delay__train_weights=False, **SMALL)
    weights = [layer.weight.clone() for layer in delay_layers(made.model)]
    run_epoch(made, 0)
    for layer, weight in zip(delay_layers(made.model), weights, strict=True):
        assert torch.equal(layer.weight, weight)
    assert made.epoch_metrics()["position_move"] > 0


def test_sparse_masks_hold_through_training() -> None:
    made = learner("small", network__sparsity=0.5, **SMALL)
    run_epoch(made, 0)
    for layer in delay_layers(made.model):
        assert torch.equal(layer.weight == 0, layer.mask == 0)
    assert "mask" in dict(
        learner("small", delay__kind="none", network__sparsity=0.5, **SMALL).model.readout.named_buffers()
    )


def test_dropout_holds_one_mask_a_sequence() -> None:
    torch.manual_seed(0)
    out = SequenceDropout(0.5)(torch.ones(5, 3, 40))
    assert torch.equal(out, out[:1].expand_as(out))
    assert set(out.unique().tolist()) == {0.0, 2.0}


def test_readouts() -> None:
    made = learner("small", **SMALL)
    x, length = torch.rand(10, 4, 10), torch.tensor([10, 5, 3, 0])
    net: DelayNet = made.model.eval()
    total = net(x, length).detach()
    assert total.sum(1).tolist() == pytest.approx(
        [16.0] * 4
    )  # every step's softmax adds up to one: 10 + 3 * 2
    for readout in ("mean", "max"):
        net.spec = dataclasses.replace(net.spec, readout=readout)
        assert net(x).shape == (4, 3)
    net.spec = dataclasses.replace(net.spec, readout="sum", mask_padding=True)
    assert net(x, length).sum(1).tolist() == pytest.approx([16.0, 11.0, 9.0, 6.0])


def test_padding_by_recording_does_not_depend_on_the_batch() -> None:
    made = learner("small", padding="recording", binning="grid", timestep_ms=10.0, **SMALL)
    frames, length = made.inputs(batch())
    assert frames.shape == (20, 4, 10)
    assert int(length.max()) <= 20


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"delay__max": 30}, r"delay\.max 30 allows delays of 29 timesteps \(290 ms\), longer than"),
        ({"channel_group": 3}, "channel_group 3 does not divide the 20 channels"),
        ({"timestep_ms": 7.0, "padding": "recording"}, "timestep_ms 7 does not divide the 200 ms"),
        ({"timestep_ms": 0.12345}, "not a positive whole number of microseconds"),
    ],
)
def test_what_does_not_fit_the_data_is_one_line(values: dict[str, Scalar], message: str) -> None:
    with pytest.raises(IncompatibleError, match=message):
        learner("small", **(SMALL | values))


@pytest.mark.parametrize("taps", [0, -1, 2.5])
def test_taps_are_whole_and_positive(taps: float) -> None:
    with pytest.raises(HarnessError, match=r"delay\.max"):
        Delays.build_params({"delay.max": taps})


def test_published_start_points_are_complete_and_valid() -> None:
    pipeline = Delays()
    schema = Delays.schema()
    for name in ("shd", "ssc", "gsc"):
        values = pipeline.published(card(name))
        assert values is not None
        complete = schema.resolve(values)
        assert {key: complete[key] for key in values} == dict(values)
    assert pipeline.published(card("small")) is None
    assert pipeline.incompatible(card("shd")) is None
    assert "takes channels over time" in (
        pipeline.incompatible(dataclasses.replace(card("shd"), layout="nchw")) or ""
    )
    assert registry.pipeline("delays") is Delays


def test_same_seed_same_curve_and_another_seed_another() -> None:
    def curve(seed: int) -> list[float]:
        torch.manual_seed(0)  # dropout draws from torch's generator, which the loop seeds by epoch
        made = learner("small", seed=seed, **SMALL)
        return [run_epoch(made, epoch) for epoch in range(3)]

    assert curve(7) == curve(7)
    assert curve(7) != curve(8)


def test_a_second_network_starts_from_the_same_constants() -> None:
    first = learner("small", **SMALL)
    start = {key: value.clone() for key, value in first.model.state_dict().items()}
    for epoch in range(3):
        run_epoch(first, epoch)
    second = learner("small", **SMALL).model.state_dict()
    assert all(torch.equal(value, second[key]) for key, value in start.items())


def test_batches_of_different_size_follow_one_another() -> None:
    made = learner("small", **SMALL)
    made.before_epoch(0)
    for count in (5, 1, 3):
        made.loss(batch(count)).backward()
        with torch.no_grad(), made.evaluating():
            assert made.predict(batch(count)).shape == (count, 3)


def test_recordings_without_a_spike_are_allowed() -> None:
    empty = torch.empty(0, dtype=torch.int64)
    nothing = Batch(Events(empty, empty, empty, 3, (20,), 200_000), torch.arange(3))
    for padding in ("batch", "recording"):
        made = learner("small", padding=padding, binning="grid", **SMALL)
        made.before_epoch(0)
        assert torch.isfinite(made.loss(nothing).detach())


def test_dense_sequences_train_too() -> None:
    made = learner("gsc", network__width=4, network__depth=1, delay__max=5)
    made.before_epoch(0)
    x = Batch(torch.randn(2, 101, 140), torch.arange(2))
    made.loss(x).backward()
    assert made.model.membrane(made.inputs(x)[0]).shape == (105, 2, 35)
