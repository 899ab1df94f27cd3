"""What a report is made of, frozen: computed once by ``leaderboard``, then rendered anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.scoring.stats import Difference, Ratio, Spread, Summary

SCORING_VERSION = 3
"""Raised whenever the same rows would give other numbers; printed on every board."""


@dataclass(frozen=True, slots=True)
class RowWarning:
    """A warning on a row; renderers print each ``text`` once, as a footnote."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class SeedScore:
    """One seed: ``value`` enters the mean (chance level where ``failed``), ``valid`` is its validation."""

    seed: int
    value: float
    valid: float
    failed: bool
    reason: str
    trial_id: str


@dataclass(frozen=True, slots=True)
class Times:
    """Training seconds over seeds, pretraining included (``best``, ``total``) and without it (``*_snn``).

    ``best`` is the time to the best validation epoch. ``clock`` is ``train_s`` or ``train_cpu_s``.
    ``rank`` is a range among the comparable rows of the group, None where the times may not be compared.
    """

    clock: str
    device_name: str
    best: Spread
    best_snn: Spread
    total: Spread
    total_snn: Spread
    stages: tuple[tuple[str, float], ...] = ()
    rank: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class TargetTime:
    """Median seconds to a target on the validation curve; infinite if half of the seeds never reach it.

    ``ratio`` and ``ratio_snn`` are relative to the study's baseline cell (None without one).
    """

    target: float
    total: float
    snn: float
    reached: int
    n: int
    ratio: Ratio | None = None
    ratio_snn: Ratio | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What the network costs: medians over final seeds; NaN where it was not measured.

    ``spikes`` and ``synops`` are per sample, ``energy_nj`` an estimate per sample whose rule is in
    ``energy_rule``; ``layers`` are firing rates by layer at the best epoch.
    """

    parameters: float
    firing_rate: float
    spikes: float
    synops: float
    energy_nj: float
    timesteps: float
    peak_mib: float
    energy_rule: str = ""
    layers: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """The search of one cell: trials finished by state, and their training seconds.

    ``gain`` is how much better on validation the best trial is than the first start point (a paper's
    configuration, or the defaults), both of one seed; NaN where there is none or it did not complete.
    """

    complete: int
    pruned: int
    failed: int
    train_s: float
    gain: float = math.nan

    @property
    def finished(self) -> int:
        """Trials in a final state."""
        return self.complete + self.pruned + self.failed


@dataclass(frozen=True, slots=True)
class Row:
    """One cell. ``score`` is over seeds; ``rank`` a range, None where the row is not ranked.

    A row that is not ``trained`` (a forecast that costs nothing) has no times and no time to a target.
    """

    cell: str
    label: str
    pipeline: str
    rank: tuple[int, int] | None
    score: Summary
    worst: float
    seeds: tuple[SeedScore, ...]
    failed: int
    unfinished: int
    planned: int
    metrics: tuple[tuple[str, Summary], ...]
    times: Times | None
    targets: tuple[TargetTime, ...]
    cost: Cost
    budget: Budget
    config: str
    params: tuple[tuple[str, object], ...]
    warnings: tuple[RowWarning, ...] = ()
    trained: bool = True

    @property
    def constant(self) -> bool:
        """Whether all of several seeds have the same value."""
        return self.score.n > 1 and self.score.sd == 0

    @property
    def target(self) -> TargetTime | None:
        """The time to the first target, None without one."""
        return self.targets[0] if self.targets else None


@dataclass(frozen=True, slots=True)
class ParetoPoint:
    """A configuration that no other beats in all objectives, on validation."""

    cell: str
    label: str
    trial_id: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A number that a paper reports, never one that we ran and never ranked with ours."""

    paper: str
    year: str
    table: str
    method: str
    neuron: str
    horizon: str
    metric: str
    value: float
    unit: str
    spread: float
    spread_kind: str
    n_seeds: str
    selection: str
    provenance: str
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class Readings:
    """How often a study has read a data set's test split: in all, for how many configurations.

    ``repeated`` names the cells with more than one, with their count: each is one more chance to be lucky.
    """

    times: int
    configurations: int
    repeated: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one data set, best first, with what compares them.

    ``dataset`` is printed with its options, ``name`` short and unique on the board. ``scale`` turns stored
    values into printed ones (100 for shares shown in percent). ``test_gap`` is the half width that the finite
    test set alone leaves around the best accuracy. ``device_name`` is the hardware class whose times are
    compared. ``targets`` are validation values that times to target refer to. ``versions`` are the codes of
    the harness that made the rows, each with labels.
    """

    dataset: str
    name: str
    revision: str
    task: str
    metric: str
    maximize: bool
    split: str
    provisional: bool
    chance: float
    scale: float
    clock: str
    device_name: str
    targets: tuple[float, ...]
    target_from: str
    baseline: str | None
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    smallest_gap: float
    test_gap: float
    objectives: tuple[str, ...]
    test_reads: Readings
    versions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    front: tuple[ParetoPoint, ...] = ()
    published: tuple[PublishedRow, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """The unit of printed scores: ``%`` or nothing."""
        return "%" if self.scale == 100.0 else ""

    @property
    def target(self) -> float | None:
        """The first target, None without one."""
        return self.targets[0] if self.targets else None

    def footnotes(self) -> dict[str, int]:
        """Each warning's text with its number, in order of appearance."""
        texts = (warning.text for row in self.rows for warning in row.warnings)
        return {text: i for i, text in enumerate(dict.fromkeys(texts), start=1)}


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Standing:
    """One label over several data sets; see :mod:`harness.scoring.across` for each number's rule.

    ``wins`` has a share for each label of :attr:`Across.standings`, in their order, NaN against itself;
    ``profile`` one for each of :attr:`Across.factors`, empty where times may not be compared. ``iqm`` is None
    below the number of data sets that it needs.
    """

    label: str
    rank: Interval
    improvability: Interval
    rating: Interval
    wins: tuple[float, ...]
    profile: tuple[float, ...] = ()
    iqm: Interval | None = None


@dataclass(frozen=True, slots=True)
class Across:
    """The labels that are ranked on every one of several data sets, best mean rank first.

    ``left_out`` are labels that some data set lacks. ``raced`` counts the data sets of the profile of times.
    ``critical`` is Nemenyi's critical difference of mean ranks, NaN below the number that it needs.
    """

    datasets: tuple[str, ...]
    standings: tuple[Standing, ...]
    left_out: tuple[str, ...]
    factors: tuple[float, ...]
    raced: int
    critical: float


@dataclass(frozen=True, slots=True)
class Board:
    """The leaderboard of a study: one group a data set. ``scoring`` is :data:`SCORING_VERSION`.

    ``across`` is None where fewer than three data sets rank two labels.
    """

    study: str
    launch: int
    launched_at: str
    scoring: int
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = field(default=())
    across: Across | None = None

    def rows(self) -> Iterator[tuple[Group, Row]]:
        """All rows with their group."""
        return ((group, row) for group in self.groups for row in group.rows)
