"""The store, its lock and a study on S3, with moto's server behind pyarrow's own client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from harness.engine.local import LocalEngine
from harness.errors import LockedError
from harness.store import lock
from harness.store.holder import parse
from harness.store.joining import join
from harness.store.lock import StudyLock, unlock
from harness.store.models import Models
from harness.store.results import ResultStore
from harness.store.verify import verify
from harness.study import Study
from tests.conftest import MakeStudy
from tests.store.made import epochs, filled, trial
from tests.store.test_lock import dead_pid

pytest.importorskip("moto.server", reason="moto[server] is not installed")
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
HOLD = """
import sys, time
from harness.store.files import Files
from harness.store.lock import StudyLock
with StudyLock(Files(sys.argv[1]), "s"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 of our own on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5):
                break
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
        process.terminate()
        process.wait(30)


@pytest.fixture
def root(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A results root in a new bucket."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(lock, "SETTLE_S", 0.5)
    monkeypatch.setattr(lock, "BEAT_S", 0.2)
    monkeypatch.setattr(lock, "WATCH_S", 2.0)
    bucket = f"b{uuid.uuid4().hex}"
    with urlopen(Request(f"http://{server}/{bucket}", method="PUT"), timeout=30):
        pass
    return f"s3://{bucket}/results?endpoint_override={server}&scheme=http&region=us-east-1"


def test_a_store_is_a_store(root: str, tmp_path: Path) -> None:
    store = filled(root, range(4))
    assert store.compact("s") == 4
    store.commit(trial(4), epochs())
    assert sorted(ResultStore(root).trials("s")["number"]) == [0, 1, 2, 3, 4]
    assert len(ResultStore(root).epochs("s")) == 10
    filled(tmp_path / "b", range(3, 7))
    assert join(store, [ResultStore(tmp_path / "b")]).copied == 2
    store.files.write(f"trials/s/{9:016x}-1.parquet", b"PAR1 no")
    found = verify(ResultStore(root))
    assert [problem.name for problem in found.aside] == [f"trials/s/{9:016x}-1.parquet"]
    assert verify(ResultStore(root)).aside == []
    assert sorted(ResultStore(root).trials("s")["number"]) == list(range(7))
    assert len(ResultStore(root).epochs("s")) == 14


def test_a_killed_driver_of_this_machine_is_followed_at_once(root: str) -> None:
    environment = {**os.environ, **KEYS}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, root], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=rf"pid {process.pid} on .*harness unlock s"):
            StudyLock(ResultStore(root).files, "s").__enter__()
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    begun = time.monotonic()
    with StudyLock(ResultStore(root).files, "s"):
        assert time.monotonic() - begun < lock.WATCH_S
    assert ResultStore(root).files.names("studies/s", hidden=True) == []


@pytest.mark.parametrize("ahead_s", [-300.0, 300.0])
def test_a_driver_elsewhere_whose_clock_is_five_minutes_off(root: str, ahead_s: float) -> None:
    """Two drivers ran on one study: now the second waits for the first one's heartbeat to stand still."""
    files = ResultStore(root).files
    there = {"host": "elsewhere", "pid": dead_pid(), "machine": "elsewhere"}

    def beat(number: int) -> None:
        content = {**there, "heartbeat": time.time() + ahead_s, "beat": number}
        files.write(lock.lock_name("s"), json.dumps(content).encode())

    beat(0)
    code = (
        "import json, sys, time\nfrom harness.store.files import Files\n"
        "files = Files(sys.argv[1])\nprint('on', flush=True)\n"
        "for n in range(1, 10000):\n"
        "    files.write(sys.argv[2], json.dumps({**json.loads(sys.argv[3]), 'beat': n}).encode())\n"
        "    time.sleep(0.2)\n"
    )
    command = [sys.executable, "-c", code, root, lock.lock_name("s"), json.dumps(there)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **KEYS}) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(LockedError, match="on elsewhere"):
            StudyLock(files, "s").__enter__()
        other.kill()
    with StudyLock(files, "s"):
        held = parse(files.read(lock.lock_name("s")))
        assert held is not None
        assert held.pid == os.getpid()


def test_unlock(root: str) -> None:
    files = ResultStore(root).files
    files.write(lock.lock_name("s"), json.dumps({"host": "elsewhere", "pid": 7}).encode())
    assert str(unlock(files, "s")) == "pid 7 on elsewhere"
    assert unlock(files, "s") is None


def test_a_study_runs_and_resumes(root: str, make_study: MakeStudy) -> None:
    small = ("search.trials=1", "search.epochs=1", "confirm.seeds=0", "final.seeds=1", "search.pruner=none")
    first = Study(make_study(*small), root).run(LocalEngine())
    again = Study(make_study(*small, "search.trials=2"), root).run(LocalEngine())
    assert first.finished == first.planned
    assert again.finished == again.planned
    assert again.ran >= 2
    store = ResultStore(root)
    assert not store.epochs("toy").duplicated(["trial_id", "attempt", "epoch", "metric", "split"]).any()
    assert store.problems == []
    models = Models(root, "toy")
    assert set(models.trials()) >= set(store.trials("toy").query("test_value.notna()")["trial_id"])
    assert all(models.weights(models.card(trial)) for trial in models.trials())
    assert models.size()[1] > 0
