"""Costs are measured on a fixed share of a split, in a pass of their own that changes no metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.contracts import ArraySplit, Batch, DatasetCard, Job, Learner
from harness.contracts.registry import pipeline
from harness.train.evaluate import LEAST, MOST, SHARE, evaluate, probed
from harness.train.probes import Probe

CARD = DatasetCard("load", "1", "forecasting", "nlc", (12, 2), (8, 4, 4), horizon=3, variates=2)


def learner() -> Learner:
    """A spiking forecaster that hides inputs in evaluation: each pass draws from a generator."""
    kind = pipeline("forecast-snn")
    values = kind.build_params(
        {"net.hidden": 4, "net.wide": 4, "net.depth": 1, "net.heads": 2, "missing.ratio": 0.3,
         "neuron.name": "lif"}
    )  # fmt: skip
    torch.manual_seed(0)
    return kind().learner(Job(values, CARD, torch.device("cpu"), 0, 10, 4, {"load": CARD}))


def split(count: int) -> ArraySplit:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, 12, 2)).astype(np.float32)
    return ArraySplit(x, rng.standard_normal((count, 3, 2)).astype(np.float32), np.arange(count))


@pytest.mark.parametrize("count", [1, 5, LEAST, 100, 1023, 1024, 5000, 20_000, 1_000_000])
def test_which_samples_are_probed(count: int) -> None:
    index = probed(count)
    assert len(set(index.tolist())) == len(index) == min(count, max(LEAST, min(MOST, count // SHARE)))
    assert np.array_equal(index, probed(count)), "always the same"
    assert index.min() == 0
    assert index.max() >= count - 1 - count // len(index)
    assert set(np.diff(index)) <= {count // len(index), count // len(index) + 1}, "evenly spread"


def test_at_most_one_sample_in_64_is_counted_where_there_are_enough() -> None:
    """Counting takes up to three forward passes: below a tenth of an evaluation."""
    for count in range(1024, 100_000, 997):
        assert 4 * len(probed(count)) <= 0.1 * count


def test_metrics_do_not_depend_on_the_probe_and_costs_are_of_those_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, of = learner(), split(100)
    counted: list[Batch] = []
    predict = made.predict

    def watched(batch: Batch) -> Any:
        if any(module._forward_hooks for module in made.model.modules()):
            counted.append(batch)
        return predict(batch)

    monkeypatch.setattr(made, "predict", watched)
    plain, whole = evaluate(made, of, CARD, 10, probe=False), evaluate(made, of, CARD, 10)
    assert made.model.training
    assert {name: whole[name] for name in plain} == plain
    x = torch.cat([batch.x for batch in counted if isinstance(batch.x, torch.Tensor)])
    assert torch.equal(x, torch.from_numpy(of.batch(probed(100)).x.numpy()))
    assert [len(batch) for batch in counted] == [10, 6]
    probe = Probe()
    with torch.no_grad(), made.evaluating(), probe.watching(made.model.eval()):
        for batch in counted:
            predict(batch)
    probe.samples = LEAST
    assert {name: whole[name] for name in probe.metrics()} == probe.metrics()
    assert {"synops", "spikes", "energy_nj", "firing_rate", "timesteps"} <= set(whole) - set(plain)
