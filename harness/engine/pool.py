"""The default engine: a pool of actors on Ray Core, one a slot, kept warm from attempt to attempt.

Placement is by resources, each worker on a node of our choice; results come by ``ray.wait``. Whatever Ray
raises for a worker ends that attempt alone: its process, its node, or the memory of either.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from harness.engine import faults
from harness.engine.base import NODE_LOST, WORKER_DIED, Capacity, Director
from harness.engine.cluster import RayCluster
from harness.engine.conversation import Message, hear
from harness.engine.placement import Node, Place, Shape, find
from harness.engine.worker import Hello, Inspection, Worker, forwarded, inspect
from harness.errors import ResourceError
from harness.studyfile.values import ClusterSpec
from harness.train.task import ENVIRONMENT, OUT_OF_MEMORY, Task
from harness.trial import State, TrialEnd

log = logging.getLogger("harness.engine")
WAIT_S = 1.0
SILENT_S = 30.0  # a worker that says nothing for so long is looked at; HARNESS_SILENT_S
LOOK_S = 2.0
QUICK_S = 1.0
MANY = 8
STARTS = 3


@dataclass(eq=False, slots=True)
class _Slot:
    """A worker and what it does: it starts (no hello yet), holds a task, or is idle.

    ``ahead`` is what it was told beforehand: where epochs are short it does not wait for the verdict on one,
    and what it trained too much is not heard.
    """

    actor: Any
    shape: Shape
    place: Place
    since: float = field(default_factory=time.monotonic)
    hello: Hello | None = None
    task: Task | None = None
    ahead: Any = None

    @property
    def idle(self) -> bool:
        """Whether it waits for a task."""
        return self.hello is not None and self.task is None


Heard = Callable[[_Slot, Any], None]


class RayEngine:
    """Trials on a Ray cluster. Use as a context manager: it leaves the cluster, or ends the one it started.

    Raises ResourceError where there is no cluster, when Ray is gone, and when no usable node remains.
    """

    def __init__(self, cluster: ClusterSpec, *, keep: bool = False) -> None:
        """``keep``: idle workers outlive a run, for a next one, and hold their room until :meth:`release`."""
        self.cluster = RayCluster(cluster)
        self._keep = keep
        self._silent_s = float(os.environ.get("HARNESS_SILENT_S", SILENT_S))
        self._nodes: dict[str, Node] = {}
        self._unfit: dict[str, str] = {}
        self._slots: list[_Slot] = []
        self._waits: dict[Any, tuple[_Slot, Heard]] = {}
        self._tasks: deque[Task] = deque()
        self._last: dict[str, str] = {}
        self._starts_failed: Counter[str] = Counter()
        self._least: Shape | None = None
        self._looked = 0.0

    def __enter__(self) -> RayEngine:
        self.cluster.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._nodes, self._slots, self._waits = {}, [], {}
        self.cluster.__exit__(*exc)

    def capacity(self) -> Capacity:
        """The nodes that are alive."""
        return self.cluster.capacity()

    def run(self, director: Director) -> None:
        """Run until the director is finished. Raises what the director raised."""
        self._director = director
        self._tasks.clear()
        try:
            while not director.finished():
                self._look()
                self._fill()
                if not self._waits and not self._tasks:  # nothing runs, so nothing will change
                    return
                self._hear()
        finally:
            for slot in [slot for slot in self._slots if not (self._keep and slot.idle)]:
                self._drop(slot)  # what it ran is closed by the study

    def release(self) -> None:
        """Let go of the workers that were kept for a next run."""
        for slot in list(self._slots):
            self._drop(slot)

    # -- what starts ----------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Give tasks to idle workers, and start a worker for each that still waits, where there is room."""
        while self._tasks or self._ask():
            shape = Shape.of(self._tasks[0].resources)
            slot = next((slot for slot in self._slots if slot.idle and slot.shape == shape), None)
            if slot is not None:
                self._begin(slot, self._tasks.popleft())
                continue
            starting = sum(slot.hello is None and slot.shape == shape for slot in self._slots)
            if starting < len(self._tasks):
                if not self._start(shape):
                    return
            elif Shape.of(self._tasks[-1].resources) != shape or not self._ask():
                return

    def _ask(self) -> bool:
        """Ask the director for another task, if a worker of the least shape so far could take it."""
        idle = sum(slot.idle for slot in self._slots)
        if self._least is not None and idle <= len(self._tasks) and not self._room(self._least):
            return False
        task = self._director.next_task()
        if task is None:
            return False
        shape = Shape.of(task.resources)
        if self._least is None or (shape.cpus and (shape.gpus, shape.cpus) < _size(self._least)):
            self._least = shape
        self._tasks.append(task)
        return True

    def _room(self, shape: Shape) -> bool:
        place = find(self._usable(), shape)
        if place is not None:
            place.free()
        return place is not None

    def _usable(self) -> list[Node]:
        return [node for node in self._nodes.values() if node.id not in self._unfit]

    def _start(self, shape: Shape) -> bool:
        """Start a worker, at the cost of idle ones of other shapes; False if there is no room yet."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        last = self._last.get(self._tasks[0].spec.id, "")
        place = find(self._usable(), shape, first=last)
        if place is None:
            for slot in [slot for slot in self._slots if slot.idle]:
                self._drop(slot)
            place = find(self._usable(), shape, first=last)
        if place is None:
            self._require_some(shape)
            return False
        remote = ray.remote(Worker).options(
            num_cpus=place.cpus,
            num_gpus=place.gpus,
            max_restarts=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(place.node.id, soft=False),
        )
        slot = _Slot(remote.remote(forwarded(), self.cluster.spec.logical_gpus), shape, place)
        self._slots.append(slot)
        self._wait(slot, slot.actor.hello.remote(), self._greeted)
        return True

    def _begin(self, slot: _Slot, task: Task) -> None:
        slot.task = task
        self._last[task.spec.id] = slot.place.node.id
        self._wait(slot, slot.actor.begin.remote(task), self._said)

    # -- what comes back ------------------------------------------------------------------------------

    def _wait(self, slot: _Slot, ref: Any, heard: Heard) -> None:
        slot.since = time.monotonic()
        self._waits[ref] = (slot, heard)

    def _hear(self) -> None:
        """Wait a moment for what the workers say."""
        import ray

        if not self._waits:  # tasks wait for a node that is to come
            time.sleep(WAIT_S)
            return
        ready, _ = ray.wait(list(self._waits), timeout=WAIT_S)
        if ready and len(self._waits) > MANY:
            ready, _ = ray.wait(list(self._waits), num_returns=len(self._waits), timeout=0)
        for ref in ready:
            if ref not in self._waits:  # its node was lost meanwhile
                continue
            slot, heard = self._waits.pop(ref)
            try:
                said = ray.get(ref)
            except Exception as error:  # Ray's errors, and what a worker could not even import
                said = error
            heard(slot, said)

    def _greeted(self, slot: _Slot, said: Any) -> None:
        if isinstance(said, Hello):
            slot.hello = said
        elif faults.is_of_node(said) or faults.is_process(said):
            self._died(slot, said)
        else:
            self._drop(slot)
            self._leave_out(slot.place.node, faults.line(said))

    def _said(self, slot: _Slot, said: Any) -> None:
        if not isinstance(said, Message):
            self._died(slot, said)
            return
        task = slot.task
        assert task is not None, "a worker speaks of its task only"
        quick = time.monotonic() - slot.since < QUICK_S
        if hear(self._director, task, said):
            following = slot.ahead if slot.ahead is not None else slot.actor.go_on.remote()
            self._wait(slot, following, self._said)
            slot.ahead = slot.actor.go_on.remote() if quick else None
            return
        slot.task = slot.ahead = None
        if said.end is None:
            slot.actor.stop.remote()
        elif said.end.reason == ENVIRONMENT:
            self._leave_out(slot.place.node, said.end.detail)

    # -- faults ---------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Every few seconds: nodes that came or went, and workers that are silent."""
        self.cluster.require()
        now = time.monotonic()
        if self._nodes and now - self._looked < LOOK_S:
            return
        self._looked = now
        alive = {node.id: node for node in self.cluster.nodes()}
        for gone in set(self._nodes) - set(alive):
            self._lost(self._nodes[gone])
        for node in alive.values():
            if node.id not in self._nodes:
                self._nodes[node.id] = Node(node.id, node.name, node.cpus, node.gpus)
        for slot in self._slots:
            if slot.hello is not None and slot.task is not None and now - slot.since > self._silent_s:
                self._inspect(slot, slot.hello.pid, self._looked_at)
                slot.since = now

    def _inspect(self, slot: _Slot, pid: int, heard: Heard) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(slot.place.node.id, soft=False)
        remote = ray.remote(inspect).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        self._waits[remote.remote(pid)] = (slot, heard)

    def _looked_at(self, slot: _Slot, said: Any) -> None:
        if isinstance(said, Inspection) and said.stopped:
            log.warning("a worker on node %s was stopped; its trial runs again", slot.place.node.name)

    def _died(self, slot: _Slot, error: Exception) -> None:
        """A worker is gone: with its node, or alone; then its node is asked whether memory was short."""
        self.cluster.refresh()
        node = slot.place.node
        if faults.is_of_node(error) or node.id not in {there.id for there in self.cluster.nodes()}:
            self._lost(node)
            return
        self._drop(slot)
        if slot.hello is None:
            self._starts_failed[node.id] += 1
            if self._starts_failed[node.id] >= STARTS:
                self._leave_out(node, f"workers die as they start: {faults.line(error)}")
        elif slot.task is not None:
            self._inspect(slot, slot.hello.pid, lambda slot, said: self._autopsy(slot, error, said))

    def _autopsy(self, slot: _Slot, error: Exception, said: Any) -> None:
        assert slot.task is not None, "only the worker of a task is looked into"
        end = TrialEnd(State.INTERRUPTED, WORKER_DIED, faults.line(error))
        before = 0 if slot.hello is None else slot.hello.oom_kills
        kernel = isinstance(said, Inspection) and said.oom_kills > before
        if faults.is_memory(error) or kernel:
            peak = said.peak_mib if isinstance(said, Inspection) else 0.0
            by = "the kernel" if kernel else "Ray"
            detail = f"{by} ended its worker on node {slot.place.node.name}: no memory left"
            facts = {"memory": "host", "peak_mib": peak}
            end = TrialEnd(State.INTERRUPTED, OUT_OF_MEMORY, detail, metadata=facts)
        self._director.end(slot.task, end)

    def _lost(self, node: Node) -> None:
        """A node is gone; what ran there runs again elsewhere."""
        self._nodes.pop(node.id, None)
        trials = 0
        slots = {slot for slot, _ in self._waits.values()} | set(self._slots)
        for slot in [slot for slot in slots if slot.place.node is node]:
            self._drop(slot)
            if slot.task is not None:
                end = TrialEnd(State.INTERRUPTED, NODE_LOST, f"node {node.name} was lost")
                self._director.end(slot.task, end)
                trials += 1
        again = "1 trial runs again" if trials == 1 else f"{trials} trials run again"
        log.warning("node %s lost; %s (Ray's log: %s)", node.name, again, self.cluster.log_file)

    def _leave_out(self, node: Node, why: str) -> None:
        """Start nothing more on a node. Raises ResourceError if it was the last one."""
        if node.id in self._unfit:
            return
        self._unfit[node.id] = f"node {node.name}: {why}"
        for slot in [slot for slot in self._slots if slot.idle and slot.place.node is node]:
            self._drop(slot)
        if not self._usable():
            raise ResourceError(f"no usable node remains. {'; '.join(self._unfit.values())}")
        log.warning("node %s is left out: %s", node.name, why)

    def _require_some(self, shape: Shape) -> None:
        """Raise ResourceError if no node that is left could ever hold the shape."""
        usable = self._usable()
        if not self.cluster.spec.grow and usable and not any(node.could(shape) for node in usable):
            asked = f"{shape.cpus:g} CPUs and {shape.gpus:g} GPUs"
            left = "; ".join(self._unfit.values()) or "the nodes that had them are gone"
            raise ResourceError(f"no node that is left has {asked}. {left}")

    def _drop(self, slot: _Slot) -> None:
        import ray

        if slot not in self._slots:
            return
        self._slots.remove(slot)
        slot.place.free()
        for ref in [ref for ref, (owner, _) in self._waits.items() if owner is slot]:
            del self._waits[ref]
        with suppress(Exception):  # it is dead already, or Ray is
            ray.kill(slot.actor, no_restart=True)


def _size(shape: Shape) -> tuple[float, float]:
    return shape.gpus, shape.cpus or float("inf")
