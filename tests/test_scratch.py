"""What a killed process left in the temporary folder goes at the next start, ours alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.scratch import remove_left, scratch_folder

HOLD = """
import sys, time
from harness.scratch import scratch_folder
with scratch_folder("tune", sys.argv[1]) as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_text("left")
    print(folder, flush=True)
    time.sleep(600)
"""


def hold(root: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@pytest.mark.kill
def test_of_the_killed_and_of_nobody_else(tmp_path: Path) -> None:
    foreign = tmp_path / "harness-tune-foreign"
    foreign.mkdir()
    linked = tmp_path / "harness-link"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".owner").write_text("")
    linked.symlink_to(tmp_path / "mine")
    killed, left = hold(tmp_path)
    alive, kept = hold(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    try:
        assert left.is_dir()
        with scratch_folder("tune", str(tmp_path)) as own:
            assert not left.exists()
            remove_left(tmp_path)
            assert own.is_dir()
            assert (kept / "deep" / "file").exists()
        assert not own.exists()
        assert foreign.is_dir()
        assert (tmp_path / "mine" / ".owner").exists()
    finally:
        alive.kill()
        alive.communicate(timeout=30)
