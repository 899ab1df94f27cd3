"""Ray Tune as the executor (``--engine tune``), for those whose callbacks and products live in it.

Tune places attempts and keeps one worker warm between them. It ends a whole run for some faults of one worker
(memory among them): then the attempts that ran are INTERRUPTED and a new Tuner goes on with what is missing.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from typing import TYPE_CHECKING

from harness.engine import faults
from harness.engine.base import ENGINE_FAILED, Capacity, Director
from harness.engine.cluster import RayCluster, signals_as_they_are
from harness.errors import ResourceError
from harness.scratch import scratch_folder
from harness.studyfile.values import ClusterSpec
from harness.train.task import OUT_OF_MEMORY

if TYPE_CHECKING:
    from harness.engine.tune_parts import Ask

log = logging.getLogger("harness.engine")
TRIES, WITHIN_S = 3, 600.0


class TuneEngine:
    """Trials through Ray Tune. Use as a context manager, as :class:`harness.engine.pool.RayEngine`."""

    def __init__(self, cluster: ClusterSpec) -> None:
        self.cluster = RayCluster(cluster)

    def __enter__(self) -> TuneEngine:
        self.cluster.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.cluster.__exit__(*exc)

    def capacity(self) -> Capacity:
        """The nodes that are alive."""
        return self.cluster.capacity()

    def run(self, director: Director) -> None:
        """Run until the director is finished. Raises what the director raised, and ResourceError."""
        from harness.engine.tune_parts import Ask  # imports ray, which reads its environment then

        failures: deque[float] = deque(maxlen=TRIES)
        while not director.finished():
            ask = Ask(director, len(self.capacity().nodes))
            error = self._fit(ask)
            why = "Ray Tune ended" if error is None else f"Ray Tune: {faults.line(error)}"
            for trial_id in list(ask.tasks):
                full = error is not None and f"pid={ask.pids.get(trial_id)}," in faults.chain(error)
                ask.interrupted(trial_id, OUT_OF_MEMORY if full else ENGINE_FAILED, why)
            self.cluster.require()
            if ask.failure is not None:
                raise ask.failure
            if error is None:
                continue
            failures.append(time.monotonic())
            if len(failures) == TRIES and failures[-1] - failures[0] < WITHIN_S:
                raise ResourceError(f"{TRIES} failures in ten minutes, the last: {why}. Try --engine ray.")
            log.warning("%s; a new one goes on", why)

    def _fit(self, ask: Ask) -> Exception | None:
        """One Tuner until nothing is left for it; the error that ended it."""
        from ray import tune

        from harness.engine.tune_parts import Attempt, Reports, resources

        whole = max(cpus for cpus, _ in self.capacity().nodes)
        slots = max(1, int(self.capacity().cpus))  # Tune holds back what the cluster cannot place yet
        with scratch_folder("tune") as scratch:
            tuner = tune.Tuner(
                tune.with_resources(Attempt, resources(whole)),
                tune_config=tune.TuneConfig(
                    search_alg=ask,
                    scheduler=Reports(ask),
                    num_samples=-1,
                    max_concurrent_trials=slots,
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(storage_path=str(scratch), verbose=0),
            )
            os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Ctrl-C is ours: Tune would only begin again
            restore = signals_as_they_are()  # what it still takes
            try:
                tuner.fit()
            except Exception as error:  # Tune wraps what Ray raises in errors of many kinds
                return error
            finally:
                restore()
        return None
