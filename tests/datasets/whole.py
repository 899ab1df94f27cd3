"""Every split of a data set as one batch, held against its card."""

from __future__ import annotations

import numpy as np

from harness.contracts.data import Batch, Dataset, Events, SplitName

NAMES: tuple[SplitName, ...] = ("train", "valid", "test")


def whole(data: Dataset) -> dict[SplitName, Batch]:
    """The batches by split; events stay sparse."""
    card, arrays = data.card(), data.prepare()
    splits = {name: data.split(arrays, name) for name in NAMES}
    assert tuple(len(splits[name]) for name in NAMES) == card.counts
    batches = {name: split.batch(np.arange(len(split))) for name, split in splits.items()}
    for batch in batches.values():
        assert 0 <= int(batch.y.min()) <= int(batch.y.max()) < card.classes
        shape = batch.x.shape if isinstance(batch.x, Events) else batch.x.shape[1:]
        assert tuple(shape) == card.shape
    return batches
