"""The versioned columns of the three tables. A new metric never changes them; a new column raises VERSION.

``trials`` has one row an attempt, ``epochs`` one row a measured number, ``studies`` one row a launch.
Searched parameters are further columns of ``trials``, named ``param.<dotted name>``.
"""

from __future__ import annotations

import pyarrow as pa

VERSION = 1
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
    metadata={"harness_table": "trials", "harness_schema": str(VERSION)},
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
    metadata={"harness_table": "epochs", "harness_schema": str(VERSION)},
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
    metadata={"harness_table": "studies", "harness_schema": str(VERSION)},
)

TABLES = {"trials": TRIALS, "epochs": EPOCHS, "studies": STUDIES}
