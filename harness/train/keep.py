"""A final trial's network, kept: its weights at the best and at the last epoch, and the card."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from torch import Tensor

from harness import __version__
from harness.contracts.choices import active
from harness.store.models import ModelCard, Models, Which
from harness.train import metadata

if TYPE_CHECKING:
    from harness.train.loop import TrialLoop

State = Mapping[str, Tensor]


def last_state(run: TrialLoop) -> State | None:
    """The weights as they are, where they will be kept beside other, better ones."""
    if not run.task.keep or run.progress.best_state is None or run.progress.best_epoch == run.progress.done:
        return None
    return copy.deepcopy(run.learner.model.state_dict())


def keep_model(run: TrialLoop, last: State | None, test: Mapping[str, float]) -> dict[str, str]:
    """Write the network, which has its best weights now, if asked; for the row, why it cannot be kept.

    Raises StoreError where the results root cannot be written.
    """
    if not run.task.keep:
        return {}
    states: dict[Which, State] = {"best": run.learner.model.state_dict()}
    if last is not None:
        states["last"] = last
    try:
        with run.clocks.running("checkpoint"):
            Models(run.task.root, run.task.study).keep(_card(run, test), states)
    except TypeError as error:  # a plug-in's network may keep anything
        return {"model": f"not kept: {error}"}
    return {}


def _card(run: TrialLoop, test: Mapping[str, float]) -> ModelCard:
    task, spec, progress = run.task, run.spec, run.progress
    return ModelCard(
        study=task.study,
        cell=task.cell,
        trial=spec.id,
        seed=spec.seed,
        epochs=progress.done,
        best_epoch=progress.best_epoch,
        pipeline=spec.pipeline,
        params=dict(spec.params),
        variant=dict(spec.variant),
        dataset=spec.dataset.name,
        options=dict(spec.dataset.options),
        data=asdict(run.card),
        cards={name: asdict(card) for name, card in run.cards.items()},
        applied=run.access.applied(),
        objectives=[str(objective) for objective in spec.objectives],
        values=list(progress.best_values),
        test={name: value for name, value in test.items() if math.isfinite(value)},
        threads=task.resources.cpus,
        device=run.device.type,
        code=metadata.code_version(),
        harness=__version__,
        packages=metadata.packages(),
        plugins={name: hashlib.sha256(text.encode()).hexdigest() for name, text in task.plugins},
        fingerprint=task.fingerprint,
        choices=dict(active().taken),
    )
