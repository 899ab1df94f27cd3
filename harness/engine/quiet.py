"""Ray's words into a file: its C++ writes to descriptor 2, its threads print, its Python has a logger."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


@contextmanager
def native_output_to(path: str) -> Iterator[None]:
    """While inside, what Ray writes to descriptor 2, prints and logs goes to a file of mode 0600."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    kept = os.dup(2)
    words = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115 - Ray's threads outlive us
    before = (sys.stdout, sys.stderr)
    err: Any = sys.stderr
    if _is_descriptor_two(err):
        err.flush()
        err = open(kept, "w", buffering=1, closefd=False)  # noqa: SIM115 - lives as long as `kept`
    ours = (_WithoutRay(sys.stdout, words), _WithoutRay(err, words))
    sys.stdout, sys.stderr = ours
    logger = logging.getLogger("ray")
    settings = (logger.propagate, logger.handlers[:])
    logger.propagate, logger.handlers = False, [logging.StreamHandler(words)]
    os.dup2(file, 2)
    try:
        yield
    finally:
        logger.propagate, logger.handlers = settings
        os.dup2(kept, 2)
        if sys.stdout is ours[0]:
            sys.stdout = before[0]
        if sys.stderr is ours[1]:
            sys.stderr = before[1]
        os.close(kept)
        os.close(file)


class _WithoutRay:
    """A stream that sends what Ray's own threads print elsewhere; for all others it is the stream."""

    def __init__(self, stream: TextIO, words: TextIO) -> None:
        self._stream, self._words = stream, words

    def write(self, text: str) -> int:
        """Write to one or the other."""
        of_ray = threading.current_thread().name.startswith("ray_")
        return (self._words if of_ray else self._stream).write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _is_descriptor_two(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == 2)
    except (OSError, ValueError, AttributeError):
        return False
