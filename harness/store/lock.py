"""One driver a study: a lock with host, pid and heartbeat; one whose owner is gone is taken over."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from typing import IO, Any

from harness.errors import LockedError, StoreError
from harness.store.files import Files

BEAT_S = 5.0
STALE_S = 60.0


class StudyLock:
    """Held while a driver runs; use as a context manager. Raises LockedError if another driver holds it.

    On a local or network file system the kernel's advisory lock decides and vanishes with its process; a
    driver on another host whose heartbeat is younger than a minute is respected as well. In an object
    store only the heartbeat decides.
    """

    def __init__(self, files: Files, study: str) -> None:
        self._files, self._study = files, study
        self._name = f"studies/{study}/.lock.json"
        self._handle: IO[str] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> StudyLock:
        if self._files.local is not None:
            self._take_local()
        else:
            self._validate_stale(self._content())
        self._beat()
        self._thread = threading.Thread(target=self._beats, name="study-lock", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=BEAT_S)
        if self._handle is not None:
            self._handle.seek(0)
            self._handle.truncate()
            self._handle.flush()
            self._handle.close()
        else:
            self._files.delete(self._name)

    def _take_local(self) -> None:
        path = self._files.path(self._name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            handle = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - held until released
        except OSError as error:
            raise StoreError(
                f"results folder {self._files.root} is not writable: {error.strerror}. "
                "Choose another one with --results."
            ) from None
        handle.seek(0)
        content = _parse(handle.read())
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise self._refusal(content) from None
        if content.get("host") not in (None, socket.gethostname()):
            try:
                self._validate_stale(content)
            except LockedError:
                handle.close()
                raise
        self._handle = handle

    def _content(self) -> dict[str, Any]:
        try:
            return _parse(self._files.read(self._name).decode())
        except OSError:
            return {}

    def _validate_stale(self, content: dict[str, Any]) -> None:
        beat = content.get("heartbeat")
        if isinstance(beat, int | float) and time.time() - beat < STALE_S:
            raise self._refusal(content)

    def _refusal(self, content: dict[str, Any]) -> LockedError:
        who = f"pid {content.get('pid', '?')} on {content.get('host', '?')}"
        return LockedError(
            f"study '{self._study}' is being run by {who}. "
            "Wait for it, stop it, or launch under another name."
        )

    def _beats(self) -> None:
        while not self._stop.wait(BEAT_S):
            try:
                self._beat()
            except (OSError, StoreError, ValueError):
                continue  # a full disk must not kill the driver; the next commit reports it

    def _beat(self) -> None:
        content = {"host": socket.gethostname(), "pid": os.getpid(), "heartbeat": time.time()}
        text = json.dumps(content)
        if self._handle is None:
            self._files.write(self._name, text.encode())
            return
        try:
            self._handle.seek(0)
            self._handle.truncate()
            self._handle.write(text)
            self._handle.flush()
        except OSError:
            return  # the kernel's lock still holds


def _parse(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
