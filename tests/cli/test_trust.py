"""A row of a store runs no code that its reader has never run, and hostile paths are one line each."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harness.store.results import ResultStore
from tests.cli.conftest import Cli

PLUGIN = """
from pathlib import Path
Path({mark!r}).touch()
"""


@pytest.fixture
def given(results: Path, finished: Path, tmp_path: Path) -> Path:
    """A store that somebody gave away: its last launch names a study file with a plug-in of theirs."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    text = (finished.parent / "toy.yaml").read_text()
    toy = text.split("plugins: [")[1].split("]")[0]
    (theirs / "evil.py").write_text(PLUGIN.format(mark=str(tmp_path / "ran")))
    (theirs / "toy.yaml").write_text(text.replace(f"plugins: [{toy}]", f"plugins: [evil.py, {toy}]"))
    store = ResultStore(results)
    launch = store.studies("toy").sort_values("launch").iloc[-1].to_dict()
    protocol = {**launch["protocol"], "path": str(theirs / "toy.yaml")}
    number = int(launch["launch"]) + 1
    store.launch({**launch, "launch": number, "protocol": protocol, "folder": str(theirs), "text": ""})
    return tmp_path / "ran"


@pytest.mark.parametrize(
    "command", [("resume", "toy", "--engine", "local"), ("export", "toy", "--to", "optuna")]
)
def test_a_plug_in_of_a_row_does_not_run_unless_trusted(
    cli: Cli, results: Path, given: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(given.parent / "cache"))
    monkeypatch.chdir(given.parent)
    line = cli(*command).line
    assert "plug-in evil.py (sha256 " in line
    assert "--trust" in line
    assert not given.exists()
    cli(*command, "--trust")
    assert given.exists()


def test_what_this_user_has_launched_resumes_without_a_question(cli: Cli, results: Path) -> None:
    assert cli("resume", "toy", "--engine", "local").code == 0


def test_a_row_that_names_another_study(cli: Cli, results: Path, given: Path) -> None:
    path = given.parent / "theirs" / "toy.yaml"
    path.write_text(path.read_text().replace("name: toy", "name: other", 1).replace("evil.py, ", ""))
    assert "now describes 'other'" in cli("resume", "toy", "--engine", "local").line
    assert ResultStore(results).study_names() == ["toy"]


@pytest.mark.parametrize("command", ["check", "launch", "resume"])
@pytest.mark.parametrize("kind", ["zero", "fifo", "loop", "folder", "full"])
def test_a_study_that_is_no_file(cli: Cli, results: Path, tmp_path: Path, kind: str, command: str) -> None:
    path = tmp_path / "x.yaml"
    {
        "zero": lambda: path.symlink_to("/dev/zero"),
        "full": lambda: path.symlink_to("/dev/full"),
        "fifo": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path),
        "folder": path.mkdir,
    }[kind]()
    assert "x.yaml" in cli(command, path).line


@pytest.mark.parametrize("kind", ["zero", "fifo", "loop"])
def test_a_plug_in_or_cluster_that_is_no_file(
    cli: Cli, results: Path, finished: Path, tmp_path: Path, kind: str
) -> None:
    bad = tmp_path / "bad.py"
    {
        "zero": lambda: bad.symlink_to("/dev/zero"),
        "fifo": lambda: os.mkfifo(bad),
        "loop": lambda: bad.symlink_to(bad),
    }[kind]()
    text = (finished.parent / "toy.yaml").read_text()
    (tmp_path / "two.yaml").write_text(text.replace("plugins: [", "plugins: [bad.py, "))
    assert "bad.py cannot be read" in cli("check", tmp_path / "two.yaml").line
    assert "bad.py" in cli("launch", finished.parent / "toy.yaml", "--cluster", bad).line


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/full", "/proc/1/mem", "loop", "fifo"])
def test_results_that_are_no_folder(cli: Cli, finished: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "fifo")
    root = tmp_path / place if not place.startswith("/") else place
    assert (
        str(root) in cli("launch", finished.parent / "toy.yaml", "--results", root, "--engine", "local").line
    )
    for command in (("status",), ("verify",), ("leaderboard", "toy"), ("compact", "toy"), ("merge", root)):
        said = cli(*command, "--results", root)
        assert said.code in (0, 1, 2)
        assert "Traceback" not in said.err
    shutil.rmtree(tmp_path / "reports", ignore_errors=True)
