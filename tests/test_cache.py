"""Prepared data: a full disk says so, and what a killed process left is removed, ours alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import cache
from harness.contracts.registry import dataset
from harness.errors import DataError

WRITE = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from harness import cache
from harness.errors import DataError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    cache._write(Path(sys.argv[1]), {"x": np.ones(300_000)})
except DataError as error:
    print(error)
    sys.exit(7)
"""
KILLED = """
import os, signal, sys
import numpy as np
from pathlib import Path
from harness import cache
np.save = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
cache._write(Path(sys.argv[1]), {"x": np.ones(3)})
"""


@pytest.mark.parametrize("limit", [0, 1000, 1_000_000])
def test_a_full_disk_says_so(tmp_path: Path, limit: int) -> None:
    command = [sys.executable, "-c", WRITE, str(tmp_path / "d"), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 7, done.stderr
    (line,) = done.stdout.splitlines()
    assert f"cannot write prepared data to {tmp_path / 'd'}: the disk is full (2 MiB are needed" in line
    assert "HARNESS_CACHE" in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match=r"cannot write prepared data to .*file/d: Not a directory .*HARNESS_CACHE"
    ):
        cache._write(tmp_path / "file" / "d", {"x": np.ones(3)})


def test_what_a_killed_process_left_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    cache.prepared(dataset("digits")())
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    names = json.loads((folder / "arrays.json").read_text())
    (folder / "arrays.json").unlink()
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.glob(".*.aside")
    others = tmp_path / ".other-0123.01234567.aside"
    others.mkdir()
    arrays = cache.prepared(dataset("digits")())
    assert sorted(arrays) == names
    assert not left.exists()
    assert others.exists()
    os.rmdir(others)
