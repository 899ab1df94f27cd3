"""An ended attempt as trackers know runs: parameters, tags, curves, results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

_TAGS = (
    "study",
    "cell",
    "label",
    "phase",
    "state",
    "reason",
    "seed",
    "number",
    "config",
    "code",
    "fingerprint",
)
_RESULTS = (
    "value",
    "train_s",
    "total_s",
    "eval_s",
    "wall_s",
    "parameters",
    "spikes",
    "synops",
    "energy_nj",
    "peak_mib",
)


@dataclass(frozen=True, slots=True)
class Run:
    """``key`` is trial and attempt: nothing is mirrored twice. ``curves`` are (name, epoch, value)."""

    key: str
    study: str
    cell: str
    params: dict[str, Any]
    tags: dict[str, str]
    curves: tuple[tuple[str, int, float], ...]
    results: dict[str, float]

    @property
    def name(self) -> str:
        """What a tracker shows: cell, phase and seed."""
        return f"{self.cell} {self.tags.get('phase', '')} {self.tags.get('number', '')}".strip()


class Tracker(Protocol):
    """One tracker. Whatever it raises stops its mirror, never a trial."""

    def has(self, run: Run) -> bool:
        """Whether a run is there, whole."""

    def write(self, run: Run) -> None:
        """Mirror a run."""


def run_of(row: Mapping[str, Any], epochs: Iterable[Mapping[str, Any]]) -> Run:
    """A row of the trials table and its rows of the epochs table as a run; what is no number is left out."""
    test = row.get("test") or {}
    numbers = {name: row.get(name) for name in _RESULTS} | {
        f"test/{name}": value for name, value in test.items()
    }
    curves = [(f"{e['split']}/{e['metric']}", int(e["epoch"]), float(e["value"])) for e in epochs]
    return Run(
        key=f"{row['trial_id']}-{row['attempt']}",
        study=str(row["study"]),
        cell=str(row["cell"]),
        params=dict(row.get("params") or {}),
        tags={name: str(row[name]) for name in _TAGS if row.get(name) is not None},
        curves=tuple(point for point in curves if math.isfinite(point[2])),
        results={name: float(value or 0.0) for name, value in numbers.items() if _finite(value)},
    )


def place(root: str, tracker: str) -> Path:
    """The local folder of a tracker: below the results, or here where these are on an object store."""
    return (Path(root).expanduser() if "://" not in root else Path()) / "trackers" / tracker


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
