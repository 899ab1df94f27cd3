"""What an epoch costs, from a few steps of it: nothing is written, no test split is read."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from harness.contracts.data import Batch, Index, Split, View
from harness.contracts.pipeline import Stage
from harness.ids import derive_seed
from harness.train.attempt import run_attempt
from harness.train.clocks import WAIT
from harness.train.evaluate import costs, evaluate
from harness.train.feed import stream
from harness.train.gradients import Silent
from harness.train.loop import TrialLoop
from harness.train.peak import high_water_mib
from harness.train.task import Task
from harness.trial import Report, State, TrialEnd

MEASURED = "measured"
"""The key of the metadata that :func:`measure` returns."""
LEAST_STEPS = 3
REPEATS = 5
"""An epoch that is short is measured so often at most."""


@dataclass(frozen=True, slots=True)
class StageCost:
    """One stage: seconds of an epoch's training and evaluation, samples of an epoch, share of waiting."""

    name: str
    train_s: float
    eval_s: float
    samples: int
    wait_share: float
    artifact_bytes: int = 0
    silent: str = ""


@dataclass(frozen=True, slots=True)
class TrialCost:
    """A trial's stages and what comes once a trial or once a node; memory in MiB, sizes in bytes."""

    stages: tuple[StageCost, ...]
    prepare_s: float
    checkpoint_s: float
    checkpoint_bytes: int
    test_s: float
    host_mib: float
    device_mib: float
    cache: tuple[tuple[str, int], ...]


def measure(task: Task, seconds: float = 2.0) -> TrialEnd:
    """Steps of every stage of a trial for about so many seconds each; ``task.root`` is a scratch folder.

    The end is COMPLETE with a :class:`TrialCost` (as plain values) in its metadata, or says why not.
    """

    def make(task: Task, device: torch.device) -> TrialLoop:
        return _MeasuringLoop(task, device, seconds)

    attempt = run_attempt(task, make)
    try:
        while True:
            next(attempt)
    except StopIteration as stop:
        end: TrialEnd = stop.value
        return end


def cost_of(end: TrialEnd) -> TrialCost:
    """The cost in the metadata of a complete measurement."""
    found = dict(end.metadata[MEASURED])
    stages = tuple(StageCost(**stage) for stage in found.pop("stages"))
    cuda = end.metadata.get("device") == "cuda"
    device = float(end.metadata.get("peak_mib") or 0.0) if cuda else 0.0
    cache = tuple((str(name), int(size)) for name, size in found.pop("cache"))
    return TrialCost(stages, device_mib=device, cache=cache, **found)


class _Part:
    """The first samples of a split."""

    def __init__(self, split: Split, count: int) -> None:
        self._split, self._count, self.digest = split, min(count, len(split)), split.digest

    def __len__(self) -> int:
        return self._count

    def batch(self, index: Index) -> Batch:
        """Samples of the whole split."""
        return self._split.batch(index)

    def stream(self, parts: Sequence[Index], view: View | None) -> Iterator[Batch]:
        """Batches of the whole split, by whoever reads it."""
        return stream(self._split, parts, view)


class _MeasuringLoop(TrialLoop):
    """A loop that, instead of training, takes some steps of every stage."""

    def __init__(self, task: Task, device: torch.device, seconds: float) -> None:
        super().__init__(task, device)
        self.enough_s = seconds

    def run(self) -> Generator[Report, bool, TrialEnd]:
        """No report; the end holds the cost."""
        stages = []
        for stage in self.stages:
            self.learner.begin(stage)
            if stage.epochs:
                stages.append(self._measure(stage))
        wait = self._timed(self._checkpoint)
        path = self.checkpoints.files.local
        written = 0 if path is None else sum(file.stat().st_size for file in path.rglob("*.pt"))
        cost = TrialCost(
            stages=tuple(stages),
            prepare_s=self._timed(lambda: TrialLoop(self.task, self.device).close()),
            checkpoint_s=wait,
            checkpoint_bytes=written,
            test_s=stages[-1].eval_s * self.card.counts[2] / max(self.card.counts[1], 1) if stages else 0.0,
            host_mib=high_water_mib() or 0.0,
            device_mib=0.0,
            cache=tuple((name, access.nbytes) for name, access in self.accesses.items()),
        )
        record = {**asdict(cost), "stages": [asdict(stage) for stage in stages]}
        del record["device_mib"]
        yield from ()
        return TrialEnd(State.COMPLETE, metadata={MEASURED: record})

    def _measure(self, stage: Stage) -> StageCost:
        train, valid = self.splits[stage.dataset or self.spec.dataset.name]
        torch.manual_seed(derive_seed(self.spec.seed, "epoch", stage.name, 0))
        self.learner.before_epoch(0)
        self.view = self.learner.view(train, 0)
        train_s, share = self._train_s(stage, train)
        artifact = _size(self.learner.state_dict()) if stage.artifact is not None else 0
        said = self.steps.silent
        return StageCost(
            stage.name,
            train_s,
            self._eval_s(stage, valid),
            len(train),
            share,
            artifact,
            str(said) if isinstance(said, Silent) and said.without else "",
        )

    def _train_s(self, stage: Stage, train: Split) -> tuple[float, float]:
        """Seconds of an epoch's training, and the share of them that waits for data."""
        self.steps.silent = None
        fitted = []
        first = self._timed(lambda: fitted.append(self.learner.fit(train)))
        if fitted[0]:
            return first, 0.0
        rng = np.random.default_rng(derive_seed(self.spec.seed, "order", stage.name, 0))
        order, size = rng.permutation(len(train)), int(self.params.batch_size)

        def steps(count: int, *, look: bool = False) -> float:
            part = order[: count * size]
            return self._timed(
                lambda: self.steps.one_pass(train, part, epoch=1, look=look, view=self.view)
            ) / len(part)

        steps(1, look=True)  # compiles, chooses algorithms, fills caches
        clock = self.clocks.seconds
        before, waited = clock["train"], clock[WAIT]
        with self.clocks.running("train"):
            sample_s = steps(1)
            count = int(
                np.clip(self.enough_s / max(sample_s * size, 1e-9), LEAST_STEPS, -(-len(order) // size))
            )
            per = [steps(count)]
            while len(per) < REPEATS and count * size >= len(order) and sum(per) * len(order) < self.enough_s:
                per.append(steps(count))
            self.learner.after_epoch(0)
        share = (clock[WAIT] - waited) / max(clock["train"] - before, 1e-9)
        return float(np.median(per)) * len(order), share

    def _eval_s(self, stage: Stage, valid: Split) -> float:
        """Seconds of one evaluation: of some samples at the pace of all, and of its probe."""
        card, size = self.cards[stage.dataset or self.spec.dataset.name], int(self.params.batch_size)

        def seconds(count: int) -> float:
            part = _Part(valid, count)
            return self._timed(lambda: evaluate(self.learner, part, card, size, probe=False))

        self.learner.model.eval()
        self._timed(lambda: costs(self.learner, valid, size))
        probe_s = self._timed(lambda: costs(self.learner, valid, size))
        seconds(size)
        batch_s = seconds(size)
        some = min(len(valid), max(1, int(self.enough_s / max(batch_s, 1e-9))) * size)
        return probe_s + seconds(some) * len(valid) / some

    def _timed(self, work: Callable[[], Any]) -> float:
        self.clocks._synchronize()
        begun = time.perf_counter()
        work()
        self.clocks._synchronize()
        return time.perf_counter() - begun


def _size(state: Any) -> int:
    """Bytes of the tensors in nested mappings and lists."""
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    inner = state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ()
    return sum(map(_size, inner))
