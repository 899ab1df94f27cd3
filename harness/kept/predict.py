"""Predictions of kept networks on samples, as a table with a row a sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from harness.contracts.data import Split
from harness.errors import HarnessError, NonFiniteError
from harness.kept.network import KeptModel
from harness.kept.samples import Samples
from harness.train.evaluate import batches
from harness.train.metrics import gather

BATCH = 256


def outputs(models: Sequence[KeptModel], split: Split, size: int = BATCH) -> Tensor:
    """The mean over networks of class probabilities (N, classes) or of normalised forecasts (N, H, C).

    Raises NonFiniteError where a network's outputs are no numbers.
    """
    total: Tensor | None = None
    for model in models:
        learner, parts = model.learner, []
        model.eval()
        with torch.no_grad(), model.evaluating():
            for batch in batches(split, size, learner.job.device):
                parts.append(learner.predict(batch))
        out = gather(parts).double()
        if not bool(torch.isfinite(out).all()):
            raise NonFiniteError(
                f"the outputs of {model.card.name} are not finite: look at the samples' values"
            )
        if model.data.task == "classification":
            out = out.softmax(1)
        total = out if total is None else total + out
    assert total is not None
    return total / len(models)


def predict(models: Sequence[KeptModel], samples: Samples, size: int = BATCH) -> pd.DataFrame:
    """A row a sample: ``sample``, then class probabilities or forecasts in the file's units.

    Classes: ``predicted``, ``p.<class>`` (they sum to 1) and, where the file has it, ``label``. Forecasts:
    ``first_row`` that is forecast and ``<variate>+<step>``, steps from 1.
    """
    validate_alike(models)
    model = models[0]
    out = outputs(models, samples.split, size).numpy()
    if model.data.task == "forecasting":
        applied = model.card.applied
        scaled = out * np.array(applied["scale"]) + np.array(applied["shift"])
        names = [str(name) for name in applied["variates"]]
        columns = {
            f"{name}+{step + 1}": scaled[:, step, at]
            for at, name in enumerate(names)
            for step in range(scaled.shape[1])
        }
        return pd.DataFrame({"sample": samples.names, "first_row": samples.first_rows, **columns})
    classes = np.array(model.classes())
    found = {"sample": samples.names, "predicted": classes[out.argmax(1)]}
    found |= {f"p.{name}": out[:, at] for at, name in enumerate(classes)}
    if samples.labelled:
        y = gather([batch.y for batch in batches(samples.split, size, torch.device("cpu"))])
        found["label"] = classes[y.numpy()]
    return pd.DataFrame(found)


def validate_alike(models: Sequence[KeptModel]) -> None:
    """Raise HarnessError where networks of an ensemble do not say the same thing."""
    first = models[0]
    for other in models[1:]:
        for key in ("classes", "variates", "shift", "scale"):
            if other.card.applied.get(key) != first.card.applied.get(key):
                raise HarnessError(
                    f"{first.card.name} and {other.card.name} differ in their {key}: no mean of them."
                )
