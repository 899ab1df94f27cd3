"""One driver a study: a lock that names its holder and beats; one whose holder is gone is taken over.

No clocks are compared. Where the kernel's advisory lock works (every local folder, most network ones) it
decides, and vanishes with its process. A holder of this machine is alive or not. Any other one is watched:
while its heartbeat changes it is respected.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import socket
import stat
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress

from harness.errors import LockedError, StoreError
from harness.store.files import Files
from harness.store.holder import SIZE, Holder, parse, this
from harness.store.stopping import clear_stop, requested_stop

log = logging.getLogger("harness.store")
BEAT_S = 5.0
WATCH_S = 30.0  # a heartbeat that did not change for so long is none
SETTLE_S = 2.0  # in an object store: of two drivers that begin together the later writer stays


class StudyLock:
    """Held while a driver runs; use as a context manager. Raises LockedError if another driver holds it.

    Where another driver takes over (this process slept too long, or was unlocked), the main thread is
    interrupted and leaving the context raises LockedError. A request to stop now interrupts it too; one to
    stop after the running trials calls ``wind_down``.
    """

    def __init__(self, files: Files, study: str, wind_down: Callable[[], None] | None = None) -> None:
        self._files, self._study, self._wind_down = files, study, wind_down
        self._name = lock_name(study)
        self._token, self._beats_done = uuid.uuid4().hex, 0
        self._handle: int | None = None
        self._lost = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> StudyLock:
        try:
            if self._files.local is not None:
                self._take_local()
            else:
                self._take_remote()
            with suppress(OSError, StoreError):  # asked of an earlier driver
                clear_stop(self._files, self._study)
        except BaseException:
            if self._handle is not None:
                os.close(self._handle)
            raise
        self._thread = threading.Thread(target=self._beats, name="study-lock", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=BEAT_S)
        if not self._lost:
            self._release()
        if self._handle is not None:
            os.close(self._handle)
        if self._lost and (kind is None or issubclass(kind, KeyboardInterrupt)):
            raise LockedError(f"study '{self._study}' {self._lost}; this driver has stopped.") from None

    def _release(self) -> None:
        with suppress(OSError, StoreError):
            if self._handle is not None:
                os.ftruncate(self._handle, 0)
            else:
                self._files.delete(self._name)

    # -- taking ---------------------------------------------------------------------------------------

    def _take_local(self) -> None:
        self._handle = open_lock(self._files, self._study)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            kernel_decides = True
        except BlockingIOError:
            raise self._refusal(parse(self._read())) from None
        except OSError:  # a file system without locks
            kernel_decides = False
        self._validate_free(kernel_decides=kernel_decides)
        self._beat()

    def _take_remote(self) -> None:
        self._validate_free(kernel_decides=False)
        self._beat()
        time.sleep(SETTLE_S)
        now = parse(self._read())
        if now is None or now.token != self._token:
            raise self._refusal(now)

    def _validate_free(self, *, kernel_decides: bool) -> None:
        first = self._read()
        holder = parse(first)
        if holder is None:
            return
        alive = holder.alive()
        if alive is False or (kernel_decides and (alive or holder.host == socket.gethostname())):
            return
        if alive:
            raise self._refusal(holder)
        log.warning(
            "study '%s' was last run by %s: watching its heartbeat for %g s", self._study, holder, WATCH_S
        )
        until = time.monotonic() + WATCH_S
        while time.monotonic() < until:
            time.sleep(min(BEAT_S, WATCH_S) / 2)
            now = self._read()
            if parse(now) is None:  # it has ended
                return
            if now != first:
                raise self._refusal(parse(now))

    def _refusal(self, holder: Holder | None) -> LockedError:
        return LockedError(
            f"study '{self._study}' is being run by {holder or 'another driver'}. Wait for it, stop it, or "
            "launch under another name. "
            f"If it is gone: harness unlock {self._study} --results {self._files.root}"
        )

    # -- holding --------------------------------------------------------------------------------------

    def _beats(self) -> None:
        while not self._stop.wait(BEAT_S):
            try:
                self._lost = self._taken()
                if self._lost:
                    return _interrupt()
                self._beat()
                if self._wind_down is not None and self._asked_to_stop(self._wind_down):
                    return _interrupt()
            except (OSError, StoreError):
                continue  # a full disk or a lost network must not kill the driver; the next commit says so

    def _asked_to_stop(self, wind_down: Callable[[], None]) -> bool:
        """Pass a request on; whether it is to stop now."""
        now = requested_stop(self._files, self._study)
        if now is None:
            return False
        clear_stop(self._files, self._study)
        wind_down()
        return now

    def _taken(self) -> str:
        """Who took the lock meanwhile; "" if nobody did."""
        if self._handle is not None:
            try:
                if not os.path.samestat(os.stat(self._files.path(self._name)), os.fstat(self._handle)):
                    return "was taken over by another driver"
            except FileNotFoundError:
                return "was unlocked"
        holder = parse(self._read())
        if holder is None:
            return "was unlocked"
        return "" if holder.token == self._token else f"was taken over by {holder}"

    def _read(self) -> bytes:
        if self._handle is not None:
            return os.pread(self._handle, SIZE, 0)
        try:
            return self._files.read(self._name, SIZE)
        except FileNotFoundError:
            return b""

    def _beat(self) -> None:
        self._beats_done += 1
        content = this(self._token, self._beats_done).content()
        if self._handle is None:
            self._files.write(self._name, content)
        else:
            with suppress(OSError):  # a full disk: the kernel's lock still holds
                os.pwrite(self._handle, content, 0)
                os.ftruncate(self._handle, SIZE)


def _interrupt() -> None:
    """Stop the main thread as Ctrl-C does, also where a shell has switched that off for a background job."""
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGTERM if ignored else signal.SIGINT)


def lock_name(study: str) -> str:
    """Where the lock of a study is."""
    return f"studies/{study}/.lock.json"


def open_lock(files: Files, study: str) -> int:
    """The lock file, made if need be. Raises StoreError if something else has its name."""
    path = files.path(lock_name(study))
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _no_lock(files, study) from None
        raise StoreError(
            f"results folder {files.root} is not writable: {error.strerror}. "
            "Choose another one with --results."
        ) from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(handle)
        raise _no_lock(files, study)
    return handle


def _no_lock(files: Files, study: str) -> StoreError:
    return StoreError(
        f"{files.path(lock_name(study))} is no lock file but a link, a folder or a FIFO. "
        f"Remove it: harness unlock {study} --results {files.root}"
    )


def holder_of(files: Files, study: str) -> Holder | None:
    """Who the lock of a study names and is not known to be gone; None if nobody. Raises StoreError."""
    try:
        found = parse(files.read(lock_name(study), SIZE))
    except FileNotFoundError:
        return None
    return found if found is not None and found.alive() is not False else None


def unlock(files: Files, study: str) -> Holder | None:
    """Remove a lock that nobody holds any more, whatever has its name; the holder that it named.

    Raises LockedError if the holder runs on this machine, StoreError if it cannot be removed.
    """
    path = files.path(lock_name(study))
    if files.local is None:
        try:
            holder = parse(files.read(lock_name(study), SIZE))
        except FileNotFoundError:
            return None
        if holder is not None and holder.alive():
            raise LockedError(f"study '{study}' is being run by {holder}, which is alive: stop it first.")
        files.delete(lock_name(study))
        return holder
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode):
            os.rmdir(path) if stat.S_ISDIR(mode) else os.unlink(path)
            return None
        holder = _unlock_local(path, study)
        os.unlink(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot remove {path}: {error.strerror}.") from None
    return holder


def _unlock_local(path: str, study: str) -> Holder | None:
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        holder = parse(os.pread(handle, SIZE, 0))
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = holder or "another driver"
        raise LockedError(f"study '{study}' is being run by {who}, which is alive: stop it first.") from None
    finally:
        os.close(handle)
    return holder
