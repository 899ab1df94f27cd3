"""The README's pictures are what the code draws from the store beside them, by their numbers."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from harness.store.results import ResultStore
from tests.documents import script

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"


@pytest.fixture(scope="module")
def picture() -> ModuleType:
    return script("picture")


def test_pictures_show_what_the_code_draws(picture: ModuleType) -> None:
    drawn = json.loads(json.dumps(picture.data(picture.content())))
    kept = json.loads((PICTURES / "data.json").read_text(encoding="utf-8"))
    assert drawn["board"] == kept["board"]
    assert len(drawn["figure"]) == len(kept["figure"])
    for rows, as_kept in zip(drawn["figure"], kept["figure"], strict=True):
        assert len(rows) == len(as_kept) > 0
        for row, one in zip(rows, as_kept, strict=True):
            assert row == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in one.items()}


def test_the_board_in_the_picture_has_every_word_of_its_data() -> None:
    svg = (PICTURES / "board.svg").read_text(encoding="utf-8")
    said = html.unescape(re.sub(r"<[^>]+>", " ", svg.partition("</style>")[2])).split()
    lines = json.loads((PICTURES / "data.json").read_text(encoding="utf-8"))["board"]
    words = [word for line in lines for word in line.replace("\xa0", " ").split()]
    assert len(words) > 50
    assert not [word for word in words if word not in said]


def test_pictures_fetch_nothing() -> None:
    for path in PICTURES.glob("*.svg"):
        outside = set(re.findall(r"(?:url\(|href=)[\"']?(https?:[^\"')]+)", path.read_text(encoding="utf-8")))
        assert not outside, path


def test_the_example_is_sound_and_small() -> None:
    store = ResultStore(ROOT / "results" / "example")
    trials, epochs = store.trials("quickstart"), store.epochs("quickstart")
    assert store.problems == []
    assert set(trials["state"]) <= {"COMPLETE", "PRUNED"}
    assert set(epochs["trial_id"]) <= set(trials["trial_id"])
    size = sum(path.stat().st_size for path in store.files.local.rglob("*") if path.is_file())
    assert size < 2**20


def test_the_readme_shows_them() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("board.svg", "time-accuracy.svg"):
        assert f"docs/pictures/{name}" in readme[: readme.index("## A first leaderboard")]
