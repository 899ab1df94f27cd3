"""Shared stages: an artifact is trained by whoever needs it first and paid for by all."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.contracts.pipeline import Stage
from harness.ids import content_id
from harness.trial import DatasetRef

if TYPE_CHECKING:
    from harness.train.loop import TrialLoop


def adopt(run: TrialLoop, stage: Stage) -> bool:
    """Take a shared artifact over and pay its training time in the total.

    False where there is none, or one that does not fit: it is trained again then.
    """
    if stage.artifact is None or stage.epochs == 0:
        return False
    with run.clocks.running("checkpoint"):
        found = run.checkpoints.load_artifact(_artifact_id(run, stage))
    if found is None:
        return False
    before = copy.deepcopy(run.learner.state_dict())
    try:
        seconds, cpu_seconds = float(found["train_s"]), float(found["train_cpu_s"])
        run.learner.load_state_dict(found["learner"])
    except Exception:  # what strange keys and shapes raise is of many types
        run.learner.load_state_dict(before)
        return False
    progress = run.progress
    progress.inherited_s += seconds
    progress.inherited_cpu_s += cpu_seconds
    progress.stage_train_s[stage.name] = seconds
    if stage.pretrain:
        progress.pretrain_s += seconds
        progress.pretrain_cpu_s += cpu_seconds
    progress.done += stage.epochs
    return True


def publish(run: TrialLoop, stage: Stage) -> None:
    """Store what a shared stage made, with what it cost."""
    if stage.artifact is None or stage.epochs == 0:
        return
    with run.clocks.running("checkpoint"):
        mine = [row for row in run.progress.rows if row.stage == stage.name]
        cpu = mine[-1].train_cpu_s - _before(run, stage) if mine else 0.0
        run.checkpoints.save_artifact(
            _artifact_id(run, stage),
            {
                "learner": run.learner.state_dict(),
                "train_s": run.progress.stage_train_s.get(stage.name, 0.0),
                "train_cpu_s": cpu,
            },
        )


def _artifact_id(run: TrialLoop, stage: Stage) -> str:
    ref = run.spec.dataset if stage.dataset is None else DatasetRef(stage.dataset)
    return artifact_id(stage, {**ref.content(), "revision": run.cards[ref.name].revision})


def _before(run: TrialLoop, stage: Stage) -> float:
    earlier = [row.train_cpu_s for row in run.progress.rows if row.stage != stage.name]
    return earlier[-1] if earlier else 0.0


def artifact_id(stage: Stage, dataset: Mapping[str, Any]) -> str:
    """The identity of a shared artifact: its data, and the content that the stage declares."""
    content = dict(stage.artifact or ())
    return content_id(
        {"stage": stage.name, "epochs": stage.epochs, "dataset": dict(dataset), "content": content}
    )
