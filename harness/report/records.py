"""The board as one record a row, every number unrounded: CSV, JSON and Parquet. Times in seconds."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from typing import Any

import pandas as pd

from harness.guard import csv_text, one_line
from harness.report.formatting import natural
from harness.scoring.values import Board, Group, Row

FAMILIES = (1, 3)  # of the blocks of a record: further metrics, targets
Record = dict[str, Any]


def records(board: Board) -> list[Record]:
    """A record a row, all with the same columns in the same order; None where there is nothing.

    Columns stand in blocks, further metrics and targets in natural order. Accuracies are as stored.
    """
    parts = [_blocks(board, group, row) for group, row in board.rows()]
    stacked = zip(*parts, strict=True)
    blocks = [list(dict.fromkeys(name for row in block for name in row)) for block in stacked]
    order = [name for i, b in enumerate(blocks) for name in (sorted(b, key=natural) if i in FAMILIES else b)]
    rows = [{name: value for block in row for name, value in block.items()} for row in parts]
    return [{name: _plain(row.get(name)) for name in order} for row in rows]


def render_csv(board: Board) -> str:
    """One line a row; lists are joined by semicolons, text never is a formula."""
    found = records(board)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_cell(name) for name in (found[0] if found else ())])
    writer.writerows([[_cell(value) for value in row.values()] for row in found])
    return out.getvalue()


def render_json(board: Board) -> str:
    """``{"study": .., "launch": .., "scoring_version": .., "rows": [..], "across": ..}``; null for nothing.

    ``across`` is :class:`~harness.scoring.values.Across`, null where fewer than three data sets are compared.
    A time that is infinite (a target never reached) is null as well: JSON has no infinity, ``reached`` tells.
    """
    rows = [{name: _finite(value) for name, value in row.items()} for row in records(board)]
    head = {"study": board.study, "launch": board.launch, "scoring_version": board.scoring, "rows": rows}
    head["across"] = _whole(asdict(board.across)) if board.across else None
    return json.dumps(head, indent=1, allow_nan=False) + "\n"


def _whole(value: object) -> object:
    """Nested values for JSON: what is no finite number is null."""
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def render_parquet(board: Board) -> bytes:
    """A Parquet file with a row a record."""
    out = io.BytesIO()
    pd.DataFrame(records(board)).convert_dtypes().to_parquet(out, index=False)
    return out.getvalue()


def _blocks(board: Board, group: Group, row: Row) -> tuple[Record, ...]:
    metrics: Record = {}
    for name, summary in row.metrics:
        metrics |= {f"{name}.mean": summary.mean, f"{name}.half_95": summary.half}
    return _head(board, group, row), metrics, _times(row), _targets(row), _costs(row)


def _head(board: Board, group: Group, row: Row) -> Record:
    low, high = row.rank or (None, None)
    return {
        "study": board.study,
        "scoring_version": board.scoring,
        "dataset": group.dataset,
        "dataset_revision": group.revision,
        "cell": row.cell,
        "label": row.label,
        "pipeline": row.pipeline,
        "provisional": group.provisional,
        "split": group.split,
        "metric": group.metric,
        "rank_low": low,
        "rank_high": high,
        "mean": row.score.mean,
        "half_95": row.score.half,
        "sd": row.score.sd,
        "n": row.score.n,
        "failed": row.failed,
        "unfinished": row.unfinished,
        "planned": row.planned,
        "worst": row.worst,
        "seeds": [s.seed for s in row.seeds],
        "values": [s.value for s in row.seeds],
        "trained": row.trained,
        "test_reads": group.test_reads.times,
    }


def _times(row: Row) -> Record:
    found: Record = {}
    if row.times is not None:
        found |= {"clock": row.times.clock, "device_name": row.times.device_name}
        for name in ("best", "best_snn", "total", "total_snn"):
            spread = getattr(row.times, name)
            name = name.replace("_snn", "_without_pretrain")
            found |= {f"{name}_s": spread.median, f"{name}_low_s": spread.low, f"{name}_high_s": spread.high}
        found["stages_s"] = [f"{name}={value!r}" for name, value in row.times.stages]
    return found


def _targets(row: Row) -> Record:
    found: Record = {}
    for i, target in enumerate(row.targets, start=1):
        p = f"target{i}"
        found |= {p: target.target, f"{p}.s": target.total, f"{p}.without_pretrain_s": target.snn}
        found |= {f"{p}.reached": target.reached, f"{p}.n": target.n}
        for name, ratio in (("ratio", target.ratio), ("ratio_without_pretrain", target.ratio_snn)):
            if ratio is not None:
                p_name = f"{p}.{name}"
                found |= {p_name: ratio.value, f"{p_name}_low": ratio.low, f"{p_name}_high": ratio.high}
    return found


def _costs(row: Row) -> Record:
    names = ("parameters", "timesteps", "firing_rate", "spikes", "synops", "energy_nj", "peak_mib")
    return {name: getattr(row.cost, name) for name in names} | {
        "search_trials": row.budget.finished,
        "search_pruned": row.budget.pruned,
        "search_failed": row.budget.failed,
        "search_train_s": row.budget.train_s,
        "search_gain": row.budget.gain,
        "flags": [warning.code for warning in row.warnings],
    }


def _plain(value: object) -> object:
    """NaN as None, in lists too."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _finite(value: object) -> object:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def _cell(value: object) -> object:
    if isinstance(value, list):
        return _cell(";".join("" if item is None else str(item) for item in value))
    if isinstance(value, str):
        return csv_text(one_line(value))
    return "" if value is None else value
