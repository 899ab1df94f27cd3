"""What the pipelines of networks keep: seeds, restarts, overfitting, any batch size."""

from __future__ import annotations

import copy
import io

import pytest
import torch

from harness.contracts import DatasetCard
from tests.pipelines.bench import CARDS, FRAMES, IMAGES, SEQUENCES, VECTORS, VIDEO, Run, split

SUITS: dict[str, tuple[DatasetCard, ...]] = {
    "ann": (IMAGES, VECTORS, SEQUENCES, FRAMES, VIDEO),
    "direct": (IMAGES, VECTORS, SEQUENCES, FRAMES, VIDEO),
    "pipe-s": (IMAGES, VECTORS),
    "pipe-d": (FRAMES,),
    "convert": (IMAGES, VECTORS),
}
EVERY = [(name, of) for name, cards in SUITS.items() for of in cards]
ONE = [(name, cards[0]) for name, cards in SUITS.items()]
pytestmark = pytest.mark.parametrize(("name", "of"), ONE, ids=[name for name, _ in ONE])


def test_same_seed_same_curve(name: str, of: DatasetCard) -> None:
    first = Run(name, of).curve()
    assert first == Run(name, of).curve()
    assert first != Run(name, of, seed=2).curve()


def test_saved_and_loaded_in_mid_run_the_curve_is_the_same(name: str, of: DatasetCard) -> None:
    """Every cut: after each epoch of each stage a fresh learner goes on from the saved state."""
    whole = Run(name, of).curve()
    cuts = [(s, e) for s, stage in enumerate(Run(name, of).stages) for e in range(1, stage.epochs + 1)]
    for cut_stage, cut_epoch in cuts:
        curve = []
        run = Run(name, of)
        for number, stage in enumerate(run.stages):
            run.learner.begin(stage)
            for epoch in range(stage.epochs):
                curve += [run.epoch(stage, epoch), float(run.outputs(stage).double().sum())]
                if (number, epoch + 1) == (cut_stage, cut_epoch):
                    saved = io.BytesIO()
                    torch.save(run.learner.state_dict(), saved)
                    saved.seek(0)
                    run = Run(name, of)
                    for earlier in run.stages[: number + 1]:
                        run.learner.begin(earlier)
                    run.learner.load_state_dict(torch.load(saved, weights_only=False))
        assert curve == whole, f"cut after epoch {cut_epoch} of stage {cut_stage}"


def test_overfits(name: str, of: DatasetCard) -> None:
    more = {"timesteps": 128} if name == "convert" else {"network.width": 8}
    run = Run(name, of, epochs=60 if name == "pipe-s" else 25, **{"schedule.name": "constant", **more})
    run.curve()
    assert run.accuracy(run.stages[-1]) == 1.0


def test_batches_of_different_sizes_after_one_another(name: str, of: DatasetCard) -> None:
    run = Run(name, of)
    run.learner.begin(run.stages[0])
    data = split(of)
    for count in (8, 3, 8, 2):
        run.step(data.batch(torch.arange(count).numpy()))


def test_a_second_network_starts_from_the_same_constants(name: str, of: DatasetCard) -> None:
    start = copy.deepcopy(Run(name, of).learner.model.state_dict())
    Run(name, of).curve()
    second = Run(name, of).learner.model.state_dict()
    assert all(torch.equal(second[key], start[key]) for key in start)


@pytest.mark.parametrize("other", [*CARDS.values()], ids=[*CARDS])
def test_fits_a_card_or_says_why_not(name: str, of: DatasetCard, other: DatasetCard) -> None:
    reason = Run(name, of).pipeline.incompatible(other)
    assert (reason is None) == (other in SUITS[name])
    if reason is None:
        run = Run(name, other, epochs=1)
        assert all(torch.tensor(run.curve()).isfinite())
    else:
        assert other.name in reason


def test_not_for_forecasting(name: str, of: DatasetCard) -> None:
    windows = DatasetCard("w", "1", "forecasting", "nlc", (168, 7), (1, 1, 1), horizon=6, variates=7)
    assert Run(name, of).pipeline.incompatible(windows)
