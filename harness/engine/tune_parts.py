"""What Ray Tune is given: the worker as a Trainable, and the director as a Searcher with a TrialScheduler.

Every Tune trial is one attempt; Tune decides nothing and stores nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from harness.engine.base import WORKER_DIED, Director
from harness.engine.conversation import Message, Session, hear
from harness.engine.worker import BATCH_S
from harness.errors import HarnessError, ResourceError
from harness.train.task import ENVIRONMENT, OUT_OF_MEMORY, Task
from harness.trial import State, TrialEnd


class Attempt(tune.Trainable):
    """A worker. Reused from attempt to attempt; each starts clean."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the first attempt."""
        self._session = Session(BATCH_S)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another attempt in the same process."""
        self._session.stop()
        self._task, self._steps = new_config["carried"].value, 0
        return True

    def step(self) -> dict[str, Any]:
        """The next epochs; the first time nothing yet, so that the process is known if it dies in one."""
        self._steps += 1
        if self._steps == 1:
            message = Message()
        else:
            message = self._session.begin(self._task) if self._steps == 2 else self._session.send(True)
        return {"carried": Carried(message), "done": message.end is not None}

    def cleanup(self) -> None:
        """Let a pruned attempt write its checkpoint."""
        self._session.stop()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: attempts keep their own checkpoints."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: attempts keep their own checkpoints."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A task or a message inside what Tune carries; its text stays short where Tune prints it."""

    value: Any

    def __repr__(self) -> str:
        return type(self.value).__name__


class Ask(Searcher):
    """Hands out what the director says, and knows what runs, by Tune's trial id."""

    def __init__(self, director: Director, nodes: int) -> None:
        super().__init__(metric=None, mode=None)
        self._director, self._nodes, self._unfit = director, nodes, 0
        self.tasks: dict[str, Task] = {}
        self.pids: dict[str, int] = {}
        self.failure: HarnessError | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles it to restore it later, which the harness never does."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """A configuration, None to wait, or Searcher.FINISHED."""
        try:
            task = None if self.failure else self._director.next_task()
            if task is None:
                return Searcher.FINISHED if self.failure or self._director.finished() else None
        except HarnessError as error:
            self.failure = error
            return Searcher.FINISHED
        self.tasks[trial_id] = task
        return {"carried": Carried(task)}

    def heard(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Pass a message on; whether the attempt goes on."""
        task = self.tasks.get(trial_id)
        if task is None or self.failure is not None:
            return False
        message: Message = result["carried"].value
        self.pids[trial_id] = int(result["pid"])
        try:
            if hear(self._director, task, message):
                return True
            del self.tasks[trial_id]
            if message.end is not None and message.end.reason == ENVIRONMENT:
                self._unfit += 1  # Tune cannot be told to avoid a node: each has had its chance
                if self._unfit >= self._nodes:
                    self.failure = ResourceError(f"no usable node remains. {message.end.detail}")
        except HarnessError as error:
            self.failure = error
        return False

    def interrupted(self, trial_id: str, reason: str, detail: str) -> None:
        """An attempt ended without its own end."""
        task = self.tasks.pop(trial_id, None)
        facts = {"memory": "host"} if reason == OUT_OF_MEMORY else {}
        try:
            if task is not None:
                self._director.end(task, TrialEnd(State.INTERRUPTED, reason, detail, metadata=facts))
        except HarnessError as error:
            self.failure = error

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A Tune trial is over; an error can only come from a worker or a node that died."""
        if error:
            self.interrupted(trial_id, WORKER_DIED, "the worker process or its node died")

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the tables are the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the tables are the state."""


class Reports(FIFOScheduler):
    """Passes messages to the director and stops what it prunes."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ask = ask

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """A message has come."""
        go_on = self._ask.heard(trial.trial_id, result)
        return str(TrialScheduler.CONTINUE if go_on else TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """The last message has come, and the end with it."""
        self._ask.heard(trial.trial_id, result)


def resources(whole: float) -> Callable[[dict[str, Any]], tune.PlacementGroupFactory]:
    """What a configuration's worker holds; ``whole`` are the CPUs of the largest node."""

    def of(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        asked = config["carried"].value.resources
        cpus = whole if asked.exclusive_node else float(asked.cpus)
        return tune.PlacementGroupFactory([{"CPU": cpus, "GPU": asked.gpus}])

    return of
