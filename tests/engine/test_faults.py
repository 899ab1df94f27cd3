"""What is killed while a study runs, from outside: one line, nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from harness.store.results import ResultStore
from tests.engine.drivers import command, epochs_seen, named, states, tree, wait, write_study
from tests.tables import assert_whole

PLANNED = 8
pytestmark = [pytest.mark.kill, pytest.mark.slow]


def go_on(folder: Path) -> None:
    """Launched again it ends, and every interrupted trial kept its parameters."""
    root = folder / "r"
    before = ResultStore(root).trials("toy").set_index("trial_id")["params"].to_dict()
    with command("launch", "toy.yaml", "--results", "r", "--engine", "local", cwd=folder) as process:
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    assert_whole(root, PLANNED)
    rows = ResultStore(root).trials("toy")
    final = rows[rows["state"] == "COMPLETE"].set_index("trial_id")["params"]
    assert all(final[trial] == params for trial, params in before.items())


@pytest.mark.parametrize("part", ["raylet", "gcs_server"])
def test_rays_own_processes_die(tmp_path: Path, part: str) -> None:
    write_study(tmp_path)
    with command("launch", "toy.yaml", "--results", "r", cwd=tmp_path) as process:
        wait(lambda: epochs_seen(tmp_path / "r"), process)
        children = tree(process.pid)
        begun = time.monotonic()
        os.kill(named(process.pid, f"/{part}")[0], signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        assert time.monotonic() - begun < 15
    assert process.returncode == 2, out + err
    assert err.count("\n") == 1, err
    assert f"Ray's {part} on this machine died. What was committed is safe; launch again to go on." in err
    log = Path(err.rpartition("Ray's log: ")[2].strip())
    assert log.is_file()
    assert log.stat().st_mode & 0o77 == 0
    assert "Raylet is terminated" not in out
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()], "processes stay behind"
    go_on(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_stopped_driver_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    write_study(tmp_path)
    with command("launch", "toy.yaml", "--results", "r", cwd=tmp_path) as process:
        wait(lambda: epochs_seen(tmp_path / "r"), process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert err == ""
    assert "resume with: harness resume toy --results r" in out
    assert set(states(tmp_path / "r")) <= {("COMPLETE", ""), ("INTERRUPTED", "driver")}
    go_on(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("engine", ["ray"])
def test_a_worker_is_killed_or_stopped(tmp_path: Path, number: signal.Signals, engine: str) -> None:
    write_study(tmp_path)
    quick = {"HARNESS_SILENT_S": "3"}
    with command(
        "launch", "toy.yaml", "--results", "r", "--engine", engine, cwd=tmp_path, **quick
    ) as process:
        wait(lambda: epochs_seen(tmp_path / "r") and named(process.pid, "ray::Worker.go_on"), process)
        os.kill(named(process.pid, "ray::Worker.go_on")[0], number)
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, out + err
    assert states(tmp_path / "r") == {("COMPLETE", ""): PLANNED, ("INTERRUPTED", "worker"): 1}
    if number == signal.SIGSTOP:
        assert "was stopped; its trial runs again" in err
    assert_whole(tmp_path / "r", PLANNED)


def memory_share(more_mib: int) -> float:
    """The share of this machine's memory that is taken, and so much more."""
    known = {
        line.split(":")[0]: int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()
    }
    return (known["MemTotal"] - known["MemAvailable"] + more_mib * 1024) / known["MemTotal"]


def test_rays_memory_monitor_ends_one_trial_and_no_study(tmp_path: Path) -> None:
    """A trial that takes memory past a limit, beside three good ones: once more alone, then FAILED."""
    path = write_study(tmp_path, trials=1, fixed="pause_s: 0.1")
    cells = path.read_text().replace(
        "      - {name: toy, label: b, set: {width: 4}}\n",
        "      - {name: toy, label: b, set: {width: 4}}\n      - {name: toy, label: c, set: {width: 5}}\n"
        "      - {name: toy, label: hog, set: {mode: hog}}\n",
    )
    path.write_text(cells)
    limits = {
        "RAY_memory_usage_threshold": f"{memory_share(5000):.4f}",
        "RAY_memory_monitor_refresh_ms": "100",
    }
    with command("launch", "toy.yaml", "--results", "r", cwd=tmp_path, **limits) as process:
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, out + err
    assert "Traceback" not in out + err
    rows = ResultStore(tmp_path / "r").trials("toy")
    assert set(rows[rows["label"] != "hog"]["state"]) <= {"COMPLETE", "INTERRUPTED"}
    assert (rows[rows["state"] == "COMPLETE"]["label"].sort_values() == ["a", "b", "c"]).all()
    hog = rows[rows["label"] == "hog"].sort_values("attempt")
    assert hog["state"].tolist() == ["INTERRUPTED", "FAILED"]
    assert set(hog["reason"]) == {"out-of-memory"}
    assert hog["exclusive"].tolist() == [False, True]
    assert "no memory left" in hog["detail"].iloc[-1]


@pytest.mark.parametrize("now", [False, True])
def test_a_driver_stops_when_asked(tmp_path: Path, now: bool) -> None:
    """From another terminal: after what runs, or at once; what waits in the file steers nothing later."""
    write_study(tmp_path)
    with command("launch", "toy.yaml", "--results", "r", "--engine", "local", cwd=tmp_path) as process:
        wait(lambda: epochs_seen(tmp_path / "r"), process)
        flags = ["--now"] if now else []
        with command("stop", "toy", "--results", "r", *flags, cwd=tmp_path) as asking:
            out, err = asking.communicate(timeout=60)
        assert asking.returncode == 0, err
        assert f"toy: asked pid {process.pid} on " in out
        out, err = process.communicate(timeout=60)
    assert process.returncode == (130 if now else 0), out + err
    assert err == ""
    assert "harness resume toy --results r" in out
    found = set(states(tmp_path / "r"))
    assert found <= {("COMPLETE", ""), ("INTERRUPTED", "driver")}
    assert (("INTERRUPTED", "driver") in found) is now
    assert len(ResultStore(tmp_path / "r").trials("toy")) < PLANNED
    with command("stop", "toy", "--results", "r", cwd=tmp_path) as asking:
        out, _ = asking.communicate(timeout=60)
    assert "toy: no driver runs it" in out
    (tmp_path / "r" / "studies" / "toy" / ".stop.json").write_text('{"now": true}')  # of long ago
    go_on(tmp_path)
