"""Synthetic tables with exactly the store's schema, for tests of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from harness.store import tables

START = datetime(2026, 1, 1, tzinfo=UTC)


def as_table(rows: Sequence[Mapping[str, Any]], table: str) -> pd.DataFrame:
    """A table as the store returns it: every column of the schema, nulls where a row says nothing."""
    return tables.to_frame(table, tables.to_table(table, rows))


def trial(**values: Any) -> dict[str, Any]:
    """A complete final trial row on an exclusive CPU; ``values`` override."""
    row: dict[str, Any] = {
        "study": "demo", "cell": "digits/direct", "dataset": "digits", "dataset_revision": "1",
        "pipeline": "direct", "phase": "final", "number": 0, "attempt": 1, "config": "c0", "seed": 1,
        "params": {"timesteps": 4, "optimizer.lr": 0.01}, "variant": {}, "state": "COMPLETE",
        "reason": "", "detail": "", "epochs": 4, "epochs_planned": 4, "best_epoch": 3, "value": 0.8,
        "constraints": [], "test_value": 0.79, "train_s": 8.0, "train_cpu_s": 7.0, "pretrain_s": 0.0,
        "inherited_s": 0.0, "eval_s": 0.5, "prepare_s": 0.1, "checkpoint_s": 0.1, "wall_s": 9.0,
        "started_at": START, "finished_at": START + timedelta(seconds=9), "device": "cpu",
        "device_name": "cpu-A", "cpus": 1, "gpu_share": 0.0, "exclusive": True, "peak_mib": 100.0,
        "parameters": 1000, "spikes": 50.0, "synops": 5000.0, "energy_nj": 4.5, "firing_rate": 0.1,
        "node": "n0", "git": "abc", "packages": {},
        "metadata": {"energy_assumptions": "0.9 pJ an accumulate"}, "fingerprint": "f",
    }  # fmt: skip
    row |= values
    row.setdefault("label", row["cell"].split("/")[-1])
    row.setdefault("trial_id", f"{row['cell']}-{row['phase']}-{row['config']}-{row['seed']}-{row['number']}")
    row.setdefault("values", [row["value"]])
    row.setdefault("test", {"accuracy": row["test_value"], "loss": 0.5})
    row.setdefault("stage_train_s", {"train": row["train_s"]})
    row.setdefault("inherited_cpu_s", row["inherited_s"])
    row.setdefault("pretrain_cpu_s", row["pretrain_s"])
    row.setdefault("total_s", row["train_s"] + row["inherited_s"])
    row.setdefault("total_cpu_s", row["train_cpu_s"] + (row["inherited_cpu_s"] or 0.0))
    row.setdefault("best_total_s", 0.75 * row["train_s"] + row["inherited_s"])
    row.setdefault("timesteps", row["params"].get("timesteps"))
    return row


def failed(**values: Any) -> dict[str, Any]:
    """A failed final row: no value anywhere."""
    empty = {"value": None, "values": [], "test_value": None, "test": {}, "best_total_s": None}
    return trial(**({"state": "FAILED", "reason": "non-finite", "best_epoch": 0} | empty | values))


def clocks(row: Mapping[str, Any], share: float) -> dict[str, float]:
    """A share of a row's own seconds, with what it inherited."""
    own, cpu = row["train_s"] * share, row["train_cpu_s"] * share
    total, total_cpu = own + row["inherited_s"], cpu + (row["inherited_cpu_s"] or 0.0)
    return {"train_s": own, "total_s": total, "train_cpu_s": cpu, "total_cpu_s": total_cpu}


def curve(row: Mapping[str, Any], values: Sequence[float], **more: Any) -> list[dict[str, Any]]:
    """Epoch rows of one trial: a validation curve with clocks that grow evenly to the row's."""
    n = len(values)
    base = {name: row[name] for name in ("study", "cell", "trial_id", "attempt")}
    base |= {"stage": "train", "split": "valid", "metric": "accuracy", "eval_s": 0.1, "wall_s": 1.0}
    return [
        {
            **base,
            "epoch": i + 1,
            "value": value,
            **clocks(row, (i + 1) / n),
            **more,
        }
        for i, value in enumerate(values)
    ]


def cell(name: str = "digits/direct", **values: Any) -> dict[str, Any]:
    """A cell of the studies table."""
    found = {
        "cell": name, "label": name.split("/")[-1], "dataset": name.split("/")[0], "dataset_revision": "1",
        "pipeline": name.split("/")[-1], "task": "classification", "chance": 0.1, "counts": [1000, 300, 400],
    }  # fmt: skip
    return found | values


@dataclass
class Tables:
    """The three tables in the making."""

    cells: list[dict[str, Any]] = field(default_factory=lambda: [cell()])
    trials: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    protocol: dict[str, Any] = field(default_factory=dict)
    launches: int = 1
    parts: dict[str, str] = field(default_factory=dict)

    def add(self, row: dict[str, Any], values: Sequence[float] = ()) -> dict[str, Any]:
        """Add a trial with its validation curve."""
        self.trials.append(row)
        self.epochs += curve(row, values)
        return row

    def as_tables(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """(trials, epochs, studies) with the exact schema."""
        studies = as_table(self.launch_rows(), "studies")
        return as_table(self.trials, "trials"), as_table(self.epochs, "epochs"), studies

    def launch_rows(self) -> list[dict[str, Any]]:
        """The launches as rows of the studies table."""
        protocol = {
            "objectives": ["accuracy max"], "limits": {}, "target": None, "baseline": None, "seed": 0,
            "search": {"sampler": "tpe", "trials": 2, "epochs": 4}, "confirm": {"top": 1, "seeds": 1},
            "final": {"seeds": 5}, "exclusive": "device",
        } | self.protocol  # fmt: skip
        return [
            {
                "study": "demo", "launch": i + 1, "launched_at": START + timedelta(hours=i),
                "cells": self.cells, "protocol": protocol, "text": "name: demo\n",
                "host": "host", "git": "abc", "packages": {"torch": "2.9"}, "fingerprint": "f",
                "parts": self.parts,
            }
            for i in range(self.launches)
        ]  # fmt: skip


def saturating(top: float, n: int, rng: np.random.Generator, speed: float = 1.5) -> list[float]:
    """A noisy learning curve from chance towards ``top``."""
    x = np.arange(1, n + 1)
    return (0.1 + (top - 0.1) * (1 - np.exp(-speed * x / n * 3)) + rng.normal(0, 0.004, n)).tolist()


def race(seeds: int = 5, epochs: int = 12) -> Tables:
    """A realistic study: three variants on one data set, one with pretraining shared by its seeds."""
    rng = np.random.default_rng(7)
    names = ("digits/direct", "digits/pipe-s", "digits/ann")
    tables = Tables(cells=[cell(n) for n in names], protocol={"baseline": "digits/direct"})
    tops, lengths, gains = (0.90, 0.93, 0.95), (60.0, 30.0, 12.0), (1.5, 2.0, 2.5)
    for name, top, length, speed in zip(names, tops, lengths, gains, strict=True):
        pretrain = 10.0 if name.endswith("pipe-s") else 0.0
        common = {"cell": name, "pipeline": name.split("/")[1]}
        for number in range(4):
            state = "PRUNED" if number == 3 else "COMPLETE"
            params = {"timesteps": 4, "optimizer.lr": 0.01 * (number + 1)}
            tables.add(
                trial(**common, phase="search", number=number, config=f"c{number}", exclusive=False,
                      value=top - 0.02 * number, test_value=None, test={}, state=state, params=params),
                saturating(top - 0.02 * number, epochs, rng, speed),
            )  # fmt: skip
        for seed in range(seeds):
            final = top + rng.normal(0, 0.006)
            inherited = pretrain if seed else 0.0
            own = length * rng.uniform(0.95, 1.05)
            values = saturating(final, epochs, rng, speed)
            row = trial(
                **common, seed=100 + seed, number=seed, value=max(values), test_value=final - 0.01,
                train_s=own + pretrain - inherited, train_cpu_s=(own + pretrain - inherited) * 0.98,
                pretrain_s=pretrain, inherited_s=inherited, inherited_cpu_s=inherited * 0.98,
                pretrain_cpu_s=pretrain * 0.98, best_epoch=int(np.argmax(values)) + 1,
                epochs=epochs, total_s=own + pretrain, parameters=12_345 if "ann" not in name else 12_340,
                stage_train_s=({"pretrain": pretrain} if pretrain else {}) | {"train": own},
            )  # fmt: skip
            tables.add(row)
            for entry in curve(row, values):
                done = pretrain - inherited + own * entry["epoch"] / epochs
                entry |= {"train_s": done, "train_cpu_s": done * 0.98}
                entry |= {"total_s": done + inherited, "total_cpu_s": (done + inherited) * 0.98}
                rates = (("firing_rate/conv1", 0.12), ("firing_rate/fc", 0.07))
                tables.epochs += [entry, *({**entry, "metric": m, "value": rate} for m, rate in rates)]
            row["best_total_s"] = pretrain + own * row["best_epoch"] / epochs
    return tables
