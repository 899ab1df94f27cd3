"""What the documents name is there: every command parses, every file and module exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from harness.cli.app import app

ROOT = Path(__file__).parent.parent
MORE = ("searchspaces/README.md", "results/published/README.md")
DOCS = [*sorted(path.name for path in ROOT.glob("*.md")), *MORE]
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


@pytest.mark.parametrize("doc", DOCS)
def test_links_lead_somewhere(doc: str) -> None:
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text(doc)):
        assert ((ROOT / doc).parent / target).exists(), f"{doc} links to {target}"


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^(\w+):", text("Makefile"), re.MULTILINE))
    for doc in DOCS:
        assert set(re.findall(r"\bmake (install|quickstart|check|test|clean)\b", text(doc))) <= targets
