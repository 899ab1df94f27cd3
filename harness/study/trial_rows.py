"""Between trials and the rows of the tables."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from harness.ids import content_id
from harness.space import Scalar
from harness.train.task import Task
from harness.trial import EpochRow, Phase, State, TrialEnd

_METADATA_COLUMNS = (
    "pretrain_s",
    "pretrain_cpu_s",
    "best_train_s",
    "best_total_s",
    "timesteps",
    "harness",
    "code",
    "parameters",
    "spikes",
    "synops",
    "energy_nj",
    "firing_rate",
    "device",
    "device_name",
    "gpu_share",
    "peak_mib",
    "git",
    "node",
    "started_at",
)


def now() -> datetime:
    """The time of day in UTC."""
    return datetime.now(UTC)


def clocks(measured: EpochRow | TrialEnd) -> dict[str, float]:
    """The training clocks of both tables: own seconds, inherited ones, and the two together."""
    return {
        "train_s": measured.train_s,
        "inherited_s": measured.inherited_s,
        "total_s": measured.train_s + measured.inherited_s,
        "train_cpu_s": measured.train_cpu_s,
        "inherited_cpu_s": measured.inherited_cpu_s,
        "total_cpu_s": measured.train_cpu_s + measured.inherited_cpu_s,
        "data_wait_s": measured.data_wait_s,
    }


def plugin_digests(plugins: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Plug-in files and a hash of the text of each."""
    return {name: hashlib.sha256(text.encode()).hexdigest()[:12] for name, text in plugins}


def config_id(task: Task) -> str:
    """The identity of a configuration, equal for all its seeds and phases."""
    return content_id([task.spec.pipeline, dict(task.spec.params), dict(task.spec.variant)])


def start_row(task: Task, *, label: str, searched: Mapping[str, Scalar], fingerprint: str) -> dict[str, Any]:
    """The row of an attempt that has begun."""
    spec = task.spec
    return {
        "study": task.study,
        "cell": task.cell,
        "label": label,
        "dataset": spec.dataset.name if not spec.dataset.options else task.cell.split("/")[0],
        "dataset_revision": spec.dataset.revision,
        "pipeline": spec.pipeline,
        "phase": spec.phase.value,
        "trial_id": spec.id,
        "number": task.number,
        "attempt": task.attempt,
        "config": config_id(task),
        "seed": spec.seed,
        "params": dict(spec.params),
        "searched": list(searched),
        "variant": dict(spec.variant),
        "state": State.RUNNING.value,
        "reason": "",
        "detail": "",
        "epochs": 0,
        "epochs_planned": spec.epochs,
        "started_at": now(),
        "cpus": task.resources.cpus,
        "gpu_share": task.resources.gpus,
        "exclusive": task.exclusive,
        "node": socket.gethostname(),
        "fingerprint": fingerprint,
        "plugins": plugin_digests(task.plugins),
    }


def end_row(begun: Mapping[str, Any], end: TrialEnd, limits: Sequence[float]) -> dict[str, Any]:
    """The same attempt, ended."""
    metadata = dict(end.metadata)
    columns = {name: metadata.pop(name) for name in _METADATA_COLUMNS if name in metadata}
    packages = metadata.pop("packages", {})
    metadata.pop("cpus", None)
    row = {
        **begun,
        "state": end.state.value,
        "reason": end.reason,
        "detail": end.detail,
        "epochs": end.epochs,
        "best_epoch": end.best_epoch,
        "value": end.values[0] if end.values else None,
        "values": list(end.values),
        "constraints": list(limits),
        "test": dict(sorted(dict(end.test).items())),
        "stage_train_s": dict(end.stage_train_s),
        **clocks(end),
        "eval_s": end.eval_s,
        "prepare_s": end.prepare_s,
        "checkpoint_s": end.checkpoint_s,
        "wall_s": end.wall_s,
        "finished_at": now(),
        "packages": packages,
        "metadata": metadata,
        **columns,
    }
    return row


def epoch_records(rows: Sequence[EpochRow]) -> list[dict[str, Any]]:
    """Epoch rows as records of the epochs table."""
    return [
        {
            "epoch": row.epoch,
            "stage": row.stage,
            "split": row.split,
            "metric": row.metric,
            "value": row.value,
            **clocks(row),
            "eval_s": row.eval_s,
            "wall_s": row.wall_s,
        }
        for row in rows
    ]


def test_value(phase: Phase, test: Mapping[str, float], metric: str) -> float | None:
    """The first objective on the test split, where there is one."""
    return test.get(metric) if phase is Phase.FINAL else None
