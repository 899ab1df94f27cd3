"""The YAML reader: lines of keys and values, traps, hostile input."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError, StudyFileError
from harness.studyfile.yaml_lines import MAX_BYTES, Node, parse_yaml, read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)

BAD = {
    "": None,
    "a: 1\na: 2\n": "f:2: a: the key stands twice, first on line 1. Keep one.",
    "a:\n  b: 1\n  c: 2\n  b: 3\n": "f:4: a.b: the key stands twice, first on line 2. Keep one.",
    "a:\n\t- b\n": "f:2: a tab stands here. YAML indents with spaces: replace it.",
    "a: [1\n": "f:2: not YAML: expected ',' or ']', but got '<stream end>'. "
    "Check indentation, brackets and quotes near here.",
    "a: 'b\n": "f:2: not YAML: found unexpected end of stream. "
    "Check indentation, brackets and quotes near here.",
    "a: b: c\n": "f:1: not YAML: mapping values are not allowed here. "
    "Check indentation, brackets and quotes near here.",
    "a: *b\n": "f:1: not YAML: found undefined alias 'b'. Check indentation, brackets and quotes near here.",
    "a: 1\n---\nb: 1\n": "f:2: a second document (---) begins here. A file holds one.",
    "a: !!python/object/apply:os.system [ls]\n": "f:1: the tag "
    "'tag:yaml.org,2002:python/object/apply:os.system' is not allowed.",
    "a: !!str 5\n": "f:1: the tag 'tag:yaml.org,2002:str' is not allowed.",
    "a: {b: 1}\nc:\n  <<: {b: 1}\n": "f:3: c: merge keys (<<) are not allowed. Write the keys out.",
    "a: &x [*x]\n": "f:1: a: aliases (*) expand to more than 20000 values. Write less.",
    BOMB: "f:1: e: aliases (*) expand to more than 20000 values. Write less.",
    "a: " + "[" * 3000: "f:1: nested more than 32 levels deep.",
    "? [a]\n: 1\n": "f:1: a key is a list or a mapping. Keys are text.",
    "5: 1\n": "f:1: the key 5 is not text. Put it in quotes.",
    "on: 1\n": "f:1: YAML reads on as true. Write true, or 'on' for text.",
    "a: \x00\n": "f:1: not YAML: unacceptable character #x0000: special characters are not allowed.",
    "a: no\n": "f:1: a: YAML reads no as false. Write false, or 'no' for text.",
    "a: 010\n": "f:1: a: YAML reads 010 as 8 (base 8). Write 10, or '010' for text.",
    "a: 10:30\n": "f:1: a: YAML reads 10:30 as 630 (base 60). Write a plain number, or '10:30' for text.",
    "a: 1:30.5\n": "f:1: a: YAML reads 1:30.5 as a number (base 60). "
    "Write a plain number, or '1:30.5' for text.",
    "a: 2024-01-01\n": "f:1: a: YAML reads 2024-01-01 as a date. Write '2024-01-01' for text.",
    "a: -.inf\n": "f:1: a: -.inf is not a finite number.",
    "a: 1.0e999\n": "f:1: a: 1.0e999 is not a finite number.",
    "a: 9007199254740993\n": "f:1: a: the whole number 9007199254740993 is beyond 2^53.",
    "a: " + "9" * 5000 + "\n": "f:1: a: the number 99999999999999999999... is too long.",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:30]))
def test_refused_with_its_line(text: str) -> None:
    if BAD[text] is None:
        assert parse_yaml(text, "f") is None
        return
    with pytest.raises(StudyFileError) as caught:
        parse_yaml(text, "f")
    assert str(caught.value) == BAD[text]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.0e7", 1.0e7),
        ("1.0e-4", 1.0e-4),
        (".5", 0.5),
        ("5.", 5.0),
        ("-3", -3),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0", 0),
        ("1e-4", "1e-4"),
        ("1e4", "1e4"),
        ("08", "08"),
        ("0x_", "0x_"),
        (".e5", ".e5"),
        ("'no'", "no"),
        ("'010'", "010"),
        ("~", None),
        ("=", "="),
        ("true", True),
        ("False", False),
    ],
)
def test_scalars(text: str, value: object) -> None:
    root = parse_yaml(f"a: {text}\n", "f")
    assert root is not None
    found = root.mapping["a"].value
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_value_keeps_its_line() -> None:
    root = parse_yaml("a: 1\nb:\n  c.d:\n    - x\n    - {e: 2}\n", "f.yaml")
    assert root is not None
    nested = root.mapping["b"].mapping["c.d"]
    assert root.key_location("b") == "f.yaml:2"
    assert root.mapping["b"].key_location("c.d") == "f.yaml:3"
    assert [item.location for item in nested.items] == ["f.yaml:4", "f.yaml:5"]
    assert root.plain() == {"a": 1, "b": {"c.d": ["x", {"e": 2}]}}


def test_a_bomb_is_refused_quickly() -> None:
    began = time.perf_counter()
    with pytest.raises(StudyFileError):
        parse_yaml(BOMB, "f")
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "x.yaml:1: the study file is empty. It needs at least a name."),
        (b"# nothing\n\n", "x.yaml:1: the study file is empty. It needs at least a name."),
        (b"- a\n", "x.yaml:1: a study file is a mapping of keys to values, this is a list."),
        (b"hello\n", "x.yaml:1: a study file is a mapping of keys to values, this is text."),
        (b"a: 1\nb: \xff\n", "x.yaml:2: not UTF-8 text. Save the file as UTF-8."),
        (b"#" * (MAX_BYTES + 1), f"x.yaml: {MAX_BYTES + 1} bytes; a study file has at most {MAX_BYTES}."),
    ],
)
def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_bytes(content)
    with pytest.raises(StudyFileError) as caught:
        read_yaml(Path("x.yaml"))
    assert str(caught.value) == line


def test_a_missing_file_names_its_neighbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quickstart.yaml").write_text("a: 1")
    with pytest.raises(
        StudyFileError, match=r"^quikstart.yaml: there is no such file. Did you mean quickstart.yaml\?$"
    ):
        read_yaml(Path("quikstart.yaml"))
    with pytest.raises(StudyFileError, match="cannot be read: Is a directory"):
        read_yaml(Path())
    with pytest.raises(StudyFileError, match="cannot be read"):
        read_yaml(Path("a\0b"))


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\n")
    assert read_yaml(path)[0].plain() == {"name": "a"}


_PIECES = st.sampled_from(
    ["a", ":", " ", "\n", "- ", "{", "}", "[", "]", ",", "'", '"', "&x", "*x", "!", "|", ">", "#", "?", "%",
     "<<", "0x_", "1:2", "010", "1e4", ".inf", "no", "~", "\t", "---", "...", "\\",
     "@", "`", "é", "\u2028", "\x85"]
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=30).map("".join)))
def test_no_text_ends_in_another_error(text: str) -> None:
    root, message = None, "f:"
    try:
        root = parse_yaml(text, "f")
    except HarnessError as error:
        message = str(error)
    assert message.startswith("f:")
    assert "\n" not in message
    assert root is None or isinstance(root, Node)
