"""Commits in the background: one thread writes in order while the driver goes on.

What is on disk is whole at every moment; what a crash finds in the queue is absent, and runs again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.store.results import ResultStore

QUEUE = 64
WriteCall = Callable[[], None]
Then = Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], None]
"""What is told of a row and its epochs once they are committed; it must not raise."""


class Writer:
    """The writes of one driver, in order. After an error nothing is written; the next call raises it."""

    def __init__(self, store: ResultStore, then: Then | None = None) -> None:
        self._store, self._then = store, then
        self._queue: queue.Queue[WriteCall | None] = queue.Queue(QUEUE)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="commits", daemon=True)
        self._thread.start()

    def start(self, row: Mapping[str, Any]) -> None:
        """Record that an attempt runs. Raises StoreError of an earlier write."""
        self._put(lambda: self._store.start(row))

    def commit(self, row: Mapping[str, Any], epochs: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        """Commit the end of an attempt; ``epochs`` makes its records. Raises as :meth:`start`."""

        def write() -> None:
            records = epochs()
            self._store.commit(row, records)
            if self._then is not None:
                self._then(row, records)

        self._put(write)

    def flush(self, row: Mapping[str, Any], epochs: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        """Write the epochs of a running attempt. Raises StoreError of an earlier write."""
        self._put(lambda: self._store.flush(row, epochs()))

    def close(self) -> None:
        """Wait until everything is written. Raises StoreError if something was not."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self.check()

    def check(self) -> None:
        """Raise the error of an earlier write, if there was one."""
        if self._error is not None:
            raise self._error

    def _put(self, job: WriteCall) -> None:
        self.check()
        self._queue.put(job)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if self._error is None:
                try:
                    job()
                except Exception as error:  # kept for the driver, which raises it at its next call
                    self._error = error
