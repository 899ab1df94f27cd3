"""Metrics of kept networks on labelled samples; on a split of the study as the final phase computes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from harness.contracts.choices import Record, recording
from harness.contracts.data import SplitName
from harness.errors import DataError, IncompatibleError
from harness.kept.network import KeptModel
from harness.kept.predict import outputs, validate_alike
from harness.kept.samples import Samples
from harness.store.readings import Readings
from harness.train.access import Access
from harness.train.evaluate import batches
from harness.train.evaluate import evaluate as as_the_loop
from harness.train.metrics import gather, score
from harness.trial import DatasetRef, Phase


def evaluate_split(models: Sequence[KeptModel], root: str, split: SplitName) -> tuple[dict[str, float], int]:
    """Metrics on a split of the study's own data, and how often test was read after the final phase.

    One network is measured as its trial measured it, batches and threads included, so its test metrics are
    those of its row to the last digit. A reading of test is recorded before it happens. Raises DataError
    where the data is not what it was.
    """
    validate_alike(models)
    card = models[0].card
    options = tuple((name, _frozen(value)) for name, value in card.options.items())
    try:
        access = Access(DatasetRef(card.dataset, str(card.data["revision"]), options), Phase.FINAL)
        held = access.open(split)
    except IncompatibleError as error:
        raise DataError(f"{error} Or name a file with --data.") from None
    readings = _read_again(models, root, "the study's test split") if split == "test" else 0
    with _threads(card.threads):
        if len(models) > 1:
            found = score(access.card, outputs(models, held), gather([b.y for b in batches(held, 256, _CPU)]))
        else:
            learner = models[0].learner
            with recording(Record(given=card.choices)):
                found = as_the_loop(learner, held, access.card, learner.job.params.batch_size, probe=False)
            models[0].eval()
    return _numbers(found), readings


def evaluate_samples(
    models: Sequence[KeptModel], samples: Samples, root: str
) -> tuple[dict[str, float], int]:
    """Metrics on a labelled file; if it is the study's own, test is read again: so often, else 0."""
    validate_alike(models)
    if not samples.labelled:
        raise DataError("the samples have no labels to compare with; harness predict needs none.")
    card, readings = models[0].card, 0
    if samples.sha256 and samples.sha256 == card.data.get("sha256"):
        readings = _read_again(models, root, "the study's own file")
    targets = gather([batch.y for batch in batches(samples.split, 256, _CPU)])
    return _numbers(score(models[0].data, outputs(models, samples.split), targets)), readings


def _read_again(models: Sequence[KeptModel], root: str, what: str) -> int:
    card, readings = models[0].card, Readings(root, models[0].card.study)
    readings.add(card.cell, [model.card.trial for model in models], what)
    return readings.count(card.cell)


_CPU = torch.device("cpu")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, count))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _numbers(found: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
