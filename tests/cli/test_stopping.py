"""The command stopped from outside: Ctrl-C, SIGTERM and a full disk, each followed by what it says to do."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest

from harness.store.results import ResultStore
from tests.conftest import STUDY, TOY
from tests.tables import FINAL, assert_whole

PLANNED = 2 * (4 + 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A study that takes some seconds."""
    text = STUDY.format(plugin=TOY, trials=4, epochs=4, pruner="none").replace(
        "{top: 2, seeds: 1}", "{seeds: 0}"
    )
    path = tmp_path / "toy.yaml"
    path.write_text(text.replace("batch_size: 8", "batch_size: 8, pause_s: 0.1"))
    return path


def harness(*arguments: str, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **variables}
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=partial(
            signal.signal, signal.SIGINT, signal.default_int_handler
        ),  # a shell's "&" ignores it
    )


def ended(root: Path) -> int:
    rows = ResultStore(root).trials("toy", ["state"])
    return int(rows["state"].isin(FINAL).sum())


def wait_for(process: subprocess.Popen[str], root: Path, trials: int) -> None:
    until = time.monotonic() + 120
    while process.poll() is None and ended(root) < trials and time.monotonic() < until:
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()


@pytest.mark.kill
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_says_what_is_safe_and_the_printed_command_goes_on(file: Path, number: signal.Signals) -> None:
    root = file.parent / "results"
    process = harness("launch", "toy.yaml", "--engine", "local", cwd=file.parent)
    wait_for(process, root, 2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    safe = re.search(r"stopped\. (\d+) finished trials of 'toy' are safe in results", out)
    assert safe is not None, out
    rows = ResultStore(root).trials("toy")
    assert int(safe[1]) == rows["state"].isin(FINAL).sum() >= 2
    assert set(rows["state"]) <= {*FINAL, "INTERRUPTED"}
    said = re.search(r"^resume with: harness (.*)$", out, re.MULTILINE)
    assert said is not None, out
    again = harness(*shlex.split(said[1]), cwd=file.parent)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert_whole(root, PLANNED)
    final = ResultStore(root).trials("toy").query("state == 'COMPLETE'").set_index("trial_id")["params"]
    for trial_id, params in rows.set_index("trial_id")["params"].items():
        assert final[trial_id] == params


FULL = """
import resource, sys, threading, time
from harness.cli import main
from harness.store.results import ResultStore

def fill():
    while (ResultStore("results").trials("toy", ["state"])["state"] == "COMPLETE").sum() < 2:
        time.sleep(0.02)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

threading.Thread(target=fill, daemon=True).start()
sys.argv = ["harness", "launch", "toy.yaml", "--engine", "local"]
main()
"""


def test_a_disk_that_fills_up_in_a_study(file: Path) -> None:
    """No byte can be written any more: one line, exit code 2; with room again nothing was lost."""
    root = file.parent / "results"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", FULL]
    done = subprocess.run(
        command, cwd=file.parent, env=environment, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "committed before is safe" in done.stderr
    assert "then resume" in done.stderr
    safe = ResultStore(root)
    before = safe.trials("toy").query("state == 'COMPLETE'").set_index("trial_id")["value"]
    assert len(before) >= 2
    assert safe.quarantine() == []
    again = harness("resume", "toy", "--engine", "local", cwd=file.parent)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert_whole(root, PLANNED)
    after = ResultStore(root).trials("toy").query("state == 'COMPLETE'").set_index("trial_id")["value"]
    assert after[before.index].equals(before)


@pytest.mark.kill
@pytest.mark.slow
def test_what_a_killed_driver_left_in_the_temporary_folder_goes(file: Path) -> None:
    """Ray's folder and ours; a folder that somebody else made stays."""
    root, short = (
        file.parent / "results",
        Path(tempfile.mkdtemp(prefix="hr-", dir="/tmp")),
    )  # for Ray's sockets
    try:
        (short / "harness-ray-mine").mkdir()
        process = harness("launch", "toy.yaml", cwd=file.parent, TMPDIR=str(short))
        wait_for(process, root, 1)
        process.kill()
        process.communicate(timeout=60)
        left = set(short.glob("harness-ray-*")) - {short / "harness-ray-mine"}
        assert len(left) == 1
        again = harness("launch", "toy.yaml", cwd=file.parent, TMPDIR=str(short))
        _, err = again.communicate(timeout=240)
        assert again.returncode == 0, err
        assert set(short.glob("harness-ray-*")) == {short / "harness-ray-mine"}
        assert_whole(root, PLANNED)
    finally:
        shutil.rmtree(short, ignore_errors=True)
