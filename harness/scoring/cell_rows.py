"""One cell of a leaderboard: its seeds, metrics, cost and search budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from harness.scoring import stats
from harness.scoring.stats import Summary
from harness.scoring.tables import KEY, CellInfo, StudyView, number, parse
from harness.scoring.values import Budget, Cost, ParetoPoint, SeedScore
from harness.studyfile.values import TRIVIAL

FORECAST_METRICS = ("r2", "rse", "mae", "mse")
ERRORS = ("loss", "rse", "mae", "mse")


@dataclass(frozen=True)
class CellRows:
    """The trials of one cell that its row is made of.

    ``scored`` has one row a trial: the final seeds of one configuration, or the best search trial where
    there are no final seeds (``final`` false). ``curves`` are their epoch rows.
    """

    cell: CellInfo
    scored: pd.DataFrame
    final: bool
    unfinished: int
    superseded: bool
    feasible: bool
    budget: Budget
    curves: pd.DataFrame

    @property
    def trained(self) -> bool:
        """Whether training took place: not of forecasts that cost nothing, nor without any parameter."""
        counts = pd.to_numeric(self.scored["parameters"], errors="coerce")
        return self.cell.pipeline not in TRIVIAL and not (len(counts) > 0 and bool(counts.eq(0).all()))


def pick(view: StudyView, cell: CellInfo, own: pd.DataFrame, *, provisional: bool) -> CellRows:
    """Choose what is scored of one cell's last attempts (``own``); curves are filled in later."""
    in_final = own[own["phase"] == "final"]
    done = in_final[in_final["final"]]
    config = winner(done)
    unfinished = len(in_final) - len(done)
    feasible = True
    if config is not None:
        scored = done[done["config"].fillna("") == config]
    else:
        complete = own[(own["phase"] == "search") & (own["state"] == "COMPLETE") & own["value"].notna()]
        kept = [all(c <= 0 for c in parse(text, [])) for text in complete["constraints"]]
        allowed = complete[np.array(kept, dtype=bool)]
        feasible = len(allowed) > 0 or len(complete) == 0
        scored = best_of(allowed, view.maximize) if provisional else allowed.iloc[:0]
    return CellRows(
        cell,
        scored.sort_values("seed", kind="stable"),
        config is not None,
        unfinished,
        config is not None and len(scored) < len(done),
        feasible,
        replace(search_budget(own), gain=tuning_gain(view, cell, own)),
        own.iloc[:0],
    )


def winner(done: pd.DataFrame) -> str | None:
    """The configuration with most finished final seeds, the latest one among equals."""
    if len(done) == 0:
        return None
    table = done.assign(config=done["config"].fillna("")).groupby("config", sort=True)
    found = table.agg(n=("seed", "size"), at=("started_at", "max"))
    return str(found.sort_values(["n", "at"], kind="stable", na_position="first").index[-1])


def best_of(trials: pd.DataFrame, maximize: bool) -> pd.DataFrame:
    """The trial with the best validation value, the first asked among equals; no rows if there is none."""
    ordered = trials.sort_values("number", kind="stable")
    return ordered.sort_values("value", ascending=not maximize, kind="stable").iloc[:1]


def search_budget(own: pd.DataFrame) -> Budget:
    """How many search trials of a cell ended in which state, and their training seconds."""
    search = own[(own["phase"] == "search") & own["final"]]
    states = search["state"].value_counts()
    return Budget(
        complete=int(states.get("COMPLETE", 0)),
        pruned=int(states.get("PRUNED", 0)),
        failed=int(states.get("FAILED", 0)),
        train_s=float(pd.to_numeric(search["train_s"], errors="coerce").sum()),
    )


def tuning_gain(view: StudyView, cell: CellInfo, own: pd.DataFrame) -> float:
    """The best search trial's value less that of the first start point; see :class:`Budget`."""
    if not view.starts(cell.name):
        return math.nan
    complete = own[(own["phase"] == "search") & (own["state"] == "COMPLETE") & own["value"].notna()]
    first, best = complete[complete["number"] == 0], best_of(complete, view.maximize)
    if len(first) == 0:
        return math.nan
    gain = number(best["value"].iloc[0]) - number(first["value"].iloc[0])
    return gain if view.maximize else 0.0 - gain


def measured(rows: pd.DataFrame, column: str) -> list[float]:
    """The finite values of trials that ended well."""
    good = rows[rows["state"] == "COMPLETE"]
    values = pd.to_numeric(good[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return [float(v) for v in values if math.isfinite(v)]


def seed_scores(rows: pd.DataFrame, column: str, floor: float, *, maximize: bool) -> tuple[SeedScore, ...]:
    """Every seed's value of ``column``; a failed one (or one without a finite value) gets the floor.

    The floor is never better than the worst seed measured here, so failing cannot raise a mean.
    """
    worse = min if maximize else max
    known = [v for v in (*measured(rows, column), floor) if not math.isnan(v)]
    floor = worse(known) if known and not math.isnan(floor) else math.nan
    scores = []
    for seed, value, valid, state, reason, trial in zip(
        *(rows[name] for name in ("seed", column, "value", "state", "reason", "trial_id")), strict=True
    ):
        good = state == "COMPLETE" and math.isfinite(number(value))
        why = "" if good else (reason if isinstance(reason, str) and reason else "no value")
        score = number(value) if good else floor
        scores.append(SeedScore(int(seed), score, number(valid), not good, why, str(trial)))
    return tuple(scores)


def other_metrics(
    data: CellRows, view: StudyView, floors: Mapping[str, float]
) -> tuple[tuple[str, Summary], ...]:
    """Test metrics beside the objective, forecasting ones first.

    Failed seeds take ``floors`` or the metric's chance level where one is known, never better than the worst
    seed; a metric without one is the mean of the other seeds.
    """
    tests: list[dict[str, Any]] = [parse(text, {}) for text in data.scored["test"]]
    names = list(dict.fromkeys(name for test in tests for name in test))
    names.sort(key=lambda name: FORECAST_METRICS.index(name) if name in FORECAST_METRICS else 9)
    found = []
    for name in names:
        if name == view.metric:
            continue
        metric = name.removeprefix("last_").removeprefix("legacy_best_test_")
        floor = number(floors.get(metric, data.cell.chances.get(metric)))
        known = [number(test[name]) for test in tests if name in test]
        worst = (max if metric in ERRORS else min)([floor, *(v for v in known if math.isfinite(v))])
        values = [number(test.get(name, math.nan if math.isnan(floor) else worst)) for test in tests]
        found.append((name, stats.summarize(values)))
    return tuple(found)


def cost_of(rows: pd.DataFrame, curves: pd.DataFrame) -> Cost:
    """Medians over the seeds that ended well; see :class:`Cost`."""
    good = rows[rows["state"] == "COMPLETE"]

    def middle(column: str) -> float:
        return stats.spread(measured(rows, column)).median

    metadata = [parse(text, {}) for text in good["metadata"]]
    rules = [
        str(f[key]) for f in metadata for key in f if key.startswith("energy") and isinstance(f[key], str)
    ]
    return Cost(
        parameters=middle("parameters"),
        firing_rate=middle("firing_rate"),
        spikes=middle("spikes"),
        synops=middle("synops"),
        energy_nj=middle("energy_nj"),
        timesteps=middle("timesteps"),
        peak_mib=middle("peak_mib"),
        energy_rule=rules[0] if rules else "",
        layers=family_at_best(good, curves, "firing_rate/"),
    )


def family_at_best(rows: pd.DataFrame, curves: pd.DataFrame, prefix: str) -> tuple[tuple[str, float], ...]:
    """Metrics named ``prefix...`` at each trial's best epoch, averaged over trials."""
    own = curves[curves["metric"].str.startswith(prefix)]
    if len(own) == 0:
        return ()
    keys = rows[[*KEY, "best_epoch"]].rename(columns={"best_epoch": "epoch"})
    own = own.merge(keys.assign(epoch=pd.to_numeric(keys["epoch"]).astype("int64")), on=[*KEY, "epoch"])
    means = own.groupby("metric", sort=False)["value"].mean()
    return tuple((str(name)[len(prefix) :], float(value)) for name, value in means.items())


def pareto(view: StudyView, cells: Sequence[CellInfo], own: pd.DataFrame) -> tuple[ParetoPoint, ...]:
    """Search trials on validation that no other dominates, over all cells of a group."""
    if len(view.objectives) < 2:
        return ()
    labels = {cell.name: cell.label for cell in cells}
    rows = own[(own["phase"] == "search") & (own["state"] == "COMPLETE") & own["cell"].isin(labels)]
    signs = np.array([-1.0 if maximize else 1.0 for _, maximize in view.objectives])
    points = []
    for cell, trial, text, limits in zip(
        rows["cell"], rows["trial_id"], rows["values"], rows["constraints"], strict=True
    ):
        values = tuple(number(v) for v in parse(text, []))
        complete = len(values) == len(signs) and all(map(math.isfinite, values))
        if complete and all(c <= 0 for c in parse(limits, [])):
            points.append(ParetoPoint(cell, labels[cell], trial, values))
    if not points:
        return ()
    costs = np.array([p.values for p in points]) * signs
    keep = []
    for i, point in enumerate(points):
        better = (costs <= costs[i]).all(1) & (costs < costs[i]).any(1)
        if not better.any():
            keep.append(point)
    return tuple(sorted(keep, key=lambda p: (float(p.values[0]) * float(signs[0]), p.cell, p.trial_id)))
