"""The built wheel in an empty folder: studies by name, clusters and published numbers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel holds, unpacked as an installer does; built from a copy of what git would track."""
    work = tmp_path_factory.mktemp("wheel")
    source = work / "source"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(".git", ".venv", "*.egg-info", "build", "tests", "__pycache__"),
    )
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        "dist",
        ".",
    ]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300)
    if "BackendUnavailable" in done.stderr or "No module named 'setuptools'" in done.stderr:
        pytest.skip("needs setuptools in the environment")
    assert done.returncode == 0, done.stderr[-2000:]
    wheel = next((source / "dist").glob("*.whl"))
    zipfile.ZipFile(wheel).extractall(work / "site")
    return work / "site"


def _harness(installed: Path, folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "harness", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_wheel_carries_what_a_user_needs(installed: Path) -> None:
    shipped = installed / "harness" / "_shipped"
    for folder in ("searchspaces", "clusters", "results/published"):
        assert {p.name for p in (shipped / folder).iterdir()} == {p.name for p in (ROOT / folder).iterdir()}
    assert (installed / "harness" / "py.typed").is_file()
    metadata = next(installed.glob("*.dist-info/METADATA")).read_text()
    assert "License-Expression: MIT" in metadata
    assert "The SNN harness developers" in metadata
    assert next(installed.glob("*.dist-info/licenses/LICENSE")).is_file()


def test_published_rows_come_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = (
        "from harness.scoring import published as p; folder = p.default_folder(); print(folder);"
        "print(len(p.beside(p.load_published(folder), dataset='shd', metrics=['accuracy'])))"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    folder, count = done.stdout.split()
    assert Path(folder) == installed / "harness" / "_shipped" / "results" / "published"
    assert int(count) > 0


@pytest.mark.slow
def test_launch_by_name_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    small = ["search.trials=1", "search.epochs=1", "confirm.seeds=0", "final.seeds=1", "final.epochs=1"]
    options = [word for setting in small for word in ("--set", setting)]
    _harness(installed, tmp_path, "launch", "quickstart", "--engine", "local", *options)
    board = _harness(installed, tmp_path, "leaderboard", "quickstart", "--format", "md")
    assert "Leaderboard of quickstart" in board
