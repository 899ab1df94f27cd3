"""Training times of a cell: which rows may be compared, on which clock, with and without pretraining."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.ids import derive_seed
from harness.report import flags, stats
from harness.report.frames import KEY, StudyView, number, parse
from harness.report.values import Flag, TargetTime, Times

CPU_CLOCK, WALL_CLOCK = "train_cpu_s", "train_s"
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hardware:
    """The hardware class whose times a table compares, and the clock that it is read on."""

    device_name: str
    clock: str


def hardware_of(view: StudyView, rows: pd.DataFrame) -> Hardware:
    """The class that most cells, then most rows, ran on exclusively (else at all), and its clock."""
    if len(rows) == 0:
        return Hardware("", WALL_CLOCK)
    alone = rows[rows["exclusive"].eq(True)]
    rows = alone if len(alone) else rows
    names = rows["device_name"].fillna("")
    counts = rows.groupby(names)["cell"].agg(["nunique", "size"]).sort_index()
    name = str(counts.sort_values(["nunique", "size"], ascending=False, kind="stable").index[0])
    return Hardware(name, clock_of(view, rows[names == name]))


def clock_of(view: StudyView, rows: pd.DataFrame) -> str:
    """``train_cpu_s`` for CPU rows, unless the study asked for whole nodes or CPU time was not recorded."""
    if view.protocol.get("exclusive") == "node" or len(rows) == 0:
        return WALL_CLOCK
    recorded = bool((pd.to_numeric(rows[CPU_CLOCK], errors="coerce") > 0).any())
    return CPU_CLOCK if bool((rows["device"] == "cpu").all()) and recorded else WALL_CLOCK


@dataclass(frozen=True)
class Timed:
    """The rows of a cell whose times count, all COMPLETE, on one clock, and what to say about the others."""

    rows: pd.DataFrame
    clock: str
    device_name: str
    flags: tuple[Flag, ...] = ()

    @property
    def comparable(self) -> bool:
        """Whether these times may be compared with the rest of the table."""
        return len(self.rows) > 0 and not {flags.SHARED, flags.HARDWARE} & set(self.flags)


def timed(view: StudyView, scored: pd.DataFrame, hardware: Hardware) -> Timed:
    """Choose the rows whose times count: exclusive ones of the table's hardware class, if there are any."""
    good = scored[scored["state"] == "COMPLETE"]
    if len(good) == 0:
        return Timed(good, hardware.clock, hardware.device_name)
    alone = good[good["exclusive"].eq(True)]
    rows = alone if len(alone) else good
    names = rows["device_name"].fillna("")
    same = bool((names == hardware.device_name).any())
    name = hardware.device_name if same else str(names.mode().iloc[0])
    rows = rows[names == name]
    clock = hardware.clock if same else clock_of(view, rows)
    remarks = [] if len(alone) else [flags.SHARED]
    remarks += [] if same else [flags.HARDWARE]
    remarks += [flags.MIXED] if len(rows) < len(good) else []
    return Timed(rows, clock, name, tuple(remarks))


def clocks(rows: pd.DataFrame, curves: pd.DataFrame, clock: str) -> pd.DataFrame:
    """Seconds of every trial on ``clock``: total, pretrain, best (inherited included), offset, estimated.

    ``offset`` turns an epoch row's clock into the trial's total: 0 where epoch rows already contain what an
    inherited artifact cost, that cost where they do not (told by the last epoch's clock). The CPU seconds of
    an artifact are what the epoch rows or ``facts.inherited_cpu_s`` say, else its seconds times the trial's
    own ratio of CPU to wall time (``estimated``); pretraining is always converted by that ratio.
    """
    own, cpu = _column(rows, "train_s"), _column(rows, "train_cpu_s")
    inherited, pretrain = _column(rows, "inherited_s", 0.0), _column(rows, "pretrain_s", 0.0)
    best, (last, last_cpu) = _column(rows, "best_train_s"), _last_clocks(rows, curves)
    within = (inherited > 0) & (last - own > 0.5 * inherited)
    estimated = np.zeros(len(rows), dtype=bool)
    if clock == CPU_CLOCK:
        ratio = np.divide(cpu, own, out=np.ones_like(own), where=own > 0)
        facts = [number(parse(text, {}).get("inherited_cpu_s")) for text in rows["facts"]]
        known = np.where(within, last_cpu - cpu, np.array(facts, dtype=np.float64))
        estimated = (inherited > 0) & np.isnan(known)
        inherited = np.where(np.isnan(known), inherited * ratio, known)
        at_best = _cpu_at_best(rows, curves) + np.where(within, 0.0, inherited)
        best = np.where(np.isnan(at_best), best * ratio, at_best)
        own, pretrain = cpu, pretrain * ratio
    found: pd.DataFrame = rows[[*KEY, "seed"]].reset_index(drop=True)
    offset = np.where(within, 0.0, inherited)
    return found.assign(
        total=own + inherited, pretrain=pretrain, best=best, offset=offset, estimated=estimated
    )


def cell_times(chosen: Timed, curves: pd.DataFrame) -> Times | None:
    """The times of one cell over the seeds that ended well (a failed seed has no time to its best epoch)."""
    if len(chosen.rows) == 0:
        return None
    table = clocks(chosen.rows, curves, chosen.clock)
    total, best = table["total"].to_numpy(), table["best"].to_numpy()
    pretrain = table["pretrain"].to_numpy()
    stages = [parse(text, {}) for text in chosen.rows["stage_train_s"]]
    names = dict.fromkeys(name for stage in stages for name in stage)
    return Times(
        clock=chosen.clock,
        device_name=chosen.device_name,
        best=stats.spread(best),
        best_snn=stats.spread(np.maximum(best - pretrain, 0.0)),
        total=stats.spread(total),
        total_snn=stats.spread(np.maximum(total - pretrain, 0.0)),
        stages=tuple((n, stats.spread([number(s.get(n, 0.0)) for s in stages]).median) for n in names),
    )


def selecting_stages(rows: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """Of one cell's curves the stages that deliver its network: the last one and those of best epochs."""
    if len(curve) == 0:
        return curve
    best = rows[[*KEY, "best_epoch"]].rename(columns={"best_epoch": "epoch"})
    best = best.assign(epoch=pd.to_numeric(best["epoch"], errors="coerce").fillna(-1).astype("int64"))
    stages = set(curve.assign(epoch=curve["epoch"].astype("int64")).merge(best, on=[*KEY, "epoch"])["stage"])
    stages.add(curve["stage"].iloc[int(curve["epoch"].to_numpy().argmax())])
    found: pd.DataFrame = curve[curve["stage"].isin(stages)]
    return found


def validation(curves: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The validation rows of one metric with finite values."""
    own = curves[(curves["split"] == "valid") & (curves["metric"] == metric)]
    found: pd.DataFrame = own[np.isfinite(own["value"].to_numpy(dtype=np.float64))]
    return found


def times_to_target(
    rows: pd.DataFrame, curves: pd.DataFrame, clock: str, *, target: float, metric: str, maximize: bool
) -> pd.DataFrame:
    """Seconds until the validation curve reaches ``target`` (inf: never): columns seed, total, snn.

    Only epochs of the stages that deliver the network count, and only trials that ended well.
    """
    table = clocks(rows, curves, clock).assign(state=rows["state"].to_numpy())
    curve = selecting_stages(rows[rows["state"] == "COMPLETE"], validation(curves, metric))
    values = curve["value"].to_numpy(dtype=np.float64)
    hit = curve[values >= target if maximize else values <= target]
    first = hit.sort_values("epoch", kind="stable").drop_duplicates(KEY)[[*KEY, clock]]
    table = table.merge(first.rename(columns={clock: "own"}), on=KEY, how="left")
    own = table["own"].to_numpy(dtype=np.float64)
    reached = ~np.isnan(own) & (table["state"] == "COMPLETE").to_numpy()
    total = np.where(reached, own + table["offset"].to_numpy(), math.inf)
    snn = np.where(reached, np.maximum(total - table["pretrain"].to_numpy(), 0.0), math.inf)
    return pd.DataFrame({"seed": table["seed"].to_numpy(), "total": total, "snn": snn})


def target_time(own: pd.DataFrame, base: pd.DataFrame | None, *, target: float, cell: str) -> TargetTime:
    """Medians over seeds and, with a baseline, the ratios to it (bootstrap over seeds)."""
    total = stats.spread(own["total"])
    found = TargetTime(
        target=target,
        total=total.median,
        snn=stats.spread(own["snn"]).median,
        reached=int(np.isfinite(own["total"]).sum()),
        n=len(own),
    )
    if base is None or len(base) == 0 or len(own) == 0:
        return found
    seed = derive_seed("time to target", cell)
    pair = own.merge(base, on="seed", suffixes=("", "_base")).sort_values("seed")
    if len(pair) == len(own) == len(base):
        own, base = pair[["total", "snn"]], pair[["total_base", "snn_base"]]
        base = base.rename(columns={"total_base": "total", "snn_base": "snn"})
    return replace(
        found,
        ratio=stats.ratio_of_medians(own["total"], base["total"], seed=seed),
        ratio_snn=stats.ratio_of_medians(own["snn"], base["snn"], seed=seed),
    )


def rank_times(seconds: Mapping[str, Mapping[int, float]]) -> dict[str, tuple[int, int]]:
    """Rank ranges of training times by paired differences of their logarithms, quickest first."""
    logs = {
        cell: {seed: math.log(max(s, 1e-9)) for seed, s in by_seed.items() if math.isfinite(s)}
        for cell, by_seed in seconds.items()
    }
    names: Sequence[str] = [cell for cell in logs if logs[cell]]
    pairs = stats.differences({cell: logs[cell] for cell in names})
    return stats.rank_ranges(names, pairs, maximize=False)


def _column(rows: pd.DataFrame, name: str, missing: float = math.nan) -> Floats:
    values = pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isnan(values), missing, values)


def _cpu_at_best(rows: pd.DataFrame, curves: pd.DataFrame) -> Floats:
    """The CPU clock at each trial's best epoch, NaN where the curve does not have it."""
    at = curves[[*KEY, "epoch", CPU_CLOCK]].sort_values(CPU_CLOCK, na_position="first")
    at = at.drop_duplicates([*KEY, "epoch"], keep="last")
    keys = rows[[*KEY, "best_epoch"]].rename(columns={"best_epoch": "epoch"})
    keys = keys.assign(epoch=pd.to_numeric(keys["epoch"], errors="coerce").fillna(-1).astype("int64"))
    at = at.assign(epoch=at["epoch"].astype("int64"))
    found = keys.merge(at, on=[*KEY, "epoch"], how="left")[CPU_CLOCK]
    return found.to_numpy(dtype=np.float64, na_value=np.nan)


def _last_clocks(rows: pd.DataFrame, curves: pd.DataFrame) -> tuple[Floats, Floats]:
    """The largest training and CPU clock among each trial's epoch rows, NaN where it has none."""
    last = curves.groupby(KEY, sort=False)[[WALL_CLOCK, CPU_CLOCK]].max().reset_index()
    found = rows[KEY].merge(last, on=KEY, how="left")
    wall, cpu = (found[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in (WALL_CLOCK, CPU_CLOCK))
    return wall, cpu
