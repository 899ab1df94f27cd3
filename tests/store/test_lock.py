"""One driver a study, whoever and wherever the other one is, whatever stands in the lock."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.errors import LockedError, StoreError
from harness.store import holder, lock
from harness.store.files import Files
from harness.store.lock import StudyLock, unlock
from tests.store.made import filled

HOLD = """
import sys, time
from harness.store.files import Files
from harness.store.lock import StudyLock
with StudyLock(Files(sys.argv[1]), "s"):
    print("held", flush=True)
    time.sleep(600)
"""
DEEP = "[" * 100_000


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_S", 0.05)
    monkeypatch.setattr(lock, "WATCH_S", 0.6)
    monkeypatch.setattr(lock, "SETTLE_S", 0.2)


def content(root: Path) -> Path:
    path = root / "studies" / "s" / ".lock.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(60)
    return process.pid


def take(root: Path) -> None:
    with StudyLock(Files(root), "s"):
        said = json.loads(content(root).read_text())
        assert said["pid"] == os.getpid()
        assert said["host"] == socket.gethostname()


def test_free_and_free_again(tmp_path: Path) -> None:
    take(tmp_path)
    take(tmp_path)


def test_of_two_studies_both_run(tmp_path: Path) -> None:
    with StudyLock(Files(tmp_path), "other"):
        take(tmp_path)


def test_a_live_process_holds_it_and_a_killed_one_does_not(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        refusal = rf"'s' is being run by pid {process.pid} on .*Wait for it.*harness unlock s --results"
        with pytest.raises(LockedError, match=refusal):
            take(tmp_path)
        with pytest.raises(LockedError, match=rf"pid {process.pid} on .*is alive: stop it first"):
            unlock(Files(tmp_path), "s")
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert json.loads(content(tmp_path).read_text())["pid"] == process.pid  # it could not tidy up
    begun = time.monotonic()
    take(tmp_path)
    assert time.monotonic() - begun < lock.WATCH_S


@pytest.mark.parametrize("ahead_s", [-300.0, 0.0, 300.0, 1e300])
def test_another_host_is_watched_not_timed(tmp_path: Path, ahead_s: float) -> None:
    """Whatever its clock says: while the heartbeat changes it runs, once it stands still it is gone."""
    beat = {"host": "elsewhere", "pid": 7, "heartbeat": time.time() + ahead_s}
    content(tmp_path).write_text(json.dumps(beat))
    stop = threading.Event()

    def beats() -> None:
        for number in range(1000):
            with content(tmp_path).open("r+") as file:
                file.write(json.dumps({**beat, "beat": number}).ljust(200))
            if stop.wait(0.05):
                return

    thread = threading.Thread(target=beats)
    thread.start()
    try:
        with pytest.raises(LockedError, match="pid 7 on elsewhere"):
            take(tmp_path)
    finally:
        stop.set()
        thread.join()
    take(tmp_path)


HOSTILE = {
    "empty": b"",
    "half": b"{half",
    "a list": b"[]",
    "no UTF-8": b"\xff\xfe{}",
    "deep": DEEP.encode(),
    "deep in a field": b'{"host": ' + DEEP.encode(),
    "zeros": bytes(5000),
    "Infinity": b'{"host": "x", "pid": Infinity, "heartbeat": Infinity}',
    "no process": b'{"host": "x", "pid": -1}',
    "a huge pid": b'{"host": "x", "pid": 1e400, "heartbeat": 1}',
    "text": b'{"host": "x", "pid": "7"}',
    "dead elsewhere": b'{"host": "elsewhere", "pid": 7, "heartbeat": Infinity}',
    "control characters": b'{"host": "\\u001b[2J", "pid": 7}',
    "a future beat of a dead pid here": b"",  # filled in below
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_stale_and_broken_locks_are_taken_over(tmp_path: Path, kind: str) -> None:
    data = HOSTILE[kind]
    if kind.endswith("dead pid here"):
        beat = {"host": socket.gethostname(), "pid": dead_pid(), "heartbeat": time.time() + 1e6}
        data = json.dumps(beat).encode()
    content(tmp_path).write_bytes(data)
    take(tmp_path)
    assert content(tmp_path).read_bytes() == b""


def test_a_link_is_not_followed_and_its_target_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    content(tmp_path).symlink_to(mine)
    with pytest.raises(StoreError, match=r"\.lock\.json is no lock file but a link.*harness unlock s"):
        take(tmp_path)
    assert unlock(Files(tmp_path), "s") is None
    take(tmp_path)
    content(tmp_path).unlink()
    os.link(mine, content(tmp_path))
    with pytest.raises(StoreError, match="is no lock file but a link"):
        take(tmp_path)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("make", ["fifo", "folder", "loop"])
def test_what_is_no_file_is_named_and_unlock_removes_it(tmp_path: Path, make: str) -> None:
    path = content(tmp_path)
    {"fifo": lambda: os.mkfifo(path), "folder": path.mkdir, "loop": lambda: path.symlink_to(path)}[make]()
    with pytest.raises(StoreError, match="harness unlock s"):
        take(tmp_path)
    unlock(Files(tmp_path), "s")
    take(tmp_path)


def test_unlock_names_whose_it_was(tmp_path: Path) -> None:
    filled(tmp_path, range(1))
    content(tmp_path).write_text(json.dumps({"host": "else\x1b[2Jwhere", "pid": 7}))
    done = CliRunner().invoke(app, ["unlock", "s", "--results", str(tmp_path)])
    assert done.exit_code == 0
    assert "s: no driver holds it; the lock was of pid 7 on else" in done.output
    assert "\x1b" not in done.output
    assert not content(tmp_path).exists()


def test_a_results_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("")
    with pytest.raises(StoreError, match=r"results folder .*r is not writable: .*--results"):
        take(tmp_path / "r")


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Ctrl-C raises, whatever started the tests: a shell ignores it for its background jobs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("how", ["unlocked", "taken over"])
def test_a_driver_that_lost_its_lock_stops(tmp_path: Path, how: str) -> None:
    """It slept too long, or a user unlocked it: it is interrupted, and says why."""
    with (
        pytest.raises(LockedError, match=rf"study 's' was {how}.*this driver has stopped"),
        StudyLock(Files(tmp_path), "s"),
    ):
        lose(content(tmp_path), how)


def lose(path: Path, how: str) -> None:
    """Take a lock away behind its holder's back, and go on working."""
    if how == "unlocked":
        path.unlink()
    else:
        with path.open("r+b") as file:
            file.write(holder.Holder("elsewhere", 7, token="theirs").content())
    time.sleep(30)
    pytest.fail("nothing stopped it")


@pytest.mark.parametrize("alive", [True, False])
def test_in_an_object_store_a_pid_of_this_machine_is_looked_up(alive: bool) -> None:
    files = Files("mock:///r")
    pid = os.getpid() if alive else dead_pid()
    named = holder.Holder(socket.gethostname(), pid, holder.machine(), holder.started(os.getpid()), "t")
    files.write(lock.lock_name("s"), named.content())
    begun = time.monotonic()
    if alive:
        with pytest.raises(LockedError, match=f"pid {pid} on .*harness unlock s"):
            StudyLock(files, "s").__enter__()
        with pytest.raises(LockedError, match="is alive: stop it first"):
            unlock(files, "s")
    else:
        with StudyLock(files, "s"):
            assert time.monotonic() - begun < lock.SETTLE_S + lock.WATCH_S / 2
    reused = holder.Holder(socket.gethostname(), os.getpid(), holder.machine(), "1", "t")
    assert reused.alive() is False


def test_of_two_that_begin_together_in_an_object_store_one_runs() -> None:
    files, held, refused = Files("mock:///r"), [], []

    def drive(number: int) -> None:
        try:
            with StudyLock(files, "s"):
                held.append(number)
                time.sleep(1)
        except LockedError:
            refused.append(number)

    threads = [threading.Thread(target=drive, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 1
    assert len(refused) == 3
