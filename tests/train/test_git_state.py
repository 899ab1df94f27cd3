"""The recorded git state names whose it is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from harness.train import metadata


def test_of_the_study_beside_that_of_the_harness(tmp_path: Path) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    metadata.git_state.cache_clear()
    found = metadata.git_state(str(tmp_path / "my.yaml"))
    assert re.search(r"(^|, )study [0-9a-f]{12}$", found)


def test_a_study_of_the_checkout_is_not_named_twice() -> None:
    root = Path(metadata.__file__).parents[2]
    assert "study" not in metadata.git_state(str(root / "searchspaces" / "quickstart.yaml"))
