"""Every file below results may be wrong in any way: it is named, set aside, and the rest is read."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from harness.cli.app import app
from harness.engine.local import LocalEngine
from harness.errors import HarnessError
from harness.store import results, tables
from harness.store.results import ResultStore
from harness.store.seal import seal
from harness.study import Study
from harness.studyfile.load import load_study
from tests.conftest import STUDY as TEXT
from tests.conftest import TOY

READ = (["status"], ["leaderboard", "toy", "--format", "csv"], ["export", "toy"])
WRITE = (["compact", "toy"], ["verify"], ["status"])


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a study that ran: parts, and one merged file a table."""
    root = tmp_path_factory.mktemp("real")
    (root / "toy.yaml").write_text(TEXT.format(plugin=TOY, trials=2, epochs=2, pruner="median"))
    study = load_study(root / "toy.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "MERGE_AT", 8)
        Study(study, root / "results").run(LocalEngine())
    return root


@pytest.fixture
def store(real: Path, tmp_path: Path) -> Path:
    shutil.copytree(real / "results", tmp_path / "results")
    return tmp_path / "results"


def run(root: Path, *command: str) -> tuple[int, str]:
    """A command's exit code and what it said; anything but a line of ours fails the test."""
    more = ["--out", str(root.parent / "out")] if command[0] in ("export", "report") else []
    done = CliRunner().invoke(app, [*command, "--results", str(root), *more])
    if done.exception is None or isinstance(done.exception, SystemExit):
        return done.exit_code, done.output
    assert isinstance(done.exception, HarnessError), repr(done.exception)
    assert "\n" not in str(done.exception)
    assert "Traceback" not in str(done.exception)
    return 2, done.output + str(done.exception)


def survive(root: Path, bad: Path | None) -> None:
    """Every command ends as it should; the bad file is named, set aside, and what is left is whole."""
    name = "" if bad is None else bad.name
    for command in READ:
        _, said = run(root, *command)
        if bad is not None and not (command == ["status"] and bad.parts[-3] == "epochs"):  # it reads none
            assert name in said, command
    code, said = run(root, "merge", str(root))
    if bad is not None and bad.parts[-3] in ("trials", "epochs", "studies"):
        assert code in (1, 2), "refused where it lies here, left out where it is read from there"
        assert name in said
    code, said = run(root, "verify")
    assert name in said
    assert code == (1 if bad is not None else 0)
    for command in WRITE:
        code, said = run(root, *command)
        assert code == 0 or command[0] == "compact", (command, said)
    left = ResultStore(root)
    left.trials()
    left.epochs()
    assert left.problems == []


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.parquet") if "quarantine" not in path.parts)


def of(root: Path, table: str) -> Path:
    return next(path for path in files(root) if path.parts[-3] == table and path.name[:4] != "all-")


SPECIAL: dict[str, Callable[[Path], object]] = {
    "zero bytes": lambda path: path.write_bytes(b""),
    "a link to itself": lambda path: (path.unlink(), path.symlink_to(path)),
    "a link to /dev/zero": lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to(path.with_name("none"))),
    "a FIFO": lambda path: (path.unlink(), os.mkfifo(path)),
    "text": lambda path: path.write_text("\x1b[2Jhello"),
}


@pytest.mark.parametrize("table", ["trials", "epochs", "studies"])
@pytest.mark.parametrize("kind", [kind for kind in SPECIAL if kind != "a link to nothing"])
def test_what_is_no_file_of_ours(store: Path, kind: str, table: str) -> None:
    bad = of(store, table)
    SPECIAL[kind](bad)
    survive(store, bad)


def rewritten(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Rows changed by somebody who knows the format: a right footer, a right checksum."""
    sink = pa.BufferOutputStream()
    pq.write_table(change(pq.read_table(path)), sink)
    path.write_bytes(seal(sink.getvalue().to_pybytes()))


def column(name: str, values: Any, kind: pa.DataType | None = None) -> Callable[[pa.Table], pa.Table]:
    """Replace the values of a column, perhaps its type."""

    def change(rows: pa.Table) -> pa.Table:
        at, field = rows.schema.get_field_index(name), rows.schema.field(name)
        array = pa.array([values] * rows.num_rows, kind or field.type)
        return rows.set_column(at, pa.field(name, array.type), array)

    return change


WRONG: dict[str, tuple[str, Callable[[pa.Table], pa.Table]]] = {
    "another study": ("trials", column("study", "other")),
    "a way out": ("trials", column("study", "../../outside/x")),
    "a way out by id": ("trials", column("trial_id", "../../../outside")),
    "an absolute id": ("epochs", column("trial_id", "/etc/passwd")),
    "no id": ("trials", column("trial_id", None)),
    "no attempt": ("epochs", column("attempt", None)),
    "attempt 0": ("trials", column("attempt", 0)),
    "a state": ("trials", column("state", "DONE")),
    "no state": ("trials", column("state", None)),
    "a phase": ("trials", column("phase", "test")),
    "a map that is none": ("trials", column("params", "[1]", pa.string())),
    "a map of lists": (
        "trials",
        column("params", [("lr", "x")], pa.map_(pa.string(), pa.string())),
    ),
    "no map": ("trials", column("params", None)),
    "values of text": ("trials", column("values", ["x"], pa.list_(pa.string()))),
    "text for numbers": ("trials", column("value", "0.5", pa.string())),
    "numbers for text": ("epochs", column("metric", 1, pa.int64())),
    "bytes that are no text": ("trials", column("label", b"\xff\xfe", pa.binary())),
    "a date": ("trials", column("started_at", 2**62)),
    "a cell that is none": ("studies", column("cells", [1], pa.list_(pa.int64()))),
    "cells without names": ("studies", column("cells", [{"label": "x"}])),
    "no protocol": ("studies", column("protocol", None)),
    "a protocol": ("studies", column("protocol", {"objectives": 3}, pa.struct([("objectives", pa.int64())]))),
    "launch 0": ("studies", column("launch", 0)),
    "a column less": ("epochs", lambda rows: rows.drop_columns(["value"])),
    "garbage replaces": (
        "trials",
        lambda rows: rows.replace_schema_metadata({**rows.schema.metadata, tables.REPLACES: b"\xff["}),
    ),
    "replaces of numbers": (
        "epochs",
        lambda rows: rows.replace_schema_metadata({**rows.schema.metadata, tables.REPLACES: b"[1, 2]"}),
    ),
    "no schema number": (
        "trials",
        lambda rows: rows.replace_schema_metadata({**rows.schema.metadata, b"harness_schema": b"x"}),
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_right_footers_with_wrong_rows(store: Path, kind: str) -> None:
    table, change = WRONG[kind]
    bad = of(store, table)
    rewritten(bad, change)
    survive(store, bad)
    assert sorted(path.name for path in store.parent.iterdir()) == ["out", "results"]


def test_a_file_that_claims_to_stand_for_all_others_hides_none(store: Path) -> None:
    before = len(ResultStore(store).trials("toy"))
    first, *others = [path for path in files(store) if path.parts[-3] == "trials"]
    claims = json.dumps([path.name for path in others] + ["../../epochs", "/etc/passwd"]).encode()
    rewritten(
        first, lambda rows: rows.replace_schema_metadata({**rows.schema.metadata, tables.REPLACES: claims})
    )
    first.rename(first.with_name("all-000009.parquet"))
    assert len(ResultStore(store).trials("toy")) == before
    assert run(store, "compact", "toy")[0] == 0
    assert len(ResultStore(store).trials("toy")) == before


EVIL = "\x1b[2J\x1b]0;t\x07\x9b31m\u202e[link=x]\nevil"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def test_text_of_rows_and_names_of_files_steer_no_terminal(store: Path) -> None:
    """Whatever a command says, in tables, in warnings, in errors or in the files that it exports."""
    for path in [path for path in files(store) if path.parts[-3] == "trials"]:
        for name in ("label", "detail", "reason", "device_name", "git", "node"):
            rewritten(path, column(name, EVIL))
        rewritten(path, column("state", "FAILED"))
    for table in ("trials", "epochs", "studies"):
        (store / table / "toy" / f"{EVIL.replace('/', '')}.parquet").write_bytes(b"PAR1 no")
    said = ""
    for command in (*READ, ["merge", str(store)], ["compact", "toy"], ["verify"], ["status"]):
        said += run(store, *command)[1] if command[0] != "merge" else ""
    assert "evil" in said
    assert not STEERING.search(said)
    for path in (store.parent / "out").rglob("*.csv"):
        assert not STEERING.search(path.read_text(encoding="utf-8"))


def test_merge_says_where_stores_disagree_and_ends_with_1(store: Path) -> None:
    other = store.with_name("other")
    shutil.copytree(store, other)
    bad = of(other, "trials")
    rewritten(bad, column("value", 0.123))
    code, said = run(store, "merge", str(other))
    assert code == 1
    assert "0.123" in " ".join(said.split())
    assert "the first stays" in " ".join(said.split())


def test_merge_from_a_store_with_a_bad_file_takes_the_rest(store: Path, tmp_path: Path) -> None:
    bad = of(store, "trials")
    bad.write_bytes(b"")
    code, said = run(tmp_path / "new", "merge", str(store))
    assert code == 1
    assert said.count(bad.name) == 1
    assert "attempts copied" in said
    assert len(ResultStore(tmp_path / "new").trials("toy")) > 1


def test_a_small_file_of_very_many_rows(store: Path) -> None:
    bad = of(store, "epochs")
    rewritten(bad, lambda rows: pa.concat_tables([rows.slice(0, 1)] * 1_000_000).combine_chunks())
    assert bad.stat().st_size < 100_000
    survive(store, bad)


def test_a_quarantine_that_cannot_be_written(store: Path) -> None:
    bad = of(store, "trials")
    bad.write_bytes(b"")
    (store / "quarantine").write_text("mine")
    code, said = run(store, "verify")
    assert code == 2
    assert f"cannot move {bad}" in said
    assert (store / "quarantine").read_text() == "mine"


def test_a_folder_that_no_study_can_have_is_named(store: Path) -> None:
    (store / "trials" / "toy").rename(store / "trials" / f"-{EVIL[:3]}")
    code, said = run(store, "verify")
    assert code == 1
    assert "is no folder of a study, by its name" in " ".join(said.split())


def mutate(path: Path, how: str, at: float, junk: bytes) -> None:
    data = path.read_bytes()
    spot = int(at * len(data))
    new = {
        "flip": data[:spot] + bytes([data[spot % len(data)] ^ (1 + junk[0] % 255)]) + data[spot + 1 :],
        "cut": data[:spot],
        "insert": data[:spot] + junk + data[spot:],
        "overwrite": data[:spot] + junk + data[spot + len(junk) :],
        "lose": data[:spot] + data[spot + len(junk) :],
    }[how]
    path.write_bytes(new)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    which=st.integers(0, 10**6),
    how=st.sampled_from(["flip", "cut", "insert", "overwrite", "lose"]),
    at=st.floats(0, 1, exclude_max=True),
    junk=st.binary(min_size=1, max_size=64),
    sealed=st.booleans(),
)
def test_any_mutation_of_a_real_file(
    real: Path,
    tmp_path_factory: pytest.TempPathFactory,
    which: int,
    how: str,
    at: float,
    junk: bytes,
    sealed: bool,
) -> None:
    """Sealed files notice every change; files of before the seal survive it or are set aside."""
    root = tmp_path_factory.mktemp("mutated") / "results"
    shutil.copytree(real / "results", root)
    path = files(root)[which % len(files(root))]
    before = path.read_bytes()
    if not sealed:
        rows = pq.read_table(path)
        pq.write_table(rows, path)
    mutate(path, how, at, junk)
    changed = path.read_bytes() != before
    if sealed and changed:
        survive(root, path)
    else:
        for command in (*READ, *WRITE):
            run(root, *command)
        assert ResultStore(root).quarantine() == []
    shutil.rmtree(root.parent)


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_launch_goes_on_after_verify(real: Path, store: Path, kind: str) -> None:
    """What was damaged runs again: nothing else is lost, and a launch says first what is wrong."""
    bad = of(store, "trials")
    SPECIAL[kind](bad)
    study = load_study(real / "toy.yaml")
    if kind != "a link to nothing":
        with pytest.raises(HarnessError, match=rf"{bad.name}.*harness verify"):
            Study(study, store).run(LocalEngine())
        assert run(store, "verify")[0] == 1
    summary = Study(study, store).run(LocalEngine())
    assert (summary.ran, summary.finished) == (1, summary.planned)


@pytest.mark.parametrize("place", ["trials", "epochs", "studies", "trials/toy", "quarantine", "."])
@pytest.mark.parametrize("make", ["file", "fifo", "loop", "zero"])
def test_folders_that_are_none(store: Path, place: str, make: str) -> None:
    path = store / place
    if path.exists():
        shutil.rmtree(path)
    kinds = {
        "file": lambda: path.write_text("mine"),
        "fifo": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path),
        "zero": lambda: path.symlink_to("/dev/zero"),
    }
    kinds[make]()
    for command in (*READ, *WRITE, ["merge", str(store)], ["unlock", "toy"]):
        run(store, *command)
