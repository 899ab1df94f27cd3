"""One driver a study, whoever and wherever the other one is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import LockedError, StoreError
from harness.store.files import Files
from harness.store.lock import STALE_S, StudyLock

HOLD = """
import sys, time
from harness.store.files import Files
from harness.store.lock import StudyLock
with StudyLock(Files(sys.argv[1]), "s"):
    print("held", flush=True)
    time.sleep(600)
"""


def content(root: Path) -> Path:
    return root / "studies" / "s" / ".lock.json"


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
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(
            LockedError, match=rf"study 's' is being run by pid {holder.pid} on .*Wait for it"
        ):
            take(tmp_path)
        holder.send_signal(signal.SIGKILL)
        holder.wait(30)
    assert json.loads(content(tmp_path).read_text())["pid"] == holder.pid  # it could not tidy up
    take(tmp_path)


@pytest.mark.parametrize("age_s", [0.0, STALE_S - 10])
def test_another_host_with_a_fresh_heartbeat_is_respected(tmp_path: Path, age_s: float) -> None:
    """Some network file systems keep locks to one host."""
    content(tmp_path).parent.mkdir(parents=True)
    beat = {"host": "elsewhere", "pid": 7, "heartbeat": time.time() - age_s}
    content(tmp_path).write_text(json.dumps(beat))
    with pytest.raises(LockedError, match="pid 7 on elsewhere"):
        take(tmp_path)
    assert json.loads(content(tmp_path).read_text()) == beat


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"host": "elsewhere", "pid": 7, "heartbeat": 1.0}),
        json.dumps({"host": socket.gethostname(), "pid": 7, "heartbeat": time.time() + 1e6}),
        "",
        "{half",
        "[]",
    ],
)
def test_stale_and_broken_locks_are_taken_over(tmp_path: Path, text: str) -> None:
    content(tmp_path).parent.mkdir(parents=True)
    content(tmp_path).write_text(text)
    take(tmp_path)


def test_a_results_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("")
    with pytest.raises(StoreError, match=r"results folder .*r is not writable: .*--results"):
        take(tmp_path / "r")
