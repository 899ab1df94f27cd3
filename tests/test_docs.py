"""What documents name is there: commands parse, files exist, no text is cited that is not here."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer.main
from pydantic import BaseModel

from harness.cli.app import app
from harness.store.schemas import TABLES
from harness.studyfile.file import (
    ConfirmFile,
    FinalFile,
    PipelineFile,
    ResourcesFile,
    SearchFile,
    StopFile,
    StudyFile,
)

ROOT = Path(__file__).parent.parent
MORE = ("searchspaces/README.md", "results/published/README.md")
DOCS = [*sorted(path.name for path in ROOT.glob("*.md")), *MORE]
DOCS += sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def text(doc: str) -> str:
    return (ROOT / doc).read_text(encoding="utf-8")


def commands() -> list[tuple[str, str]]:
    """(document, line) of every ``harness`` command in a code block, continuation lines joined."""
    found = []
    for doc in DOCS:
        for kind, block in BLOCK.findall(text(doc)):
            if kind in ("", "sh", "bash", "console", "shell"):
                lines = block.replace("\\\n", " ").splitlines()
                found += [(doc, line.strip().removeprefix("$ ")) for line in lines]
    return [(doc, line) for doc, line in found if line.startswith("harness ")]


def test_the_readme_has_the_three_uses() -> None:
    lines = " ".join(line for doc, line in commands() if doc == "README.md")
    for use in ("launch", "resume", "leaderboard"):
        assert f"harness {use}" in lines
    assert "make quickstart" in text("README.md")


@pytest.mark.parametrize(("doc", "line"), commands())
def test_commands_parse(doc: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    words = [word for word in words if not word.startswith((">", "|"))]
    command, info = typer.main.get_command(app), "harness"
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{doc}: {line}"
        info, command = words[0], command.commands[words[0]]
        words = words[1:]
    if "--help" not in words:
        command.make_context(info, words)  # raises on an option or argument it does not know


@pytest.mark.parametrize("doc", DOCS)
def test_named_files_exist(doc: str) -> None:
    pattern = r"\b((?:searchspaces|clusters|benchmarks|harness|tests)/[\w./-]*\.(?:yaml|py|md|txt))\b"
    for name in set(re.findall(pattern, text(doc))):
        if not Path(name).stem.startswith(("my", "x")) and "your" not in name:
            assert (ROOT / name).exists(), f"{doc} names {name}"


@pytest.mark.parametrize("doc", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_file_named_is_there(doc: str) -> None:
    """Paths begin at the root or at harness/; the recipes' own files are in their code blocks."""
    prose = text(doc) if doc == "ARCHITECTURE.md" else BLOCK.sub("", text(doc))
    named = set(re.findall(r"[\w./-]*\w\.(?:py|yaml|md|toml|txt)\b", prose)) - {"./my_file.py"}
    assert len(named) > 20
    gone = [
        name for name in sorted(named) if not any((top / name).is_file() for top in (ROOT, ROOT / "harness"))
    ]
    assert not gone, f"{doc} names what is not there: {gone}"


def test_the_tree_has_every_area() -> None:
    tree = BLOCK.findall(text("ARCHITECTURE.md"))[0][1]
    areas = {
        path.name + "/" if path.is_dir() else path.name
        for path in (ROOT / "harness").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    packages = {  # datasets/{images,events}/ names two folders
        f"{area}/{name}/"
        for area, names in re.findall(r"(\w+)/\{([\w,]+)\}/", tree)
        for name in names.split(",")
    }
    tree = re.sub(r"\{[\w,]+\}/", "", tree)
    assert {area for area in areas if f" {area}" not in tree} <= {"__init__.py", "__main__.py"}
    assert len(packages) == 8
    assert all((ROOT / "harness" / package).is_dir() for package in packages)


def test_the_dependencies_are_those_of_the_project() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    wanted = [
        *project["dependencies"],
        *(
            one
            for key in ("data", "cochlea", "docs", "export", "notebook", "trackers")
            for one in project["optional-dependencies"][key]
        ),
    ]
    names = {re.split(r"[\[<>=]", one)[0] for one in wanted}
    table = text("ARCHITECTURE.md").split("## Dependencies")[1].split("\n## ")[0]
    firsts = [line.split("|")[1].split("(")[0] for line in table.splitlines() if line.startswith("| ")]
    assert {name.strip() for first in firsts[1:] for name in first.split(",")} == names


@pytest.mark.parametrize(
    "model", [StudyFile, SearchFile, StopFile, ConfirmFile, FinalFile, ResourcesFile, PipelineFile]
)
def test_every_key_of_a_study_file_is_described(model: type[BaseModel]) -> None:
    for name in model.model_fields:
        assert f"{name}:" in text("searchspaces/README.md")


def test_every_command_is_in_the_readme() -> None:
    named = " ".join(line for doc, line in commands() if doc == "README.md")
    for name in typer.main.get_command(app).commands:
        assert f"harness {name} " in f"{named} "


@pytest.mark.parametrize("doc", DOCS)
def test_links_lead_somewhere(doc: str) -> None:
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text(doc)):
        assert ((ROOT / doc).parent / target).exists(), f"{doc} links to {target}"


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^(\w+):", text("Makefile"), re.MULTILINE))
    for doc in DOCS:
        assert set(re.findall(r"\bmake (install|quickstart|check|test|clean)\b", text(doc))) <= targets


# -- citations ----------------------------------------------------------------------------------------

TEXTS = [ROOT / doc for doc in (*DOCS, "results/README.md")] + sorted(
    path
    for folder in ("harness", "tests", "benchmarks", "searchspaces", "clusters")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".yaml", ".md", ".txt") and path != Path(__file__)
)
ABSENT = re.compile(
    r"\bDESIGN\b|\bSTYLE\.md|\bspecs/|\bspecification|\bspec('s)? sections?\b|\bthe spec('s)?\b|\bspec \d"
)
SECTION = re.compile(r"[Ss]ections? \d")
CITED = re.compile(r"\bdocs/([\w-]+\.md), ([A-Za-z][\w -]*)")


def test_no_text_is_cited_that_is_not_here() -> None:
    """A section is a paper's own, named by arXiv id, or a heading of docs/."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in TEXTS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if ABSENT.search(line) or (SECTION.search(line) and "arXiv" not in line)
    ]
    assert not wrong


def test_cited_headings_are_there() -> None:
    found = 0
    for path in TEXTS:
        said = re.sub(r"\s*\n[#\s]*", " ", path.read_text(encoding="utf-8"))
        for doc, cited in CITED.findall(said):
            headings = re.findall(r"^#+ (.+)$", text(f"docs/{doc}"), re.MULTILINE)
            known = any(re.match(rf"{re.escape(heading)}\b", cited) for heading in headings)
            assert known, f"{path}: docs/{doc} has no heading '{cited}'"
            found += 1
    assert found > 20


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_described(table: str) -> None:
    """The columns of docs/data-formats.md are the code's, in its order, with their types."""
    part = text("docs/data-formats.md").split(f"\n## {table}: ")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", part, re.MULTILINE)
    types = [(field.name, str(field.type).replace("item: ", "")) for field in TABLES[table]]
    types = [(name, re.sub(r"struct<.*>", "struct", kind)) for name, kind in types]
    types = [(name, kind + ">" if kind == "list<struct" else kind) for name, kind in types]
    assert [(name, kind) for name, kind, _ in rows] == types
    assert all(meaning.strip() for _, _, meaning in rows)
