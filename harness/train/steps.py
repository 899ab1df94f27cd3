"""Steps of the optimisers that never wait for the device: losses stay there and are read in bulk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.contracts.data import Batch, Index, Split, View
from harness.contracts.pipeline import Learner
from harness.errors import NonFiniteError
from harness.train.clocks import Clocks
from harness.train.feed import stream
from harness.train.gradients import Silent, silent

READ_EVERY = 50
"""Steps after which the losses are read: a diverged network trains on for so many at most."""


class Steps:
    """Steps of one learner. ``params`` may have ``precision``, ``grad_clip`` and ``micro_batch``."""

    def __init__(self, learner: Learner, params: Any, clocks: Clocks) -> None:
        self.learner, self.device, self.clocks = learner, clocks.device, clocks
        device = self.device
        self.size, self.clip = int(params.batch_size), float(getattr(params, "grad_clip", 0.0))
        self.micro = int(getattr(params, "micro_batch", 0)) or self.size
        self.dtype = autocast_dtype(getattr(params, "precision", "fp32"), device)
        self.silent: Silent | None = None
        scaled = self.dtype is torch.float16
        self.scaler = torch.amp.GradScaler(device.type) if scaled else None

    def state(self) -> dict[str, Any]:
        """The loss scale for a checkpoint; empty where nothing is scaled."""
        return {} if self.scaler is None else self.scaler.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Continue with a checkpoint's loss scale."""
        if self.scaler is not None:
            self.scaler.load_state_dict(state)

    def one_pass(
        self,
        train: Split,
        index: NDArray[np.int64],
        *,
        epoch: int,
        look: bool = False,
        view: View | None = None,
    ) -> float:
        """Train on the samples ``index`` (N,) in that order; the mean loss.

        ``view`` is how the split draws them. ``look``: ``silent`` says afterwards which
        parameters got no gradient in the first step.
        Raises NonFiniteError that names the step whose loss was not finite, at most ``READ_EVERY`` steps
        later: what these steps made of the network is thrown away with the trial.
        """
        total = torch.zeros((), device=self.device)
        unread: list[Tensor] = []
        steps = [_parts(index[at : at + self.size], self.micro) for at in range(0, len(index), self.size)]
        batches = stream(train, [part for parts in steps for part in parts], view)
        for step, parts in enumerate(steps, 1):
            loss = self._step(batches, parts, look=look and step == 1)
            total += loss * sum(map(len, parts))
            unread.append(loss)
            if len(unread) == READ_EVERY or step == len(steps):
                _raise_if_not_finite(unread, epoch, step)
                unread.clear()
        return float(total) / len(index)

    def _step(self, batches: Iterator[Batch], parts: Sequence[Index], *, look: bool) -> Tensor:
        """One update by the mean loss over the next batches, parts of ``micro_batch`` samples."""
        optimizers = self.learner.optimizers
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        losses, count = [], sum(map(len, parts))
        for part in parts:
            begun = time.perf_counter()
            batch = next(batches).to(self.device)
            self.clocks.waited(begun)
            with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
                loss = self.learner.loss(batch)
            if len(part) != count:
                loss = loss * (len(part) / count)
            (loss if self.scaler is None else self.scaler.scale(loss)).backward()
            losses.append(loss.detach())
        if look:
            self.silent = silent(self.learner)
        self._update()
        self.learner.after_step()
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def _update(self) -> None:
        if self.clip:
            if self.scaler is not None:
                for optimizer in self.learner.optimizers:
                    self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.learner.model.parameters(), self.clip)
        for optimizer in self.learner.optimizers:
            if self.scaler is None:
                optimizer.step()
            else:
                self.scaler.step(optimizer)
        if self.scaler is not None:
            self.scaler.update()


def _parts(index: Index, size: int) -> list[Index]:
    return [index[start : start + size] for start in range(0, len(index), size)]


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The type of ``fp32`` (None), ``bf16`` and ``amp``, which on a CPU means bf16."""
    if precision == "amp" and device.type != "cpu":
        return torch.float16
    return None if precision == "fp32" else torch.bfloat16


def _raise_if_not_finite(losses: list[Tensor], epoch: int, last: int) -> None:
    """The one place where a pass waits for the device."""
    read = torch.stack(losses).float().cpu()
    wrong = (~torch.isfinite(read)).nonzero()
    if len(wrong):
        first = int(wrong[0])
        step = last - len(losses) + first + 1
        raise NonFiniteError(f"training loss is {float(read[first])} in step {step} of epoch {epoch}")
