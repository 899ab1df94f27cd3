"""The one training loop: stages, epochs, steps, with clocks, seeds and checkpoints. Read it top to bottom."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.contracts import registry
from harness.contracts.data import DatasetCard, Split
from harness.contracts.pipeline import Job, Learner, Stage
from harness.errors import NonFiniteError, TrialError
from harness.ids import content_id, derive_seed
from harness.store.checkpoints import Checkpoints
from harness.train.access import Access
from harness.train.clocks import Clocks
from harness.train.evaluate import evaluate
from harness.train.forecast_metrics import BY_VARIATE
from harness.train.progress import Progress
from harness.train.task import Task
from harness.trial import COSTS, DatasetRef, EpochRow, Phase, Report, State, TrialEnd

Rows = list[EpochRow]


class TrialLoop:
    """One attempt of one trial. :meth:`run` yields the rows of each epoch and is sent whether to go on."""

    def __init__(self, task: Task, device: torch.device) -> None:
        self.task, self.spec, self.device = task, task.spec, device
        self.clocks = Clocks(device)
        self.checkpoints = Checkpoints(task.root, task.study)
        self.access = Access(self.spec.dataset, self.spec.phase)
        self.card = self.access.card
        pipeline = registry.pipeline(self.spec.pipeline)()
        self.params = pipeline.build_params(self.spec.param_values())
        self.stages = pipeline.stages(self.params, self.spec.epochs, self.spec.seed)
        with self.clocks.running("prepare"):
            self._open_splits()
            self.data_metadata = self.access.metadata()
        torch.manual_seed(derive_seed(self.spec.seed, "init"))
        with self.clocks.running("prepare"):
            self.learner = pipeline.learner(self._job(self.splits[self.spec.dataset.name][0]))
        self.progress = Progress()
        if getattr(self.params, "compile", False):
            self.learner.model.compile()

    def _open_splits(self) -> None:
        refs = {self.spec.dataset.name: self.access}
        for stage in self.stages:
            if stage.dataset is not None and stage.dataset not in refs:
                refs[stage.dataset] = Access(DatasetRef(stage.dataset), self.spec.phase)
        self.cards: Mapping[str, DatasetCard] = {name: access.card for name, access in refs.items()}
        self.splits = {name: (access.open("train"), access.open("valid")) for name, access in refs.items()}

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
                if self._adopt(stage):
                    self._leave(stage)
                    continue
            while self.progress.epoch < stage.epochs:
                rows = self._epoch(stage)
                go_on = yield self._report(rows)
                if go_on is False:
                    self._checkpoint()
                    return self._end(State.PRUNED, "pruned")
                self._checkpoint_if_due()
            self._publish(stage)
            self._leave(stage)
        return self._end(State.COMPLETE, "")

    def _report(self, rows: Rows) -> Report:
        return Report(tuple(rows), self._end(State.PRUNED, "pruned"))

    def _epoch(self, stage: Stage) -> Rows:
        progress, epoch = self.progress, self.progress.epoch
        train, valid = self.splits[stage.dataset or self.spec.dataset.name]
        torch.manual_seed(derive_seed(self.spec.seed, "epoch", stage.name, epoch))
        self.learner.before_epoch(epoch)
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
        measured["parameters"] = float(trainable(self.learner.model))
        progress.epoch, progress.done = epoch + 1, progress.done + 1
        rows = [] if loss is None else [self._row(stage, "train", "loss", loss)]
        rows += [self._row(stage, "valid", name, value) for name, value in measured.items()]
        if stage.counts:
            self._consider(measured)
            rows += self._legacy(stage)
        progress.rows += rows
        if self.task.timeout_s and self.clocks.wall > self.task.timeout_s:
            raise TrialError(f"ran longer than timeout_s {self.task.timeout_s:g}", reason="timeout")
        return rows

    def _consider(self, measured: Mapping[str, float]) -> None:
        total_s = self.clocks.seconds["train"] + self.progress.inherited_s
        final = self.spec.phase is Phase.FINAL
        costs = {**measured, "train_s": total_s}
        state = self.learner.model.state_dict() if final else None
        self.progress.consider(costs, self.spec.objectives, total_s=total_s, state=state)

    def _train(self, stage: Stage, train: Split, epoch: int) -> float | None:
        """One pass; the mean loss, None where the learner fits in closed form."""
        if self.learner.fit(train):
            return None
        size = self.params.batch_size
        order = np.random.default_rng(derive_seed(self.spec.seed, "order", stage.name, epoch))
        index = order.permutation(len(train))
        total = torch.zeros((), device=self.device)
        for start in range(0, len(index), size):
            batch = train.batch(index[start : start + size]).to(self.device)
            total += self._step(batch) * len(batch)
        return float(total) / len(index)

    def _step(self, batch: Any) -> torch.Tensor:
        precision = getattr(self.params, "precision", "fp32")
        dtype = {"fp32": None, "bf16": torch.bfloat16, "amp": torch.float16}[precision]
        if self.device.type == "cpu" and dtype is torch.float16:
            dtype = torch.bfloat16  # CPUs train no half precision; amp means bf16 there
        for optimizer in self.learner.optimizers:
            optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            loss = self.learner.loss(batch)
        if not torch.isfinite(loss):
            raise NonFiniteError(
                f"training loss is {loss.item()} in epoch {self.progress.done + 1}, before its update"
            )
        scaler = self._scaler(dtype)
        (loss if scaler is None else scaler.scale(loss)).backward()
        clip = getattr(self.params, "grad_clip", 0.0)
        for optimizer in self.learner.optimizers:
            if scaler is not None and clip:
                scaler.unscale_(optimizer)
        if clip:
            nn.utils.clip_grad_norm_(self.learner.model.parameters(), clip)
        for optimizer in self.learner.optimizers:
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)
        if scaler is not None:
            scaler.update()
        self.learner.after_step()
        return loss.detach()

    def _scaler(self, dtype: torch.dtype | None) -> torch.amp.GradScaler | None:
        if dtype is not torch.float16:
            return None
        if not hasattr(self, "_grad_scaler"):
            self._grad_scaler = torch.amp.GradScaler(self.device.type)
        return self._grad_scaler

    def _legacy(self, stage: Stage) -> Rows:
        """Test metrics of an epoch under names nothing may select by; the final phase only, if asked for."""
        if not self.task.legacy_test_curve or self.spec.phase is not Phase.FINAL:
            return []
        with self.clocks.running("eval"):
            found = evaluate(
                self.learner, self.access.open("test"), self.card, self.params.batch_size, probe=False
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
            train_s=seconds["train"] + self.progress.inherited_s,
            train_cpu_s=seconds["train_cpu"] + self.progress.inherited_cpu_s,
            eval_s=seconds["eval"],
            wall_s=self.clocks.wall,
        )

    # -- stages, artifacts, checkpoints ---------------------------------------------------------------

    def _leave(self, stage: Stage) -> None:
        self.progress.stage += 1
        self.progress.epoch = 0

    def _adopt(self, stage: Stage) -> bool:
        """Take a shared artifact over, with its curve, and pay its training time in the total."""
        if stage.artifact is None or stage.epochs == 0:
            return False
        with self.clocks.running("checkpoint"):
            found = self.checkpoints.load_artifact(self._artifact_id(stage))
        if found is None:
            return False
        self.learner.load_state_dict(found["learner"])
        progress = self.progress
        progress.inherited_s += found["train_s"]
        progress.inherited_cpu_s += found["train_cpu_s"]
        progress.stage_train_s[stage.name] = found["train_s"]
        if stage.pretrain:
            progress.pretrain_s += found["train_s"]
            progress.pretrain_cpu_s += found["train_cpu_s"]
        progress.done += stage.epochs
        return True

    def _publish(self, stage: Stage) -> None:
        if stage.artifact is None or stage.epochs == 0:
            return
        with self.clocks.running("checkpoint"):
            mine = [row for row in self.progress.rows if row.stage == stage.name]
            cpu = mine[-1].train_cpu_s - self._before(stage) if mine else 0.0
            self.checkpoints.save_artifact(
                self._artifact_id(stage),
                {
                    "learner": self.learner.state_dict(),
                    "train_s": self.progress.stage_train_s.get(stage.name, 0.0),
                    "train_cpu_s": cpu,
                },
            )

    def _artifact_id(self, stage: Stage) -> str:
        ref = self.spec.dataset if stage.dataset is None else DatasetRef(stage.dataset)
        return artifact_id(stage, {**ref.content(), "revision": self.cards[ref.name].revision})

    def _before(self, stage: Stage) -> float:
        earlier = [row.train_cpu_s for row in self.progress.rows if row.stage != stage.name]
        return earlier[-1] if earlier else 0.0

    def _checkpoint_if_due(self) -> None:
        every = self.task.checkpoint_every
        if every and self.progress.done % every == 0:
            self._checkpoint()

    def _checkpoint(self) -> None:
        with self.clocks.running("checkpoint"):
            state = {
                "trial": self.spec.id,
                "learner": self.learner.state_dict(),
                "progress": self.progress.state(),
                "clocks": self.clocks.state(),
            }
            self.checkpoints.save(self.spec.id, state)

    def _resume(self) -> bool:
        with self.clocks.running("checkpoint"):
            found = self.checkpoints.load(self.spec.id)
        if found is None or found.get("trial") != self.spec.id:
            return False
        self.progress = Progress.restore(found["progress"])
        for stage in self.stages[: self.progress.stage]:  # the network takes the form it had
            self.learner.begin(stage)
        if self.progress.stage < len(self.stages):
            self.learner.begin(self.stages[self.progress.stage])
        self.learner.load_state_dict(found["learner"])
        self.clocks.restore(found["clocks"])
        return bool(self.progress.rows)

    # -- the end ------------------------------------------------------------------------------------

    def _test(self) -> dict[str, float]:
        """Test metrics at the last epoch and, without prefix, at the best validation epoch."""
        split = self.access.open("test")
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
        if state is State.COMPLETE and self.spec.phase is Phase.FINAL:
            test = self._test()
        return TrialEnd(
            state=state,
            reason=reason,
            epochs=progress.done,
            best_epoch=progress.best_epoch,
            values=progress.best_values if state is State.COMPLETE else (),
            test=tuple(sorted(test.items())),
            stage_train_s=tuple(progress.stage_train_s.items()),
            inherited_s=progress.inherited_s,
            train_s=seconds["train"],
            train_cpu_s=seconds["train_cpu"],
            eval_s=seconds["eval"],
            prepare_s=seconds["prepare"],
            checkpoint_s=seconds["checkpoint"],
            wall_s=self.clocks.wall,
            metadata=self._metadata(),
        )

    def _metadata(self) -> dict[str, Any]:
        train, valid = self.splits[self.spec.dataset.name]
        at_best = self.progress.best_costs
        return {
            "pretrain_s": self.progress.pretrain_s,
            "pretrain_cpu_s": self.progress.pretrain_cpu_s,
            "inherited_cpu_s": self.progress.inherited_cpu_s,
            "best_train_s": self.progress.best_train_s,
            "parameters": trainable(self.learner.model),
            "splits": {"train": train.digest, "valid": valid.digest},
            "data": self.data_metadata,
            **{name: at_best.get(name) for name in COSTS if name not in ("parameters", "train_s")},
        }


def trainable(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def artifact_id(stage: Stage, dataset: Mapping[str, Any]) -> str:
    """The identity of a shared artifact: its data, and the content that the stage declares."""
    content = dict(stage.artifact or ())
    return content_id(
        {"stage": stage.name, "epochs": stage.epochs, "dataset": dict(dataset), "content": content}
    )


__all__ = ["Learner", "TrialLoop", "artifact_id", "trainable"]
