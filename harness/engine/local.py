"""One trial after another in this process; Ray is never imported."""

from __future__ import annotations

import os

import torch

from harness.engine.base import Capacity, Director
from harness.engine.conversation import Session, hear
from harness.errors import ResourceError
from harness.train.attempt import ENVIRONMENT
from harness.train.task import Task


class LocalEngine:
    """The simplest engine, and the one whose tables are reproducible to the bit (times apart)."""

    def capacity(self) -> Capacity:
        """This machine."""
        return Capacity(((float(os.cpu_count() or 1), float(torch.cuda.device_count())),))

    def run(self, director: Director) -> None:
        """Run until the director is finished. Raises ResourceError where this machine is at fault."""
        while not director.finished():
            task = director.next_task()
            if task is None:  # nothing runs here, so nothing will change
                return
            self._attempt(director, task)

    def _attempt(self, director: Director, task: Task) -> None:
        session = Session()
        try:
            message = session.begin(task)
            while hear(director, task, message):
                message = session.send(True)
        finally:
            session.stop()
        if message.end is not None and message.end.reason == ENVIRONMENT:
            raise ResourceError(message.end.detail)
