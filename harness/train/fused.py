"""Several trials of one cell in one process: their networks run as one, batched by ``torch.func.vmap``.

Each trial keeps its own loop, learner, optimiser, batches, rows, checkpoint and clock; only the passes of an
epoch are shared, and a trial's training time is its share of them. Trials are fused where shapes and
constants of their networks are equal (a LIF's ``tau`` may differ); what cannot be (events, random layers,
another shape) trains by itself in the same process, and its row says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from greenlet import getcurrent, greenlet
from torch import Tensor, nn
from torch.func import functional_call, vmap

from harness.contracts.choices import active, recording, working
from harness.contracts.data import Batch, Split
from harness.contracts.pipeline import Learner, Stage
from harness.errors import NonFiniteError
from harness.ids import derive_seed
from harness.neurons.lif import LIF
from harness.train.attempt import run_attempt
from harness.train.loop import TrialLoop
from harness.train.task import Task
from harness.trial import Report, TrialEnd

_PLAIN = (bool, int, float, str, type(None))
_FREE = {"optimizer", "schedule", "grad_clip", "tau"}
"""Parts of names of parameters that may differ: a loop applies them itself, or its network's form tells."""
Said = tuple[Task, Report | TrialEnd]


def run_fused(tasks: Sequence[Task]) -> Generator[Said, bool, None]:
    """Run attempts together; yields what each says, and is sent whether that attempt goes on.

    As :func:`harness.train.attempt.run_attempt` for each: every task has exactly one TrialEnd.
    """
    members = {greenlet(partial(_attempt, task)): task for task in tasks}
    answers: dict[Any, Any] = dict.fromkeys(members)
    while answers:
        waiting: dict[Any, FusedLoop] = {}
        for member in list(answers):
            answer = answers.pop(member)
            while True:
                member.parent = getcurrent()
                said = member.switch(answer)
                if isinstance(said, FusedLoop):
                    waiting[member] = said
                    break
                answer = yield members[member], said
                if isinstance(said, TrialEnd):
                    break
        answers = dict.fromkeys(waiting)
        for loops in _alike(list(waiting.values())):
            _train(loops)


def _attempt(task: Task, _go_on: Any) -> TrialEnd:
    """The body of a member: every report goes to the one who switched here; its last word is the end."""
    attempt = run_attempt(task, FusedLoop)
    try:
        report = next(attempt)
        while True:
            report = attempt.send(getcurrent().parent.switch(report))
    except StopIteration as stop:
        end: TrialEnd = stop.value
        return end


class FusedLoop(TrialLoop):
    """A loop whose passes over the training data wait for those of the others."""

    result: float | Exception | None = None
    share: tuple[float, float] = (0.0, 0.0)
    fused = "1"

    def _train(self, stage: Stage, train: Split, epoch: int) -> float | None:
        begun, cpu = working()
        self.record = active()
        self.alone: Callable[[], float | None] = partial(super()._train, stage, train, epoch)
        self.at, self.train = (stage, epoch), train
        getcurrent().parent.switch(self)
        now, cpu_now = working()
        self.clocks.seconds["train"] -= now - begun - self.share[0]  # the clock that runs here counts it too
        self.clocks.seconds["train_cpu"] -= cpu_now - cpu - self.share[1]
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def order(self) -> Any:
        """The samples of this epoch, as the loop alone would draw them."""
        stage, epoch = self.at
        seed = derive_seed(self.spec.seed, "order", stage.name, epoch)
        return np.random.default_rng(seed).permutation(len(self.train))

    def _metadata(self) -> dict[str, Any]:
        return {**super()._metadata(), "fused": self.fused}


def _alike(loops: list[FusedLoop]) -> Iterator[list[FusedLoop]]:
    """Loops whose networks can run as one."""
    groups: dict[Any, list[FusedLoop]] = {}
    for loop in loops:
        groups.setdefault(_form(loop), []).append(loop)
    yield from groups.values()


def _form(loop: FusedLoop) -> str:
    """What must be equal: data, stage, batches, and everything of the network but its tensors and taus."""
    learner, modules = loop.learner, []
    for name, module in learner.model.named_modules():
        left_out = {"tau", "training"} if isinstance(module, LIF) else {"training"}
        plain = {k: repr(v) for k, v in vars(module).items() if _is_plain(v) and k not in left_out}
        spec = getattr(module, "spec", None)
        modules.append((name, type(module).__name__, sorted(plain.items()), repr(spec)))
    tensors = [(k, tuple(v.shape), str(v.dtype)) for k, v in learner.model.state_dict().items()]
    asked = [(name, value) for name, value in loop.spec.params if not _FREE & set(name.split("."))]
    data = (loop.at[0].name, len(loop.train), loop.train.digest)
    return repr((loop.spec.pipeline, data, asked, modules, tensors))


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, tuple) and all(map(_is_plain, value)))


def _train(loops: list[FusedLoop]) -> None:
    """One epoch of all; results and shares go into the loops."""
    if len(loops) > 1:
        reason = _unfit(loops[0])
        if not reason:
            try:
                _shared(loops, partial(_one_pass, loops))
            except Exception as error:  # vmap refuses much, by many types; nothing has been changed then
                reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"[:200]
            else:
                return
        for loop in loops:
            loop.fused = f"1 ({reason})"
    for loop in loops:
        _shared([loop], lambda loop=loop: [_result(loop.alone)])  # type: ignore[misc]


def _result(run: Callable[[], float | None]) -> float | Exception | None:
    try:
        return run()
    except Exception as error:  # raised again in its own loop
        return error


def _shared(loops: list[FusedLoop], run: Callable[[], list[Any]]) -> None:
    clocks = loops[0].clocks
    clocks._synchronize()
    record = loops[0].record
    begun, cpu = working()
    with recording(record):
        results = run()
    clocks._synchronize()
    now, cpu_now = working()
    share = ((now - begun) / len(loops), (cpu_now - cpu) / len(loops))
    for loop, result in zip(loops, results, strict=True):
        loop.result, loop.share = result, share
        loop.record.taken.update(record.taken)
        loop.record.used.update(record.used)
        if len(loops) > 1:
            loop.fused = str(len(loops))


def _unfit(loop: FusedLoop) -> str:
    """Why a loop's passes cannot be batched, "" if nothing is known."""
    if type(loop.learner).fit is not Learner.fit:
        return "it fits in closed form"
    if getattr(loop.params, "compile", False):
        return "its network is compiled"
    if getattr(loop.params, "precision", "fp32") == "amp" and loop.device.type == "cuda":
        return "amp scales its loss"
    if getattr(loop.params, "micro_batch", 0):
        return "it accumulates gradients"
    if not isinstance(loop.train.batch(np.arange(1)).x, Tensor):
        return "its samples are events"
    return ""


class _Loss(nn.Module):
    """A learner's loss as a module, so that its network's tensors can be exchanged in a call."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.model = learner.model
        self._learner = (learner,)

    def forward(self, x: Tensor, y: Tensor, length: Tensor | None) -> Tensor:
        return self._learner[0].loss(Batch(x, y, length))


def _one_pass(loops: list[FusedLoop]) -> list[float | Exception]:
    device, size = loops[0].device, loops[0].params.batch_size
    orders = [loop.order() for loop in loops]
    total = torch.zeros(len(loops), device=device)
    with _stacked(loops) as (parameters, buffers):
        step = _batched(loops, parameters, buffers)
        for start in range(0, len(orders[0]), size):
            batches = [
                loop.train.batch(order[start : start + size]).to(device)
                for loop, order in zip(loops, orders, strict=True)
            ]
            losses = step(batches)
            _update(loops, parameters)
            total += losses * len(batches[0])
    means = (total / len(orders[0])).tolist()
    return [
        mean if math.isfinite(mean) else _broken(loop, mean) for loop, mean in zip(loops, means, strict=True)
    ]


def _broken(loop: FusedLoop, mean: float) -> NonFiniteError:
    return NonFiniteError(f"training loss is {mean} in epoch {loop.progress.done + 1}, before its update")


def _batched(
    loops: list[FusedLoop], parameters: dict[str, Tensor], buffers: dict[str, Tensor]
) -> Callable[[list[Batch]], Tensor]:
    """A function from one batch a trial to the losses (k,), gradients left in ``parameters``."""
    learner = loops[0].learner
    loss, neurons = _Loss(learner), [m for m in learner.model.modules() if isinstance(m, LIF)]
    each = [[m.tau for m in loop.learner.model.modules() if isinstance(m, LIF)] for loop in loops]
    taus = torch.tensor(each, device=loops[0].device)
    differ = bool(neurons) and any(row != each[0] for row in each)
    precision = getattr(loops[0].params, "precision", "fp32")
    kind = loops[0].device.type

    def one(own: Any, kept: Any, tau: Tensor, x: Tensor, y: Tensor, length: Tensor | None) -> Tensor:
        if differ:
            for neuron, value in zip(neurons, tau.unbind(), strict=True):
                neuron.tau = value  # type: ignore[assignment]
        state = {f"model.{name}": value for name, value in (own | kept).items()}
        out: Tensor = functional_call(loss, state, (x, y, length))
        return out

    def step(batches: list[Batch]) -> Tensor:
        stack = [torch.stack([getattr(batch, name) for batch in batches]) for name in ("x", "y")]
        has = batches[0].length is not None
        length = torch.stack([batch.length for batch in batches if batch.length is not None]) if has else None
        try:
            with torch.autocast(kind, torch.bfloat16, enabled=precision != "fp32"):
                run: Callable[..., Any] = vmap(one, in_dims=(0, 0, 0, 0, 0, 0 if has else None))
                losses: Tensor = run(parameters, buffers, taus, *stack, length)
        finally:
            for neuron, value in zip(neurons, each[0], strict=True):
                neuron.tau = value
        for parameter in parameters.values():
            parameter.grad = None
        losses.sum().backward()
        return losses.detach()

    return step


def _update(loops: list[FusedLoop], parameters: dict[str, Tensor]) -> None:
    """Every learner's own optimisers on its own gradients."""
    for index, loop in enumerate(loops):
        learner, clip = loop.learner, getattr(loop.params, "grad_clip", 0.0)
        for name, parameter in learner.model.named_parameters():
            grad = parameters[name].grad
            parameter.grad = None if grad is None or not parameter.requires_grad else grad[index]
        if clip:
            nn.utils.clip_grad_norm_(learner.model.parameters(), clip)
        for optimizer in learner.optimizers:
            optimizer.step()
        learner.after_step()
        for parameter in learner.model.parameters():
            parameter.grad = None


@contextmanager
def _stacked(loops: list[FusedLoop]) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Parameters and buffers (k, ...), of which each network's own are parts while inside.

    Where what is inside raises, every network is as it was.
    """
    models = [loop.learner.model for loop in loops]
    own = [dict(model.named_parameters()) | dict(model.named_buffers()) for model in models]
    names = {name for name, _ in models[0].named_parameters()}
    before = [{name: tensor.data for name, tensor in tensors.items()} for tensors in own]
    stacks = {name: torch.stack([tensors[name].data for tensors in own]) for name in own[0]}
    for index, tensors in enumerate(own):
        for name, tensor in tensors.items():
            tensor.data = stacks[name][index]
    leaves = {name: stacks[name].detach().requires_grad_(own[0][name].requires_grad) for name in names}
    try:
        yield leaves, {name: stack for name, stack in stacks.items() if name not in names}
    except BaseException:
        for kept, tensors in zip(before, own, strict=True):
            for name, tensor in tensors.items():
                tensor.data = kept[name]
        raise
    for kept, tensors in zip(before, own, strict=True):
        for name, tensor in tensors.items():
            tensor.data = kept[name].copy_(tensor.data)  # its own memory and layout again
