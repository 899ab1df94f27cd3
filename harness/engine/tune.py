"""Ray Tune as the executor: the only module that imports ray.

Tune places trials, keeps workers alive between them and notices when one dies; it decides nothing and
stores nothing. A :class:`Searcher` hands out what the director says, a :class:`TrialScheduler` passes rows
back and stops what the director prunes. Every Tune trial is one attempt; Tune never retries or restores.
"""

from __future__ import annotations

import base64
import os
import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from harness.engine.base import WORKER_DIED, Capacity, Director
from harness.errors import HarnessError, ResourceError
from harness.scratch import scratch_folder
from harness.studyfile.values import ClusterSpec
from harness.train.attempt import run_attempt
from harness.train.task import Task
from harness.trial import Report, Resources, State, TrialEnd

BATCH_S = 0.05  # epochs shorter than this are reported together
OBJECT_STORE_BYTES = 200 * 2**20
_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "1000",
    "TUNE_STATE_REFRESH_PERIOD": "10",
}
_FORWARDED = ("HARNESS_DATA", "HARNESS_CACHE", "OMP_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class _Carried:
    """A task inside a Tune configuration; its text stays short in Tune's own names."""

    task: Task

    def __repr__(self) -> str:
        return self.task.spec.id


class Attempt(tune.Trainable):
    """A worker. Reused from attempt to attempt; each starts clean (:func:`run_attempt`)."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the first attempt."""
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another attempt in the same process."""
        self._close()
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._run = run_attempt(config["carried"].task)
        self._started = False

    def step(self) -> dict[str, Any]:
        """One epoch, or as many as fit into :data:`BATCH_S`."""
        reports: list[Report] = []
        end: TrialEnd | None = None
        until = time.monotonic() + BATCH_S
        try:
            while not reports or time.monotonic() < until:
                reports.append(self._run.send(True) if self._started else next(self._run))
                self._started = True
        except StopIteration as stop:
            end = stop.value
        payload = base64.b64encode(pickle.dumps((tuple(reports), end))).decode()  # Tune logs text cheaply
        return {"payload": payload, "done": end is not None}

    def cleanup(self) -> None:
        """Stop what still runs."""
        self._close()

    def _close(self) -> None:
        """Let a pruned attempt write its checkpoint."""
        if self._started:
            with suppress(StopIteration):
                self._run.send(False)
        self._run.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: attempts keep their own checkpoints."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: attempts keep their own checkpoints."""


class _Bridge:
    """What searcher and scheduler share: the director and the tasks that run, by Tune's trial id."""

    def __init__(self, director: Director | None) -> None:
        self._director = director
        self.tasks: dict[str, Task] = {}
        self.failure: BaseException | None = None

    def __reduce__(self) -> tuple[object, ...]:
        """Tune pickles its searcher to restore it later, which the harness never does."""
        return (_Bridge, (None,))

    @property
    def director(self) -> Director:
        """The study."""
        assert self._director is not None, "a bridge restored by Tune has no study"
        return self._director

    def suggest(self, trial_id: str) -> Task | str | None:
        """A task, None to wait, or Searcher.FINISHED."""
        if self.failure is not None:
            return str(Searcher.FINISHED)
        try:
            task = self.director.next_task()
            if task is None:
                return str(Searcher.FINISHED) if self.director.finished() else None
        except HarnessError as error:
            self.failure = error
            return str(Searcher.FINISHED)
        self.tasks[trial_id] = task
        return task

    def report(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Pass rows on; False if the trial is to stop. An end that came along is committed."""
        task = self.tasks.get(trial_id)
        if task is None:
            return False
        try:
            reports, end = pickle.loads(base64.b64decode(result["payload"]))
            for report in reports:
                if not self.director.report(task, report.rows):
                    self._end(trial_id, replace(report.so_far, state=State.PRUNED, reason="pruned"))
                    return False
            if end is not None:
                self._end(trial_id, end)
        except HarnessError as error:
            self.failure = error
            return False
        return self.failure is None

    def lost(self, trial_id: str, detail: str) -> None:
        """A worker or its node died."""
        if trial_id in self.tasks:
            try:
                self._end(trial_id, TrialEnd(State.INTERRUPTED, WORKER_DIED, detail))
            except HarnessError as error:
                self.failure = error

    def _end(self, trial_id: str, end: TrialEnd) -> None:
        self.director.end(self.tasks.pop(trial_id), end)


class _Ask(Searcher):
    """Hands out tasks; Tune's errors can only come from workers or nodes that died."""

    def __init__(self, bridge: _Bridge) -> None:
        super().__init__(metric=None, mode=None)
        self._bridge = bridge

    def suggest(self, trial_id: str) -> Any:
        """The next configuration."""
        task = self._bridge.suggest(trial_id)
        return {"carried": _Carried(task)} if isinstance(task, Task) else task

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A Tune trial is over."""
        if error:
            self._bridge.lost(trial_id, "the worker process or its node died")

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the tables are the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the tables are the state."""


class _Report(FIFOScheduler):
    """Passes rows to the director, stops what it prunes, and keeps idle workers for the next attempts."""

    def __init__(self, bridge: _Bridge, slots: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._bridge, self._slots = bridge, slots
        self._held: Any = None

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A Tune trial was made: workers of its shape are worth keeping."""
        super().on_trial_add(tune_controller, trial)
        self._hold(tune_controller, trial.placement_group_factory)

    def _hold(self, wrapped: Any, shape: Any) -> None:
        """Let Tune cache a worker a slot, of the shape asked for last.

        By itself Tune keeps one idle worker: when two attempts end together, one process dies and a new one
        imports torch for seconds. Where Tune's cache is not found, only that speed is lost.
        """
        cache = getattr(getattr(wrapped, "_tune_controller", None), "_actor_cache", None)
        if cache is None or shape == self._held:
            return
        if self._held is not None:
            cache.decrease_max(self._held, self._slots)
        cache.increase_max(shape, self._slots)
        self._held = shape

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Rows have come."""
        go_on = self._bridge.report(trial.trial_id, result)
        return str(TrialScheduler.CONTINUE if go_on else TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """The last rows have come, and the end with them."""
        self._bridge.report(trial.trial_id, result)


class TuneEngine:
    """Trials on a Ray cluster. Use as a context manager: it shuts down the cluster that it started."""

    def __init__(self, cluster: ClusterSpec) -> None:
        self._cluster = cluster
        self._ours = False

    def __enter__(self) -> TuneEngine:
        os.environ.update({name: value for name, value in _SETTINGS.items() if name not in os.environ})
        if ray.is_initialized():
            return self
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
        try:
            if self._cluster.address:
                forwarded = {name: os.environ[name] for name in _FORWARDED if name in os.environ}
                ray.init(address=self._cluster.address, runtime_env={"env_vars": forwarded}, **quiet)
            else:
                os.environ.setdefault("OMP_NUM_THREADS", "1")
                ray.init(
                    address="local",  # never somebody else's cluster on this machine
                    num_cpus=self._cluster.cpus,
                    num_gpus=None if self._cluster.gpus is None else int(self._cluster.gpus),
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    _node_ip_address="127.0.0.1",
                    **quiet,
                )
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            where = self._cluster.address or "on this machine"
            line = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ResourceError(f"no Ray cluster {where}: {line}") from None
        self._ours = True
        return self

    def __exit__(self, *exc: object) -> None:
        if self._ours:
            ray.shutdown()

    def capacity(self) -> Capacity:
        """The nodes that are alive."""
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return Capacity(tuple((node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in alive))

    def run(self, director: Director) -> None:
        """Run until the director is finished. Raises what the director raised."""
        if director.finished():
            return
        bridge = _Bridge(director)
        with scratch_folder("tune") as scratch, _quiet():
            tuner = tune.Tuner(
                tune.with_resources(Attempt, self._resources),
                tune_config=tune.TuneConfig(
                    search_alg=_Ask(bridge),
                    scheduler=_Report(bridge, self._slots()),
                    num_samples=-1,
                    max_concurrent_trials=self._slots(),
                    reuse_actors=True,
                    trial_name_creator=lambda trial: trial.trial_id,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    name="run",
                    storage_path=str(scratch),
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=0),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            tuner.fit()
        if bridge.failure is not None:
            raise bridge.failure

    def _slots(self) -> int:
        """Never fewer than could run: Tune holds back what the cluster cannot place yet."""
        return max(1, int(self.capacity().cpus))

    def _resources(self, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        asked: Resources = config["carried"].task.resources
        cpus = float(asked.cpus)
        if asked.exclusive_node:
            cpus = max(node for node, _ in self.capacity().nodes)
        bundle = {"CPU": cpus}
        if asked.gpus:
            bundle["GPU"] = asked.gpus
        return tune.PlacementGroupFactory([bundle])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Tune's own advice off the terminal; the study's display says what matters."""
    import logging
    import warnings

    logger = logging.getLogger("ray.tune")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
