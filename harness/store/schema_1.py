"""Schema 1: JSON text in columns, a column for each searched parameter. Read and turned into schema 2."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from harness.store.columns import flat_texts

PARAM_PREFIX = "param."

_UTC = pa.timestamp("us", tz="UTC")

TRIALS = pa.schema(
    [
        ("study", pa.string()),
        ("cell", pa.string()),  # unique in the study, e.g. "digits/direct"
        ("label", pa.string()),  # what tables print
        ("dataset", pa.string()),
        ("dataset_revision", pa.string()),
        ("pipeline", pa.string()),
        ("phase", pa.string()),  # search, confirm, final
        ("trial_id", pa.string()),
        ("number", pa.int64()),  # order of asking within cell and phase, from 0
        ("attempt", pa.int32()),  # from 1
        ("config", pa.string()),  # id of the parameters alone: equal for all seeds of one configuration
        ("seed", pa.int64()),
        ("params", pa.string()),  # JSON, complete
        ("arm", pa.string()),  # JSON, the cell's own settings
        ("state", pa.string()),  # RUNNING, INTERRUPTED, COMPLETE, PRUNED, FAILED
        ("reason", pa.string()),  # why FAILED, PRUNED or INTERRUPTED; "" otherwise
        ("detail", pa.string()),  # the error's line
        ("epochs", pa.int32()),  # epochs run, over all stages
        ("epochs_planned", pa.int32()),
        ("best_epoch", pa.int32()),  # by validation, counted from 1 over all stages
        ("value", pa.float64()),  # first objective at best_epoch, on validation; null unless measured
        ("values", pa.string()),  # JSON list, all objectives
        ("constraints", pa.string()),  # JSON list, feasible where all <= 0
        ("test_value", pa.float64()),  # first objective on test, at best_epoch (final phase only)
        ("test", pa.string()),  # JSON, all test metrics (final phase only)
        ("train_s", pa.float64()),  # own training clock, all stages and attempts
        ("train_cpu_s", pa.float64()),  # CPU seconds of the process within it
        ("stage_train_s", pa.string()),  # JSON, seconds by stage, inherited ones included
        ("pretrain_s", pa.float64()),  # seconds of pretraining stages, inherited ones included
        ("inherited_s", pa.float64()),  # what shared artifacts cost their first owner
        ("total_s", pa.float64()),  # train_s + inherited_s
        ("best_train_s", pa.float64()),  # own clock plus inherited at best_epoch
        ("eval_s", pa.float64()),
        ("prepare_s", pa.float64()),
        ("checkpoint_s", pa.float64()),
        ("wall_s", pa.float64()),
        ("started_at", _UTC),
        ("finished_at", _UTC),
        ("device", pa.string()),  # cpu or cuda
        ("device_name", pa.string()),  # hardware class: times compare within one only
        ("cpus", pa.int32()),
        ("gpu_share", pa.float64()),
        ("exclusive", pa.bool_()),  # nothing else ran on the device
        ("peak_mib", pa.float64()),
        ("parameters", pa.int64()),  # trainable
        ("spikes", pa.float64()),  # a sample, at best_epoch, on validation
        ("synops", pa.float64()),  # a sample
        ("energy_nj", pa.float64()),  # a sample, an estimate: see facts
        ("firing_rate", pa.float64()),  # mean over neurons and steps
        ("node", pa.string()),
        ("git", pa.string()),
        ("packages", pa.string()),  # JSON
        ("facts", pa.string()),  # JSON: whatever else a pipeline or loop recorded
        ("fingerprint", pa.string()),
    ],
)

EPOCHS = pa.schema(
    [
        ("study", pa.string()),
        ("cell", pa.string()),
        ("trial_id", pa.string()),
        ("attempt", pa.int32()),
        ("epoch", pa.int32()),  # from 1 over all stages; 0 before training
        ("stage", pa.string()),
        ("split", pa.string()),  # train, valid; test in the final phase, under legacy_ names only
        ("metric", pa.string()),  # accuracy, loss, firing_rate/<layer>, ...
        ("value", pa.float64()),
        ("train_s", pa.float64()),  # cumulative over attempts, inherited seconds included
        ("train_cpu_s", pa.float64()),
        ("eval_s", pa.float64()),
        ("wall_s", pa.float64()),
    ],
)

STUDIES = pa.schema(
    [
        ("study", pa.string()),
        ("launch", pa.int32()),  # from 1
        ("launched_at", _UTC),
        ("fingerprint", pa.string()),
        ("parts", pa.string()),  # JSON: what the fingerprint hashes, part by part
        (
            "cells",
            pa.string(),
        ),  # JSON list of {cell, label, dataset, dataset_revision, pipeline, task, chance}
        ("protocol", pa.string()),  # JSON: objectives, limits, target, baseline, budgets, seeds, clock
        ("text", pa.string()),  # the study file
        ("host", pa.string()),
        ("git", pa.string()),
        ("packages", pa.string()),  # JSON
    ],
)

TABLES = {"trials": TRIALS, "epochs": EPOCHS, "studies": STUDIES}
OVERRIDE = "# --set "
Row = Mapping[str, Any]


def upgraded(table: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as this schema has them. What schema 1 did not say is None.

    Raises ValueError for a column whose text is not what it should be.
    """
    upgrade: Callable[[Row], dict[str, Any]] = {"trials": _trial, "epochs": _epoch, "studies": _study}[table]
    return [upgrade(row) for row in rows]


def _trial(row: Row) -> dict[str, Any]:
    found = _map(row, "facts")
    inherited_cpu, own_cpu = found.pop("inherited_cpu_s", None), row["train_cpu_s"]
    if inherited_cpu is None and not row["inherited_s"]:
        inherited_cpu = 0.0
    total_cpu = None if own_cpu is None or inherited_cpu is None else own_cpu + inherited_cpu
    searched = [
        name.removeprefix(PARAM_PREFIX)
        for name, value in row.items()
        if name.startswith(PARAM_PREFIX) and value is not None
    ]
    return {
        **{name: value for name, value in row.items() if not name.startswith(PARAM_PREFIX)},
        "params": _map(row, "params"),
        "searched": searched,
        "variant": _map(row, "arm"),
        "values": _list(row, "values"),
        "constraints": _list(row, "constraints"),
        "test": _map(row, "test"),
        "stage_train_s": _map(row, "stage_train_s"),
        "packages": _map(row, "packages"),
        "pretrain_cpu_s": found.pop("pretrain_cpu_s", None),
        "inherited_cpu_s": inherited_cpu,
        "total_cpu_s": total_cpu,
        "best_train_s": None,
        "best_total_s": row["best_train_s"],
        "timesteps": found.pop("timesteps", None),
        "metadata": found,
    }


def _epoch(row: Row) -> dict[str, Any]:
    """The clocks of schema 1 held inherited seconds as well; how many of them it does not say."""
    return {
        **row,
        "train_s": None,
        "train_cpu_s": None,
        "total_s": row["train_s"],
        "total_cpu_s": row["train_cpu_s"],
    }


def _study(row: Row) -> dict[str, Any]:
    protocol, text = _map(row, "protocol"), row["text"] or ""
    lines = text.splitlines(keepends=True)
    overrides: list[str] = []
    while lines and lines[-1].startswith(OVERRIDE):  # the harness wrote them below the file
        overrides.insert(0, lines.pop().removeprefix(OVERRIDE).rstrip("\n"))
    return {
        **row,
        "parts": flat_texts(_map(row, "parts")),
        "cells": _list(row, "cells"),
        "protocol": {**protocol, "limits": protocol.get("limits") or {}},
        "packages": _map(row, "packages"),
        "overrides": overrides,
        "text": "".join(lines),
        "folder": str(PurePath(str(protocol.get("path") or "")).parent),
    }


def _map(row: Row, name: str) -> dict[str, Any]:
    found: dict[str, Any] = _parsed(row, name, dict)
    return found


def _list(row: Row, name: str) -> list[Any] | None:
    return None if row[name] is None else _parsed(row, name, list)


def _parsed(row: Row, name: str, kind: type[Any]) -> Any:
    found = kind() if row[name] in (None, "") else json.loads(row[name])
    if not isinstance(found, kind):
        raise ValueError(f"{name} is no {kind.__name__}")
    return found
