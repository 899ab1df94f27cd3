"""The one training loop: stages, epochs, steps, with clocks, seeds and checkpoints. Read it top to bottom."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.contracts import registry
from harness.contracts.choices import active, plain
from harness.contracts.data import DatasetCard, Split, View
from harness.contracts.pipeline import Job, Stage
from harness.errors import TrialError
from harness.ids import derive_seed
from harness.store.checkpoints import Checkpoints
from harness.train.access import Access
from harness.train.clocks import WAIT, Clocks
from harness.train.evaluate import TIMESTEPS, evaluate
from harness.train.feed import Feeds
from harness.train.forecast_metrics import BY_VARIATE
from harness.train.gradients import NO_GRADIENT
from harness.train.keep import keep_model, last_state
from harness.train.peak import Peak
from harness.train.progress import Progress
from harness.train.stages import adopt, publish
from harness.train.steps import Steps
from harness.train.task import Task
from harness.trial import COSTS, NO_SPIKES, DatasetRef, EpochRow, Phase, Report, State, TrialEnd

Rows = list[EpochRow]


class TrialLoop:
    """One attempt of one trial. :meth:`run` yields the rows of each epoch and is sent whether to go on."""

    def __init__(self, task: Task, device: torch.device) -> None:
        self.task, self.spec, self.device = task, task.spec, device
        self.view: View | None = None
        self.peak: Peak | None = None
        self.asked = {objective.metric for objective in self.spec.objectives}
        self.clocks, self._took = Clocks(device), 0
        self.checkpoints = Checkpoints(task.root, task.study)
        self.access = Access(self.spec.dataset, self.spec.phase)
        self.feeds = Feeds(task.resources.cpus - 1, pin=device.type == "cuda")
        self.card = self.access.card
        self.pipeline = pipeline = registry.pipeline(self.spec.pipeline)()
        self.params = pipeline.build_params(self.spec.param_values())
        pipeline.validate(self.params, self.card)
        self.stages = pipeline.stages(self.params, self.spec.epochs, self.spec.seed)
        with self.clocks.running("prepare"):
            self._open_splits()
            self.data_metadata = self.access.metadata()
        self._make()

    def _make(self) -> None:
        """The network as it begins, nothing measured yet."""
        torch.manual_seed(derive_seed(self.spec.seed, "init"))
        with self.clocks.running("prepare"):
            self.learner = self.pipeline.learner(self._job(self.splits[self.spec.dataset.name][0]))
        self.steps = Steps(self.learner, self.params, self.clocks)
        self.progress = Progress()
        if getattr(self.params, "compile", False):
            self.learner.model.compile()

    def _open_splits(self) -> None:
        refs = {self.spec.dataset.name: self.access}
        for stage in self.stages:
            if stage.dataset is not None and stage.dataset not in refs:
                refs[stage.dataset] = Access(DatasetRef(stage.dataset), self.spec.phase)
        self.accesses = refs
        self.cards: Mapping[str, DatasetCard] = {name: access.card for name, access in refs.items()}
        self.splits = {
            name: (self.feeds.open(access, "train"), self.feeds.open(access, "valid"))
            for name, access in refs.items()
        }

    def close(self) -> None:
        """End the processes that read data."""
        self.feeds.close()

    def _job(self, train: Split) -> Job:
        return Job(
            params=self.params,
            card=self.card,
            device=self.device,
            seed=derive_seed(self.spec.seed, "init"),
            epochs=self.spec.epochs,
            steps=math.ceil(len(train) / self.params.batch_size),
            cards=self.cards,
        )

    # -- the run ------------------------------------------------------------------------------------

    def run(self) -> Generator[Report, bool, TrialEnd]:
        """Train all stages; yields each epoch's rows, is sent False to stop early."""
        if self._resume():
            yield self._report(list(self.progress.rows))
        while self.progress.stage < len(self.stages):
            stage = self.stages[self.progress.stage]
            if self.progress.epoch == 0:
                self.learner.begin(stage)
                if adopt(self, stage):
                    self._leave(stage)
                    continue
            while self.progress.epoch < stage.epochs:
                rows = self._epoch(stage)
                go_on = yield self._report(rows)
                if go_on is False:
                    self._checkpoint()
                    return self._end(State.PRUNED, "pruned")
                self._checkpoint_if_due()
            publish(self, stage)
            self._leave(stage)
        return self._end(State.COMPLETE, "")

    def _report(self, rows: Rows) -> Report:
        return Report(tuple(rows), self._end(State.PRUNED, "pruned"))

    def _epoch(self, stage: Stage) -> Rows:
        progress, epoch = self.progress, self.progress.epoch
        train, valid = self.splits[stage.dataset or self.spec.dataset.name]
        torch.manual_seed(derive_seed(self.spec.seed, "epoch", stage.name, epoch))
        self.learner.before_epoch(epoch)
        self.view = self.learner.view(train, epoch)
        before, cpu_before = self.clocks.seconds["train"], self.clocks.seconds["train_cpu"]
        with self.clocks.running("train"):
            loss = self._train(stage, train, epoch)
            self.learner.after_epoch(epoch)
        spent = self.clocks.seconds["train"] - before
        progress.stage_train_s[stage.name] = progress.stage_train_s.get(stage.name, 0.0) + spent
        if stage.pretrain:
            progress.pretrain_s += spent
            progress.pretrain_cpu_s += self.clocks.seconds["train_cpu"] - cpu_before
        card = self.cards[stage.dataset or self.spec.dataset.name]
        with self.clocks.running("eval"):
            measured = evaluate(self.learner, valid, card, self.params.batch_size)
        measured |= self.learner.epoch_metrics()
        self.progress.timesteps = measured.pop(TIMESTEPS, None)
        measured["parameters"] = float(trainable(self.learner.model))
        progress.epoch, progress.done = epoch + 1, progress.done + 1
        rows = [] if loss is None else [self._row(stage, "train", "loss", loss)]
        rows += [self._row(stage, "valid", name, value) for name, value in measured.items()]
        if stage.counts:
            costs = self._consider(measured)
            rows += [
                self._row(stage, "valid", name, costs[name]) for name in sorted(self.asked - set(measured))
            ]
            rows += self._legacy(stage)
        progress.rows += rows
        if self.task.timeout_s and self.clocks.wall > self.task.timeout_s:
            raise TrialError(f"ran longer than timeout_s {self.task.timeout_s:g}", reason="timeout")
        return rows

    def _consider(self, measured: Mapping[str, float]) -> dict[str, float]:
        """Keep the epoch if it is the best; everything that can be an objective."""
        own_s, peak_mib = self.clocks.seconds["train"], None if self.peak is None else self.peak.mib()
        costs = {**measured, "train_s": own_s, "total_s": own_s + self.progress.inherited_s}
        costs |= {name: value for name, value in NO_SPIKES.items() if name in self.asked - set(measured)}
        if peak_mib is not None:
            costs["peak_mib"] = peak_mib
        state = self.learner.model.state_dict() if self.spec.phase is Phase.FINAL else None
        self.progress.consider(costs, self.spec.objectives, state=state)
        return costs

    def _train(self, stage: Stage, train: Split, epoch: int) -> float | None:
        """One pass; the mean loss, None where the learner fits in closed form."""
        if self.learner.fit(train):
            return None
        order = np.random.default_rng(derive_seed(self.spec.seed, "order", stage.name, epoch))
        index, look = order.permutation(len(train)), self.progress.epoch == 0
        loss = self.steps.one_pass(train, index, epoch=self.progress.done + 1, look=look, view=self.view)
        if look and self.steps.silent is not None and self.steps.silent.without:
            self.progress.no_gradient[stage.name] = self.steps.silent.record()
        return loss

    def _legacy(self, stage: Stage) -> Rows:
        """Test metrics of an epoch under names nothing may select by; the final phase only, if asked for."""
        if not self.task.legacy_test_curve or self.spec.phase is not Phase.FINAL:
            return []
        with self.clocks.running("eval"):
            found = evaluate(
                self.learner,
                self.feeds.open(self.access, "test"),
                self.card,
                self.params.batch_size,
                probe=False,
            )
        names = [name for name in found if name not in COSTS and "/" not in name]
        return [self._row(stage, "test", f"legacy_{name}", found[name]) for name in names]

    def _row(self, stage: Stage, split: str, metric: str, value: float) -> EpochRow:
        seconds = self.clocks.seconds
        return EpochRow(
            epoch=self.progress.done,
            stage=stage.name,
            split=split,
            metric=metric,
            value=float(value),
            train_s=seconds["train"],
            train_cpu_s=seconds["train_cpu"],
            eval_s=seconds["eval"],
            wall_s=self.clocks.wall,
            inherited_s=self.progress.inherited_s,
            inherited_cpu_s=self.progress.inherited_cpu_s,
            data_wait_s=seconds[WAIT],
        )

    # -- stages, artifacts, checkpoints ---------------------------------------------------------------

    def _leave(self, stage: Stage) -> None:
        self.progress.stage += 1
        self.progress.epoch = 0

    def _checkpoint_if_due(self) -> None:
        every, took = self.task.checkpoint_every, len(active().taken)
        if every and (self.progress.done % every == 0 or took != self._took):
            self._checkpoint()
            self._took = took  # what was chosen since must be chosen again, whoever goes on

    def _checkpoint(self) -> None:
        with self.clocks.running("checkpoint"):
            state = {
                "trial": self.spec.id,
                "learner": self.learner.state_dict(),
                "progress": self.progress.state(),
                "clocks": self.clocks.state(),
                "scaler": self.steps.state(),
                "choices": dict(active().taken),
            }
            self.checkpoints.save(self.spec.id, state)

    def _resume(self) -> bool:
        """Continue from the checkpoint; a checkpoint that does not fit costs its epochs, never the trial."""
        with self.clocks.running("checkpoint"):
            found = self.checkpoints.load(self.spec.id)
        if found is None or found.get("trial") != self.spec.id:
            return False
        try:
            self._restore(found)
        except Exception:  # what strange keys and shapes raise is of many types, and all mean: start afresh
            self._make()
            return False
        return bool(self.progress.rows)

    def _restore(self, found: Mapping[str, Any]) -> None:
        self.progress = Progress.restore(found["progress"])
        for stage in self.stages[: self.progress.stage + 1]:  # the network takes the form it had
            self.learner.begin(stage)
        self.learner.load_state_dict(found["learner"])
        self.steps.restore(found["scaler"])
        self.clocks.restore(found["clocks"])
        active().taken.update(plain(found.get("choices")))
        self._took = len(active().taken)

    # -- the end ------------------------------------------------------------------------------------

    def _test(self) -> dict[str, float]:
        """Test metrics at the last epoch and, without prefix, at the best validation epoch."""
        split = self.feeds.open(self.access, "test")
        size = self.params.batch_size
        with self.clocks.running("eval"):
            last = evaluate(self.learner, split, self.card, size, probe=False)
            if self.progress.best_state is not None:
                self.learner.model.load_state_dict(self.progress.best_state)
            best = evaluate(self.learner, split, self.card, size, probe=False)
        found = {
            name: value for name, value in best.items() if "/" not in name or name.startswith(BY_VARIATE)
        }
        chosen = {objective.metric for objective in self.spec.objectives}
        found |= {f"last_{name}": value for name, value in last.items() if name in chosen}
        for row in self.progress.rows:
            if row.split == "test" and row.metric in ("legacy_accuracy", "legacy_r2"):
                name = row.metric.replace("legacy_", "legacy_best_test_")
                found[name] = max(row.value, found.get(name, -math.inf))
        return found

    def _end(self, state: State, reason: str) -> TrialEnd:
        progress, seconds = self.progress, self.clocks.seconds
        test: dict[str, float] = {}
        kept: dict[str, str] = {}
        if state is State.COMPLETE and self.spec.phase is Phase.FINAL:
            last = last_state(self)
            test = self._test()
            kept = keep_model(self, last, test)
        return TrialEnd(
            state=state,
            reason=reason,
            epochs=progress.done,
            best_epoch=progress.best_epoch,
            values=progress.best_values if state is State.COMPLETE else (),
            test=tuple(sorted(test.items())),
            stage_train_s=tuple(progress.stage_train_s.items()),
            inherited_s=progress.inherited_s,
            inherited_cpu_s=progress.inherited_cpu_s,
            train_s=seconds["train"],
            train_cpu_s=seconds["train_cpu"],
            data_wait_s=seconds[WAIT],
            eval_s=seconds["eval"],
            prepare_s=seconds["prepare"],
            checkpoint_s=seconds["checkpoint"],
            wall_s=self.clocks.wall,
            metadata=self._metadata() | kept,
        )

    def _metadata(self) -> dict[str, Any]:
        train, valid = self.splits[self.spec.dataset.name]
        at_best = self.progress.best_costs
        return {
            "pretrain_s": self.progress.pretrain_s,
            "pretrain_cpu_s": self.progress.pretrain_cpu_s,
            "best_train_s": self.progress.best_train_s,
            "best_total_s": self.progress.best_total_s,
            "parameters": trainable(self.learner.model),
            "timesteps": self.progress.timesteps,
            "splits": {"train": train.digest, "valid": valid.digest},
            "data": self.data_metadata,
            **({NO_GRADIENT: self.progress.no_gradient} if self.progress.no_gradient else {}),
            **{
                name: at_best.get(name)
                for name in COSTS
                if name not in ("parameters", "train_s", "total_s", "peak_mib")
            },
        }


def trainable(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
