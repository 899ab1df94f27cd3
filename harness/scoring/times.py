"""Training times of a cell: to the best epoch, of a run, to a target, with and without pretraining."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.ids import derive_seed
from harness.scoring import stats
from harness.scoring.hardware import CPU_CLOCK, WALL_CLOCK, Chosen
from harness.scoring.tables import number, parse
from harness.scoring.values import TargetTime, Times

Floats = NDArray[np.float64]
Seconds = dict[int, tuple[float, float]]
TOTAL = {WALL_CLOCK: "total_s", CPU_CLOCK: "total_cpu_s"}
"""The column that holds own and inherited seconds on a clock."""


@dataclass(frozen=True)
class Timing:
    """The comparable trials of a cell on one clock.

    ``table`` has a row a trial: trial_id, seed, total, pretrain, best (inherited included) and estimated.
    ``curve`` holds their validation epochs of the stages that deliver the network, with seconds ``total``
    and ``snn``, sorted.
    """

    chosen: Chosen
    table: pd.DataFrame
    curve: pd.DataFrame

    @property
    def best_snn(self) -> Floats:
        """Seconds to the best epoch without pretraining, by trial."""
        return without(self.table["best"], self.table["pretrain"])


def timing_of(chosen: Chosen, curves: pd.DataFrame, metric: str) -> Timing:
    """All times of one cell; ``curves`` are its epoch rows."""
    own = curves[curves["trial_id"].isin(chosen.rows["trial_id"])]
    table = clocks(chosen.rows, own, chosen.clock)
    curve = selecting_stages(chosen.rows, validation(own, metric))
    by_trial = table.set_index("trial_id")
    total = curve[TOTAL[chosen.clock]].to_numpy(dtype=np.float64, na_value=np.nan)
    snn = without(total, _lookup(curve, by_trial["pretrain"]))
    curve = curve[["trial_id", "epoch", "value"]].assign(total=total, snn=snn)
    return Timing(chosen, table, curve.sort_values(["trial_id", "epoch"], kind="stable"))


def clocks(rows: pd.DataFrame, curves: pd.DataFrame, clock: str) -> pd.DataFrame:
    """The table of a :class:`Timing`: own and inherited seconds together, on one clock.

    Where the CPU seconds of pretraining are not known (schema 1) they are its seconds times the trial's own
    ratio of CPU to wall time (``estimated``).
    """
    kind = "cpu_s" if clock == CPU_CLOCK else "s"
    total, pretrain = _column(rows, f"total_{kind}"), _column(rows, f"pretrain_{kind}")
    best = _column(rows, "best_total_s")
    estimated = np.zeros(len(rows), dtype=bool)
    if clock == CPU_CLOCK:
        wall, own, cpu = (_column(rows, name) for name in ("total_s", "train_s", "train_cpu_s"))
        ratio = np.divide(cpu, own, out=np.ones_like(own), where=own > 0)
        estimated = np.isnan(total) | np.isnan(pretrain)
        total = np.where(np.isnan(total), wall * ratio, total)
        pretrain = np.where(np.isnan(pretrain), _column(rows, "pretrain_s", 0.0) * ratio, pretrain)
        at_best = _cpu_at_best(rows, curves)
        best = np.where(np.isnan(at_best), best * ratio, at_best)
    found: pd.DataFrame = rows[["trial_id", "seed"]].reset_index(drop=True)
    pretrain = np.where(np.isnan(pretrain), 0.0, pretrain)
    return found.assign(total=total, pretrain=pretrain, best=best, estimated=estimated)


def validation(curves: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The validation rows of one metric with finite values."""
    own = curves[(curves["split"] == "valid") & (curves["metric"] == metric)]
    found: pd.DataFrame = own[np.isfinite(own["value"].to_numpy(dtype=np.float64))]
    return found


def selecting_stages(rows: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """Of one cell's curves the stages that deliver its network: the last one and those of best epochs."""
    if len(curve) == 0:
        return curve
    stages = set(curve["stage"][_at_best(rows, curve)])
    stages.add(curve["stage"].iloc[int(curve["epoch"].to_numpy().argmax())])
    found: pd.DataFrame = curve[curve["stage"].isin(stages)]
    return found


def cell_times(timing: Timing) -> Times | None:
    """The times of one cell over the seeds that ended well (a failed seed has no time to its best epoch)."""
    chosen, table = timing.chosen, timing.table
    if len(table) == 0:
        return None
    stages = [parse(text, {}) for text in chosen.rows["stage_train_s"]]
    names = dict.fromkeys(name for stage in stages for name in stage)
    return Times(
        clock=chosen.clock,
        device_name=chosen.device_name,
        best=stats.spread(table["best"]),
        best_snn=stats.spread(timing.best_snn),
        total=stats.spread(table["total"]),
        total_snn=stats.spread(without(table["total"], table["pretrain"])),
        stages=tuple((n, stats.spread([number(s.get(n, 0.0)) for s in stages]).median) for n in names),
    )


def seconds_to(timing: Timing, lost: Sequence[int], target: float, *, maximize: bool) -> Seconds:
    """By seed the seconds (total, without pretraining) until the curve reaches ``target``; inf if never.

    ``lost`` are failed seeds, which never reach it. Only epochs of the stages that deliver the network count.
    """
    curve = timing.curve
    values = curve["value"].to_numpy(dtype=np.float64)
    hit = curve[values >= target if maximize else values <= target].drop_duplicates("trial_id")
    first = {t: (x, y) for t, x, y in zip(hit["trial_id"], hit["total"], hit["snn"], strict=True)}
    never = (math.inf, math.inf)
    seeds = zip(timing.table["seed"], timing.table["trial_id"], strict=True)
    return {int(seed): first.get(trial, never) for seed, trial in seeds} | dict.fromkeys(lost, never)


def target_time(own: Seconds, base: Seconds | None, *, target: float, cell: str) -> TargetTime:
    """Medians over seeds and, with a baseline, the ratios to it (bootstrap over seeds)."""
    total, snn = ([pair[i] for pair in own.values()] for i in (0, 1))
    found = TargetTime(
        target=target,
        total=stats.spread(total).median,
        snn=stats.spread(snn).median,
        reached=sum(map(math.isfinite, total)),
        n=len(total),
    )
    if not base or not own or not any(pair[0] > 0 for pair in base.values()):
        return found
    seeds = sorted(own) if own.keys() == base.keys() else None
    mine, theirs = ([pairs[s] for s in seeds or pairs] for pairs in (own, base))
    ratios = [
        stats.ratio_of_medians(
            [pair[i] for pair in mine],
            [pair[i] for pair in theirs],
            seed=derive_seed("time to target", cell),
            paired=seeds is not None,
        )
        for i in (0, 1)
    ]
    return replace(found, ratio=ratios[0], ratio_snn=ratios[1])


def rank_times(seconds: Mapping[str, Mapping[int, float]]) -> dict[str, tuple[int, int]]:
    """Rank ranges of training times by paired differences of their logarithms, quickest first."""
    logs = {
        cell: {seed: math.log(max(s, 1e-9)) for seed, s in by_seed.items() if math.isfinite(s)}
        for cell, by_seed in seconds.items()
    }
    names: Sequence[str] = [cell for cell in logs if logs[cell]]
    pairs = stats.differences({cell: logs[cell] for cell in names})
    return stats.rank_ranges(names, pairs, maximize=False)


def without(total: pd.Series | Floats, pretrain: pd.Series | Floats) -> Floats:
    """Seconds less those of pretraining, never negative."""
    return np.maximum(np.asarray(total, dtype=np.float64) - np.asarray(pretrain, dtype=np.float64), 0.0)


def _column(rows: pd.DataFrame, name: str, missing: float = math.nan) -> Floats:
    values = pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isnan(values), missing, values)


def _lookup(rows: pd.DataFrame, by_trial: pd.Series) -> Floats:
    """For each row the value of its trial, NaN where there is none."""
    return rows["trial_id"].map(by_trial.to_dict()).to_numpy(dtype=np.float64, na_value=np.nan)


def _at_best(rows: pd.DataFrame, curves: pd.DataFrame) -> NDArray[np.bool_]:
    """Which epoch rows are of their trial's best epoch."""
    best = dict(zip(rows["trial_id"], _column(rows, "best_epoch"), strict=True))
    return np.asarray(curves["epoch"].to_numpy(dtype=np.float64) == _lookup(curves, pd.Series(best)))


def _cpu_at_best(rows: pd.DataFrame, curves: pd.DataFrame) -> Floats:
    """The CPU clock at each trial's best epoch, NaN where the curve does not have it."""
    at = curves[_at_best(rows, curves)]
    return _lookup(rows, at.groupby("trial_id", sort=False)[TOTAL[CPU_CLOCK]].max())
