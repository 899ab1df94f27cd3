"""The versioned columns of the three tables. A new metric never changes them; a new column is in ``LATER``.

``trials`` has one row an attempt, ``epochs`` one row a measured number, ``studies`` one row a launch.
Every file that is written has exactly these columns. Columns with a form (:mod:`harness.store.columns`)
hold maps; ``FORMS`` says which. A store of schema 1 is read as well (:mod:`harness.store.schema_1`).
"""

from __future__ import annotations

import pyarrow as pa

from harness.store import columns

VERSION = 2

_UTC = pa.timestamp("us", tz="UTC")
_FLOATS, _NAMES = pa.list_(pa.float64()), pa.list_(pa.string())
_CLOCKS = [
    ("train_s", pa.float64()),  # own training clock, over all stages and attempts of the trial
    ("inherited_s", pa.float64()),  # what shared pretrained artifacts cost their first owner
    ("total_s", pa.float64()),  # the two together: what the network at hand cost
    ("train_cpu_s", pa.float64()),  # the same in CPU seconds of the process
    ("inherited_cpu_s", pa.float64()),
    ("total_cpu_s", pa.float64()),
    ("data_wait_s", pa.float64()),  # of train_s: waiting for a batch
]
_CELL = pa.struct(
    [
        ("cell", pa.string()),
        ("label", pa.string()),
        ("dataset", pa.string()),
        ("dataset_revision", pa.string()),
        ("pipeline", pa.string()),
        ("task", pa.string()),
        ("objectives", _NAMES),
        ("chance", pa.float64()),
        ("classes", pa.int64()),
        ("horizon", pa.int64()),
        ("counts", pa.list_(pa.int64())),
        ("class_names", _NAMES),
        ("notes", _NAMES),  # what a board has to say of the data
    ]
)
_SEARCH = pa.struct(
    [("sampler", pa.string()), ("pruner", pa.string()), ("trials", pa.int64()), ("epochs", pa.int64())]
)
_PROTOCOL = pa.struct(
    [
        ("objectives", _NAMES),
        ("limits", pa.map_(pa.string(), pa.float64())),
        ("target", pa.float64()),
        ("baseline", pa.string()),
        ("search", _SEARCH),
        ("confirm", pa.struct([("top", pa.int64()), ("seeds", pa.int64())])),
        ("final", pa.struct([("seeds", pa.int64()), ("epochs", pa.int64())])),
        ("seed", pa.int64()),
        ("exclusive", pa.string()),
        ("path", pa.string()),
    ]
)

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
        *columns.fields("params", "scalars"),  # complete: every parameter of the pipeline
        ("searched", _NAMES),  # names of those that the search chose
        *columns.fields("variant", "scalars"),  # the cell's own settings
        ("state", pa.string()),  # RUNNING, INTERRUPTED, COMPLETE, PRUNED, FAILED
        ("reason", pa.string()),  # why FAILED, PRUNED or INTERRUPTED; "" otherwise
        ("detail", pa.string()),  # the error's line
        ("epochs", pa.int32()),  # epochs run, over all stages
        ("epochs_planned", pa.int32()),
        ("best_epoch", pa.int32()),  # by validation, counted from 1 over all stages
        ("value", pa.float64()),  # first objective at best_epoch, on validation; null unless measured
        ("values", _FLOATS),  # all objectives
        ("constraints", _FLOATS),  # feasible where all <= 0
        ("test_value", pa.float64()),  # first objective on test, at best_epoch (final phase only)
        *columns.fields("test", "numbers"),  # all test metrics (final phase only)
        *_CLOCKS,
        *columns.fields("stage_train_s", "numbers"),  # seconds by stage, inherited ones included
        ("pretrain_s", pa.float64()),  # seconds of pretraining stages, inherited ones included
        ("pretrain_cpu_s", pa.float64()),
        ("best_train_s", pa.float64()),  # train_s at best_epoch
        ("best_total_s", pa.float64()),  # total_s at best_epoch
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
        ("energy_nj", pa.float64()),  # a sample, an estimate: see metadata
        ("firing_rate", pa.float64()),  # mean over neurons and steps
        ("timesteps", pa.int32()),  # as simulated; null for a network without time
        ("node", pa.string()),
        ("harness", pa.string()),  # the version of the harness
        ("code", pa.string()),  # a hash of the harness's sources that make numbers
        ("git", pa.string()),
        *columns.fields("plugins", "texts"),  # plug-in files and hashes of their text
        *columns.fields("packages", "texts"),
        *columns.fields("metadata", "nested"),  # whatever else a pipeline or loop recorded
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
        *_CLOCKS,  # cumulative over attempts, after that epoch
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
        *columns.fields("parts", "texts"),  # what the fingerprint hashes, part by part
        ("cells", pa.list_(_CELL)),
        ("protocol", _PROTOCOL),
        ("text", pa.string()),  # the study file
        ("folder", pa.string()),  # the folder it lay in: what its relative paths start from
        ("overrides", _NAMES),  # key=value, on top of the text
        *columns.fields("plugins", "texts"),  # plug-in files and their text
        ("host", pa.string()),
        ("harness", pa.string()),
        ("code", pa.string()),
        ("git", pa.string()),
        *columns.fields("packages", "texts"),
    ],
    metadata={"harness_table": "studies", "harness_schema": str(VERSION)},
)

LATER = ("data_wait_s",)
"""Columns that files of this version may lack, written before there were such; nothing stands there then."""
TABLES = {"trials": TRIALS, "epochs": EPOCHS, "studies": STUDIES}
FORMS: dict[str, dict[str, columns.Form]] = {
    "trials": {
        "params": "scalars",
        "variant": "scalars",
        "test": "numbers",
        "stage_train_s": "numbers",
        "plugins": "texts",
        "packages": "texts",
        "metadata": "nested",
    },
    "epochs": {},
    "studies": {"parts": "texts", "plugins": "texts", "packages": "texts"},
}


def logical(table: str) -> list[str]:
    """The names of a table's values, as a table of pandas has them."""
    extra = {name for key, form in FORMS[table].items() for name, _ in columns.fields(key, form)[1:]}
    return [name for name in TABLES[table].names if name not in extra]


def physical(table: str, name: str) -> list[str]:
    """The columns of a file that hold a value of this name."""
    form = FORMS[table].get(name)
    return [name] if form is None else [column for column, _ in columns.fields(name, form)]
