"""`harness data convert`: here and over Ray, the same files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.cli import convert as command
from harness.engine.pool import RayEngine
from harness.errors import DataError


def images(root: Path) -> Path:
    for number, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for item in range(4):
            rng = np.random.default_rng(10 * number + item)
            picture = rng.integers(0, 256, (30, 40, 3)).astype(np.uint8)
            Image.fromarray(picture).save(root / name / f"{item}.png")
    (root / "cat" / "bad.png").write_text("no image")
    return root


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*.*")) if p.is_file()}


def test_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = images(tmp_path / "images")
    command.run("odg", source, tmp_path / "out", workers=1)
    assert "8 converted, 0 there already, 1 bad" in capsys.readouterr().out
    command.run("odg", source, tmp_path / "out", workers=1)
    assert "0 converted, 8 there already, 1 bad" in capsys.readouterr().out


def test_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "clips" / "v_Kick_g01_c01"
    folder.mkdir(parents=True)
    for number in range(5):
        shade = np.full((8, 9, 3), 40 * number, dtype=np.uint8)
        Image.fromarray(shade).save(folder / f"frame{number}.png")
    command.run("video", tmp_path / "clips", tmp_path / "out", workers=1)
    assert "1 converted" in capsys.readouterr().out


@pytest.mark.slow
def test_over_ray_the_same_files_and_errors(tmp_path: Path, ray_engine: RayEngine) -> None:
    source = images(tmp_path / "images")
    command.run("odg", source, tmp_path / "here", workers=1)
    command.run("odg", source, tmp_path / "there", workers=2)
    assert files(tmp_path / "there") == files(tmp_path / "here")
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    command.run("odg", source, blocked, workers=1)
    for path in blocked.rglob("*.npz"):
        path.unlink()
    (blocked / "train" / "class0").rmdir()
    (blocked / "train" / "class0").write_text("a file where a folder must be")
    with pytest.raises(DataError, match="cannot write"):
        command.run("odg", source, blocked, workers=2)
