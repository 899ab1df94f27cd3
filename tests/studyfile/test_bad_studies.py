"""Every field with every kind of bad input, each with the exact line a user reads.

``bad_studies.txt`` holds blocks: a part of the base study, what replaces it, and the line. ``{here}`` stands
for the folder, a final ``...`` for names that grow with the registries, ``\\n`` for a line break.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import HarnessError, MissingDataError, StudyFileError
from tests.studyfile.conftest import BASE

_BLOCKS = (Path(__file__).parent / "bad_studies.txt").read_text().strip().split("\n\n")


def _case(block: str) -> tuple[str, str, str]:
    old, new, error = (line.partition(": ")[2] if ": " in line else "" for line in block.split("\n"))
    return old.replace("\\n", "\n"), new.replace("\\n", "\n"), error


CASES = [_case(block) for block in _BLOCKS]


def _extras() -> None:
    Path("bad.py").write_text("import nope\n")
    Path("folder").mkdir()
    Path("utf.py").write_bytes(b"\xff\xfe")
    Path("my.npz").write_bytes(b"x")


@pytest.mark.parametrize(
    ("old", "new", "error"), CASES, ids=[f"{i}-{case[1][:40]}" for i, case in enumerate(CASES)]
)
def test_line(load: Callable[..., object], old: str, new: str, error: str) -> None:
    assert BASE.count(old) >= 1
    _extras()
    with pytest.raises(HarnessError) as caught:
        load(BASE.replace(old, new, 1))
    message = str(caught.value)
    expected = error.replace("{here}", str(Path.cwd()))
    if expected.endswith("..."):
        assert message.startswith(expected.removesuffix("..."))
    else:
        assert message == expected
    assert "\n" not in message


def test_every_line_has_a_place_unless_data_is_missing(load: Callable[..., object]) -> None:
    for _, _, error in CASES:
        assert error.startswith(("x.yaml:", "data set '"))


def test_missing_data_is_reported_as_it_is(load: Callable[..., object]) -> None:
    with pytest.raises(MissingDataError, match=r"'toyabsent': /data/toy.h5 .* toy shop \(sha256 00ff\)"):
        load(BASE.replace("dataset: toy\n", "dataset: toyabsent\n"))


def test_the_base_study_is_good(load: Callable[..., object]) -> None:
    load()


def test_a_plugin_that_fails_does_so_twice(load: Callable[..., object]) -> None:
    _bad = BASE.replace("[./fakes.py]", "[./fakes.py, ./bad.py]")
    for _ in range(2):
        Path("bad.py").write_text("1 / 0\n")
        with pytest.raises(StudyFileError, match=r"x.yaml:2: plugins: plug-in ./bad.py: ZeroDivisionError"):
            load(_bad)


def test_a_plugin_whose_name_is_taken_is_refused_every_time(load: Callable[..., object]) -> None:
    clash = "from fakes import Toy\n\n\nclass Other(Toy):\n    name = 'digits'\n"
    text = BASE.replace("[./fakes.py]", "[./fakes.py, ./clash.py]")
    for _ in range(2):
        Path("clash.py").write_text(
            clash.replace("from fakes import Toy", "from tests.studyfile.fakes import Toy")
        )
        with pytest.raises(StudyFileError, match=r"x.yaml:2: plugins: two datasets are named 'digits'"):
            load(text)
