"""A Ray cluster: started on this machine, or joined. Only :mod:`harness.engine` imports ray.

What is started here listens on loopback alone, asks for a token, has no dashboard, and lives in a folder that
only its owner can read. Ray's own words go to a file there, not to the terminal.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.engine import joining
from harness.engine.base import Capacity
from harness.engine.quiet import native_output_to
from harness.engine.watch import Watch
from harness.errors import ResourceError
from harness.scratch import scratch_folder
from harness.studyfile.values import ClusterSpec

log = logging.getLogger("harness.engine")
OBJECT_STORE_BYTES = 200 * 2**20
LEAVE_S = 8.0
_LONGEST = 36  # Ray puts sockets below its folder, and a socket's path has 107 characters


@dataclass(frozen=True, slots=True)
class RayNode:
    """A node that is alive: Ray's id, the address that a user knows it by, and what it has."""

    id: str
    name: str
    cpus: float
    gpus: float


class RayCluster:
    """A cluster as a context manager. Raises ResourceError where there is none, with what to do."""

    def __init__(self, spec: ClusterSpec) -> None:
        self.spec = spec
        self._stack = ExitStack()
        self._watch: Watch | None = None
        self._thread: threading.Thread | None = None
        self._there, self._over = threading.Event(), threading.Event()
        self._heard = False
        self._refusal: ResourceError | None = None
        self._restore: Callable[[], None] = lambda: None
        self.log_file = ""
        self.kept_log = str(Path(_short_folder()) / f"harness-ray-{os.getpid()}.log")

    def __enter__(self) -> RayCluster:
        if "ray" in sys.modules and sys.modules["ray"].is_initialized():  # the user's own, in this process
            self._heard = True
            self._watch = Watch(self.spec.address, self._alive)
            self._stack.callback(self._watch.stop)
            return self
        with ExitStack() as stack:
            folder = stack.enter_context(scratch_folder("ray", _short_folder()))
            stack.callback(self._keep_log)
            self.log_file = str(folder / "ray.log")
            stack.enter_context(native_output_to(self.log_file))
            stack.callback(_environment_as_it_is())
            restore = signals_as_they_are()
            stack.callback(restore)
            if self.spec.address:
                joining.prepare(self.spec.address)
            else:
                _own_environment(folder)
            self._thread = threading.Thread(target=self._live, args=(folder,), name="ray_life", daemon=True)
            self._thread.start()
            stack.callback(self._leave)
            self._restore, self._stack = restore, stack.pop_all()
        return self

    def _ready(self) -> Watch:
        """Wait until Ray is there: it starts while the study is read. Raises ResourceError if it is not."""
        if not self._heard:
            self._there.wait()
            self._heard = True
            self._restore()
        if self._refusal is not None:
            raise self._refusal
        if self._watch is None:
            self._watch = Watch(self.spec.address, self._alive)
        return self._watch

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _live(self, folder: Path) -> None:
        """Ray's life, in one thread: what Ray starts dies with the thread that started it."""
        try:
            self._init(folder)
        finally:
            self._there.set()
        self._over.wait()
        with suppress(Exception):  # whatever a broken Ray raises here, we are leaving
            sys.modules["ray"].shutdown()

    def _init(self, folder: Path) -> None:
        import ray

        quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        address = self.spec.address
        try:
            if address:
                ray.init(address=address, runtime_env=_runtime_env(self.spec), **quiet)
                return
            ray.init(
                address="local",  # never somebody else's cluster on this machine
                num_cpus=self.spec.cpus,
                num_gpus=None if self.spec.gpus is None else int(self.spec.gpus),
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                _temp_dir=str(folder / "r"),
                **quiet,
            )
        except Exception as error:  # Ray raises its own, the system's and bare ones
            self._refusal = joining.refusal(address, error)

    def _alive(self) -> list[dict[str, Any]]:
        import ray

        return [node for node in ray.nodes() if node["Alive"]]

    def nodes(self) -> tuple[RayNode, ...]:
        """The nodes that are alive and may hold trials. Raises ResourceError if the cluster is lost."""
        watch = self._ready()
        self.require()
        return tuple(
            RayNode(
                str(node["NodeID"]),
                str(node["NodeManagerAddress"]),
                float(node["Resources"].get("CPU", 0.0)),
                float(node["Resources"].get("GPU", 0.0)),
            )
            for node in watch.nodes()
        )

    def refresh(self) -> None:
        """Ask for the nodes now."""
        self._ready().refresh()

    def capacity(self) -> Capacity:
        """What the nodes hold; a cluster with ``grow`` may get more."""
        found = tuple((node.cpus, node.gpus) for node in self.nodes())
        return Capacity(found, grows=self.spec.grow > 0)

    def require(self) -> None:
        """Raise ResourceError if Ray itself is gone: nothing can go on, everything committed is safe."""
        watch = self._ready()
        if watch.lost:
            raise ResourceError(
                f"{watch.lost}. What was committed is safe; launch again to go on. Ray's log: {self.kept_log}"
            )

    def _leave(self) -> None:
        """Shut down, but never wait long for a Ray that is half dead."""
        self._there.wait()
        if self._watch is not None:
            self._watch.stop()
        self._over.set()
        if self._thread is not None:
            self._thread.join(LEAVE_S)
        if self._watch is not None and self._watch.lost:
            self._watch.end_own()

    def _keep_log(self) -> None:
        """The folder goes; where Ray was lost, its log is kept under the name that :meth:`require` said."""
        if self._watch is not None and self._watch.lost:
            os.replace(self.log_file, self.kept_log)


def _short_folder() -> str:
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _LONGEST else "/tmp"


@cache
def _token() -> str:
    """One token a process: Ray remembers the first that it read."""
    return secrets.token_hex(32)


def _own_environment(folder: Path) -> None:
    """What Ray reads when it starts a cluster: loopback only, and a token that only we can read."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if "ray" not in sys.modules:  # Ray reads this, its name for "not only loopback", as it is imported
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if not any(name in os.environ for name in (*joining.TOKEN_VARIABLES, "RAY_AUTH_MODE")):
        path = folder / "token"
        path.touch(mode=0o600)
        path.write_text(_token())
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)
        if "ray" not in sys.modules:  # imported already, it has read its mode, and changes it by itself
            os.environ["RAY_AUTH_MODE"] = "token"


def _runtime_env(spec: ClusterSpec) -> dict[str, Any] | None:
    """The working tree, where it was asked for; never a variable: Ray writes those into its logs."""
    if not spec.ship:
        return None
    return {"working_dir": ".", "excludes": [".git", ".venv", "results", "__pycache__"]}


def _environment_as_it_is() -> Callable[[], None]:
    kept = dict(os.environ)

    def restore() -> None:
        for name in set(os.environ) - set(kept):
            del os.environ[name]
        os.environ.update(kept)

    return restore


_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


def signals_as_they_are() -> Callable[[], None]:
    """A function that puts back the handlers of now: Ray takes SIGTERM for itself, its Tune also SIGINT."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    kept = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in kept.items():
            if handler is not None:
                signal.signal(number, handler)

    return restore
