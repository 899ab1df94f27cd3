"""Forecasting pipelines: seeds, restarts, overfitting, baselines by hand, missing inputs, constraints."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.contracts import Batch, DatasetCard, Job, Learner, pipelines, registry
from harness.contracts.data import ArraySplit
from harness.datasets.series.series_windows import WindowOptions, WindowSplit
from harness.errors import HarnessError, IncompatibleError
from harness.pipelines.forecasting.forecast_common import RATIOS
from harness.pipelines.forecasting.forecast_snn import ForecastSNN
from harness.train.task import Task
from harness.trial import DatasetRef, Objective, Phase, State, TrialSpec, freeze
from tests.train.attempts import run

L, H, C = 16, 4, 2
CARD = DatasetCard("toy", "1", "forecasting", "nlc", (L, C), (24, 8, 8), horizon=H, variates=C)
TRAINED = ("forecast-snn", "forecast-ann")
TRIVIAL = ("persistence", "window-mean", "train-mean", "nlinear-ridge")
SMALL = {
    "batch_size": 8,
    "net.hidden": 16,
    "net.heads": 2,
    "net.wide": 16,
    "net.depth": 1,
    "optimizer.lr": 0.01,
}


def series(rows: int = 60) -> np.ndarray:
    t = np.arange(rows)[:, None]
    noise = np.random.default_rng(0).normal(size=(rows, C))
    return (np.sin(t * 0.7 + np.arange(C)) + 0.05 * noise).astype(np.float32)


def split(count: int = 24, first: int = 0) -> WindowSplit:
    index = np.arange(first, first + count)
    return WindowSplit(series(), index, WindowOptions(window=L, horizon=H))


def learner(name: str, *, seed: int = 1, epochs: int = 3, **values: Any) -> Learner:
    pipeline = pipelines()[name]()
    own = {**(SMALL if name in TRAINED else {}), **values}
    params = pipeline.build_params(own)
    made = pipeline.learner(Job(params, CARD, torch.device("cpu"), seed, epochs, 3, {}))
    made.begin(pipeline.stages(params, epochs, seed)[0])
    return made


def epoch(of: Learner, number: int) -> float:
    of.before_epoch(number)
    if of.fit(split()):
        return 0.0
    order = np.random.default_rng(number).permutation(24)
    total = 0.0
    for start in range(0, 24, 8):
        for optimizer in of.optimizers:
            optimizer.zero_grad()
        loss = of.loss(split().batch(order[start : start + 8]))
        loss.backward()
        for optimizer in of.optimizers:
            optimizer.step()
        total += loss.item()
    of.after_epoch(number)
    return total


def outputs(of: Learner, data: WindowSplit | None = None) -> torch.Tensor:
    data = split(8, 24) if data is None else data
    of.model.eval()
    with torch.no_grad(), of.evaluating():
        found = of.predict(data.batch(np.arange(len(data))))
    of.model.train()
    return found


def curve(of: Learner) -> list[float]:
    return [value for e in range(3) for value in (epoch(of, e), float(outputs(of).double().sum()))]


@pytest.mark.parametrize("name", [*TRAINED, *TRIVIAL])
def test_same_seed_same_curve(name):
    assert curve(learner(name)) == curve(learner(name))
    if name in TRAINED:
        assert curve(learner(name)) != curve(learner(name, seed=2))


@pytest.mark.parametrize("name", [*TRAINED, *TRIVIAL])
def test_saved_and_loaded_in_mid_run(name):
    missing = {"missing.ratio": 0.3, "missing.scope": "both"}
    whole = learner(name, **missing)
    epoch(whole, 0)
    saved = io.BytesIO()
    torch.save(whole.state_dict(), saved)
    saved.seek(0)
    again = learner(name, **missing)
    again.load_state_dict(torch.load(saved, weights_only=False))
    assert [epoch(whole, 1), outputs(whole).tolist()] == [epoch(again, 1), outputs(again).tolist()]


@pytest.mark.parametrize("backbone", ["tcn", "gru", "itransformer"])
@pytest.mark.parametrize("neuron", ["lif", "ts-lif", None])
def test_learns_eight_windows(backbone, neuron):
    """Far below the variance of the targets; binary gates of 8 windows jump about, and do not reach zero.

    Which step is below differs between processors: rounding turns a spike, a spike the curve.
    """
    values: dict[str, Any] = {"net.backbone": backbone, "optimizer.lr": 0.02}
    if neuron is not None:
        values |= {"neuron.name": neuron, "neuron.v_threshold": 0.5}
    if neuron == "lif" and backbone == "gru":  # with its whole input a LIF fires at once: no memory
        values |= {"neuron.decay_input": True, "neuron.tau": 4.0, "net.hidden": 32}
    of = learner("forecast-snn" if neuron else "forecast-ann", **values)
    batch = split(8).batch(np.arange(8))
    losses = []
    for _ in range(300):
        for optimizer in of.optimizers:
            optimizer.zero_grad()
        loss = of.loss(batch)
        losses.append(loss.item() / float(batch.y.var()))
        if losses[-1] < 0.1:
            return
        loss.backward()
        torch.nn.utils.clip_grad_norm_(of.model.parameters(), 1.0)
        for optimizer in of.optimizers:
            optimizer.step()
    pytest.fail(f"the least loss is {min(losses):.2f} of the variance")


@pytest.mark.parametrize("name", TRAINED)
def test_batches_of_different_size_and_a_second_network(name):
    of = learner(name)
    start = copy.deepcopy(learner(name).model.state_dict())
    for count in (8, 3, 5):
        of.loss(split().batch(np.arange(count))).backward()
    epoch(of, 0)
    again = learner(name).model.state_dict()
    assert all(torch.equal(start[key], again[key]) for key in start)


def test_persistence_window_mean_and_train_mean_by_hand():
    data = split(8, 24)
    batch = data.batch(np.arange(8))
    expected = {
        "persistence": batch.x[:, -1:].expand(-1, H, -1),
        "window-mean": batch.x.mean(1, keepdim=True).expand(-1, H, -1),
        "train-mean": torch.from_numpy(series()[: 24 + L].mean(0)).expand(8, H, -1),
    }
    for name, wanted in expected.items():
        of = learner(name)
        assert of.fit(split())
        torch.testing.assert_close(outputs(of, data), wanted)


def test_nlinear_finds_a_linear_law_and_shrinks_with_its_penalty():
    rows = np.zeros((300, C), dtype=np.float32)
    rows[:2] = [[1.0, -1.0], [0.5, 2.0]]
    for t in range(2, 300):  # a slow wave, exactly linear in its two last values
        rows[t] = 1.98 * rows[t - 1] - rows[t - 2]
    data = WindowSplit(rows, np.arange(200), WindowOptions(window=L, horizon=H))
    later = WindowSplit(rows, np.arange(220, 240), WindowOptions(window=L, horizon=H))
    weak = learner("nlinear-ridge", ridge=1e-9)
    weak.fit(data)
    torch.testing.assert_close(outputs(weak, later), later.batch(np.arange(20)).y, atol=1e-2, rtol=1e-3)
    strong = learner("nlinear-ridge", ridge=1000.0)
    strong.fit(data)
    weights = [of.model.get_buffer("weight")[:-1].norm() for of in (weak, strong)]
    assert weights[1] < 0.1 * weights[0]


def test_nlinear_is_the_solution_of_its_normal_equations():
    of = learner("nlinear-ridge", ridge=0.01)
    of.fit(split())
    batch = split().batch(np.arange(24))
    last = batch.x[:, -1:]
    x = (batch.x - last).double().transpose(1, 2).reshape(-1, L).numpy()
    y = (batch.y - last).double().transpose(1, 2).reshape(-1, H).numpy()
    full = np.hstack([x, np.ones((len(x), 1))])
    penalty = np.diag([0.01 * (x**2).sum(0).mean()] * L + [0.0])
    wanted = np.linalg.solve(full.T @ full + penalty, full.T @ y)
    np.testing.assert_allclose(of.model.get_buffer("weight").numpy(), wanted, rtol=1e-5, atol=1e-7)


def test_a_split_of_another_kind_gives_the_mean_of_its_windows():
    x = np.random.default_rng(0).normal(size=(30, L, C)).astype(np.float32)
    y = np.zeros((30, H, C), dtype=np.float32)
    of = learner("train-mean")
    of.fit(ArraySplit(x, y, np.arange(30)))
    torch.testing.assert_close(of.model.get_buffer("mean"), torch.from_numpy(x.mean((0, 1))))


@pytest.mark.parametrize("name", ["forecast-snn", "persistence", "nlinear-ridge"])
def test_missing_inputs_are_hidden_where_the_scope_says(name):
    quick = {"neuron.v_threshold": 0.3} if name in TRAINED else {}

    def hidden(**missing: Any) -> tuple[bool, bool]:
        of = learner(name, **quick, **{f"missing.{key}": value for key, value in missing.items()})
        plain = learner(name, **quick)
        for either in (of, plain):
            either.before_epoch(0)
            either.fit(split())
        if name in TRAINED:  # running statistics, so that neurons fire in evaluation
            curve(plain)
            of.load_state_dict(plain.state_dict())
            of.before_epoch(1)
        batch = split().batch(np.arange(8))
        in_training = not torch.equal(of.predict(batch), plain.predict(batch))
        return in_training, not torch.equal(outputs(of), outputs(plain))

    assert hidden(ratio=0.0, scope="both") == (False, False)
    if name == "nlinear-ridge":  # fitted on hidden inputs, so it differs everywhere
        assert hidden(ratio=0.6, scope="test") == (False, True)
    else:
        assert hidden(ratio=0.6, scope="test") == (False, True)
        assert hidden(ratio=0.6, scope="both") == (True, True)


def test_masks_are_those_of_the_seed_and_every_evaluation_has_the_same():
    values = {"missing.ratio": 0.5}
    of = learner("persistence", **values)
    assert torch.equal(outputs(of), outputs(of))
    assert not torch.equal(outputs(of), outputs(learner("persistence", seed=2, **values)))


def test_the_curve_of_missing_shares():
    data = split(8, 24)

    def batches() -> list[Batch]:
        return [data.batch(np.arange(8))]

    of = learner("persistence", **{"missing.curve": True})
    with of.evaluating():
        found = of.extra_metrics(batches)
    assert list(found) == [f"r2@missing={ratio:g}" for ratio in RATIOS]
    y = batches()[0].y.double()
    error = (outputs(of).double() - y).square().sum()
    wanted = 1 - float(error / (y - y.mean()).square().sum())
    assert found["r2@missing=0"] == pytest.approx(wanted)
    assert learner("persistence").extra_metrics(batches) == {}


def test_stability_is_a_constraint_and_a_metric():
    pipeline = pipelines()["forecast-snn"]()

    def margin(**constants: Any) -> float:
        values = {f"neuron.{key}": value for key, value in constants.items()}
        return pipeline.constraints(pipeline.build_params(values))[0]

    assert margin(name="ts-lif") < 0
    assert margin(name="ts-lif", a1=0.9, a2=0.5, b1=0.5, b2=0.9) > 0
    assert margin(name="lif") == -1.0
    metrics = learner("forecast-snn", **{"neuron.name": "ts-lif"}).epoch_metrics()
    assert metrics["spectral_radius"] == pytest.approx(0.91879, abs=1e-4)
    assert metrics["ts/a1"] == pytest.approx(0.8)
    assert learner("forecast-snn").epoch_metrics() == {}


def test_published_configuration_is_one_of_the_pipeline():
    pipeline = pipelines()["forecast-snn"]()
    for name in ("electricity", "metr-la", "pems-bay", "solar"):
        card = DatasetCard(name, "1", "forecasting", "nlc", (12, 2), (1, 1, 1), horizon=6, variates=2)
        found = pipeline.published(card)
        assert found is not None
        params = pipeline.build_params(found)
        assert params.net.readout == "scalar"
    assert pipeline.published(CARD) is None


@pytest.mark.parametrize("name", [*TRAINED, *TRIVIAL])
def test_fits_a_card_or_says_why_not(name):
    pipeline = pipelines()[name]()
    assert pipeline.incompatible(CARD) is None
    other = DatasetCard("d", "1", "classification", "nc", (4,), (1, 1, 1), classes=2)
    assert "'d' is classification" in (pipeline.incompatible(other) or "")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("missing.ratio", 1.5, "outside"),
        ("missing.scope", "train", "unknown value"),
        ("net.backbone", "tnc", "Did you mean 'tcn'"),
        ("neuron.nam", "lif", "Did you mean 'neuron.name'"),
        ("neuron.name", "tslif", "Did you mean 'ts-lif'"),
        ("net.encoder", "none", "unknown value"),
    ],
)
def test_wrong_parameters_are_one_line(name, value, message):
    with pytest.raises(HarnessError, match=message):
        pipelines()["forecast-snn"].build_params({name: value})


def test_constants_that_let_membranes_grow_are_refused_before_anything_trains(tmp_path: Path) -> None:
    """At load where they are given, as a failed trial of no epoch where a search proposes them."""
    unstable = {"neuron.name": "ts-lif", "neuron.a1": 1.0, "neuron.b1": 1.5, "neuron.b2": 1.5}
    known = registry.dataset("tmy3")
    options = {"window": 24, "horizon": 6, "stride": 50, "eval_stride": 50}
    card = known(known.Options(**options)).card()
    with pytest.raises(IncompatibleError, match=r"membranes grow without end with neuron\.a1 1,") as caught:
        ForecastSNN().validate(ForecastSNN.build_params(unstable), card)
    assert caught.value.names == ("neuron.a1", "neuron.a2", "neuron.b1", "neuron.b2")
    ForecastSNN().validate(ForecastSNN.build_params({"neuron.name": "ts-lif"}), card)
    ref = DatasetRef("tmy3", card.revision, tuple(options.items()))
    spec = TrialSpec(ref, "forecast-snn", freeze(unstable), 1, Phase.SEARCH, 2, (Objective("r2", True),))
    rows, end = run(Task("s", "c", spec, 0, 1, str(tmp_path)))
    assert end is not None
    assert (end.state, end.reason, end.epochs, rows) == (State.FAILED, "misfit", 0, [])
