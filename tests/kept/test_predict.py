"""Predictions on a user's file: the form of the data set, original labels and units, and what is refused."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from harness.kept.network import open_model
from harness.kept.predict import predict
from harness.kept.samples import read_samples
from harness.store.models import Models
from harness.store.results import ResultStore
from tests.cli.conftest import Cli
from tests.conftest import TOY
from tests.kept.conftest import signals, write_images, write_recordings, write_series

SERIES = "kept/load.csv/"


def test_arrays_with_the_labels_of_the_file(cli: Cli, here: Path, tmp_path: Path) -> None:
    """Labels are by name: a file that holds two of three classes does not renumber them."""
    x, y = signals(30, 1)
    some = y != 3
    np.savez(tmp_path / "new.npz", signal=x[some], kind=y[some])
    said = cli(
        "predict", "kept/own.npz/direct", "--data", tmp_path / "new.npz", "-o", tmp_path / "out.parquet"
    )
    assert said.code == 0, said.err
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert list(found) == ["sample", "predicted", "p.3", "p.5", "p.9", "label"]
    assert found["label"].tolist() == [str(label) for label in y[some]]
    assert np.allclose(found[["p.3", "p.5", "p.9"]].sum(axis=1), 1.0)
    accuracy = float((found["predicted"] == found["label"]).mean())
    measured = cli("evaluate", "kept/own.npz/direct", "--data", tmp_path / "new.npz")
    assert f"accuracy  {accuracy!r}" in measured.out
    assert "has now been read" not in measured.out
    np.savez(tmp_path / "text.npz", signal=x[some], kind=[f" {label} " for label in y[some]])
    text = cli("evaluate", "kept/own.npz/direct", "--data", tmp_path / "text.npz")
    assert f"accuracy  {accuracy!r}" in text.out
    np.savez(tmp_path / "bare.npz", signal=x[some])
    assert (
        cli("predict", "kept/own.npz/direct", "--data", tmp_path / "bare.npz", "-o", tmp_path / "b.csv").code
        == 0
    )
    bare = pd.read_csv(tmp_path / "b.csv")
    assert "label" not in bare
    assert bare["predicted"].astype(str).tolist() == found["predicted"].tolist()


def test_recordings_in_the_form_of_shd(cli: Cli, here: Path, tmp_path: Path) -> None:
    write_recordings(tmp_path / "new.h5", 10)
    out = tmp_path / "out.parquet"
    assert cli("predict", "kept/words.h5/direct", "--data", tmp_path / "new.h5", "-o", out).code == 0
    found = pd.read_parquet(out)
    assert found["label"].tolist() == ["0", "1"] * 5
    assert np.allclose(found[["p.0", "p.1"]].sum(axis=1), 1.0)
    write_recordings(tmp_path / "wide.h5", 10, highest=30)
    said = cli("predict", "kept/words.h5/direct", "--data", tmp_path / "wide.h5", "-o", out)
    assert "allowed are whole numbers 0..9" in said.line


def test_an_ensemble_is_the_mean(here: Path, tmp_path: Path) -> None:
    x, _ = signals(9, 2)
    np.savez(tmp_path / "new.npz", signal=x)
    store, models = ResultStore("results"), Models("results", "kept")
    mine = [card for card in map(models.card, models.trials()) if card.cell == "own.npz/direct"]
    both = [open_model(store, card) for card in mine]
    samples = read_samples(both[0], tmp_path / "new.npz")
    alone = [predict([model], samples).filter(like="p.").to_numpy() for model in both]
    assert np.allclose(predict(both, samples).filter(like="p.").to_numpy(), (alone[0] + alone[1]) / 2)


def test_images(cli: Cli, here: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "new", ("cat", "dog"), 3)
    out = tmp_path / "out.parquet"
    assert cli("predict", "kept/photos/ann", "--data", tmp_path / "new", "-o", out).code == 0
    found = pd.read_parquet(out)
    assert found["sample"].tolist()[:2] == ["cat/0.png", "cat/1.png"]
    assert found["label"].tolist() == ["cat"] * 3 + ["dog"] * 3
    assert cli("predict", "kept/photos/ann", "--data", tmp_path / "new" / "cat", "-o", out).code == 0
    assert "label" not in pd.read_parquet(out)
    (tmp_path / "new" / "fox").mkdir()
    shutil.copy(tmp_path / "new/cat/0.png", tmp_path / "new/fox/0.png")
    line = cli("predict", "kept/photos/ann", "--data", tmp_path / "new", "-o", out).line
    assert "class 'fox' is none that the network knows: cat, dog" in line


def test_forecasts_are_in_the_files_units(cli: Cli, here: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "new.csv", 41)
    out = tmp_path / "out.parquet"
    assert cli("predict", SERIES + "persistence", "--data", tmp_path / "new.csv", "-o", out).code == 0
    found, rows = pd.read_parquet(out), pd.read_csv(tmp_path / "new.csv")
    assert list(found)[:3] == ["sample", "first_row", "load+1"]
    assert found["first_row"].tolist() == list(range(13, 42, 2))  # the last one begins after the file
    assert found["sample"].iloc[-1].startswith("2026-01-02T17")
    for name in ("load", "wind"):
        last = rows[name].to_numpy()[found["first_row"] - 1]
        for step in (1, 2, 3):
            assert np.allclose(found[f"{name}+{step}"], last, rtol=1e-5)
    said = cli("evaluate", SERIES + "persistence", "--data", tmp_path / "new.csv")
    assert "r2  " in said.out


def test_ten_thousand_digits_in_three_seconds(here: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((10_000, 1, 8, 8), dtype=np.float32)
    np.savez(tmp_path / "digits.npz", x=x)
    models = Models("results", "kept")
    card = next(c for c in map(models.card, models.trials()) if c.cell == "digits[pixels=8]/direct")
    model = open_model(ResultStore("results"), card)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        samples = read_samples(model, tmp_path / "digits.npz")
        begun = time.process_time()
        found = predict([model], samples)
        spent = time.process_time() - begun
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 10_000
    assert spent <= 3.0


@pytest.mark.parametrize(
    ("name", "arrays", "line"),
    [
        ("shape.npz", {"x": np.zeros((4, 1, 9, 8))}, r"(1, 9, 8); the network wants (1, 8, 8)"),
        ("axes.npz", {"x": np.zeros((4, 64))}, "has 2 axes (4, 64), but layout 'nchw' has 4"),
        ("key.npz", {"pixels": np.zeros((4, 1, 8, 8))}, "unknown array 'x'"),
        (
            "class.npz",
            {"x": np.zeros((2, 1, 8, 8)), "y": np.array([1, 12])},
            "class '12' is none that the network",
        ),
        ("nan.npz", {"x": np.full((2, 1, 8, 8), np.nan)}, "not finite"),
        ("object.npz", {"x": np.array([{}, {}], dtype=object)}, "unpickling: refused"),
    ],
)
def test_other_data_is_one_line(
    cli: Cli, here: Path, tmp_path: Path, name: str, arrays: dict[str, np.ndarray], line: str
) -> None:
    np.savez(tmp_path / name, **arrays)
    said = cli(
        "predict", "kept/digits[pixels=8]/direct", "--data", tmp_path / name, "-o", tmp_path / "o.parquet"
    )
    last = said.err.splitlines()[-1]
    assert said.code == 2
    assert "Traceback" not in said.err
    assert last.startswith("error: ")
    assert line in last
    assert name in last


def test_other_forms_and_names_are_one_line(cli: Cli, here: Path, tmp_path: Path) -> None:
    def line(*arguments: object) -> str:
        said = cli(*arguments)
        assert said.code == 2, said
        assert "Traceback" not in said.err
        return said.err.splitlines()[-1]

    out = ("-o", tmp_path / "o.parquet")
    (tmp_path / "x.txt").write_text("1")
    direct = "kept/digits[pixels=8]/direct"
    assert "read .npz and .h5 files" in line("predict", direct, "--data", tmp_path / "x.txt", *out)
    assert "no such file" in line("predict", direct, "--data", tmp_path / "gone.npz", *out)
    assert "expected a name that ends in .parquet" in line(
        "predict", direct, "--data", "own.npz", "-o", "o.xls"
    )
    assert "unknown study" in line("predict", "keptt", "--data", "own.npz", *out)
    assert "unknown cell of 'kept'" in line("predict", "kept/digits/dirct", "--data", "own.npz", *out)
    assert "7 data sets; name a cell" in line("predict", "kept", "--data", "own.npz", *out)
    assert "unknown kept trial" in line("predict", "kept", "--trial", "0" * 16, "--data", "own.npz", *out)
    assert "unknown split" in line("evaluate", direct, "--split", "tests")
    write_series(tmp_path / "short.csv", 10)
    assert "10 rows are too few" in line(
        "predict", SERIES + "persistence", "--data", tmp_path / "short.csv", *out
    )
    text = (here / "load.csv").read_text().replace("wind", "sun")
    (tmp_path / "sun.csv").write_text(text)
    assert "no variate 'wind'" in line(
        "predict", SERIES + "persistence", "--data", tmp_path / "sun.csv", *out
    )


def test_a_trial_of_another_study(
    cli: Cli, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "results", "results")
    for table in ("trials", "studies", "epochs", "models"):
        shutil.copytree(f"results/{table}/kept", f"results/{table}/other")
    trial = Models("results", "kept").trials()[0]
    for path in Path("results/models/other").glob(f"{trial}*"):
        path.unlink()
    line = cli("evaluate", "other", "--trial", trial).line
    assert f"trial {trial} is of study 'kept': write kept instead of other" in line


def test_a_plug_in_that_changed_or_is_missing(
    cli: Cli, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "results", "results")
    np.savez("new.npz", x=np.zeros((3, 2), np.float32))
    run = ("predict", "kept/toy-points/toy", "--data", "new.npz", "-o", "o.csv")
    assert cli(*run).code == 0
    Path("toy.py").write_text(TOY.read_text() + "\n# another day\n")
    said = cli(*run, "--plugin", "toy.py")
    assert said.code == 2
    assert "has changed since" in said.err.splitlines()[-1]
    launch = next(Path("results/studies/kept").glob("launch-*.parquet"))
    store = ResultStore("results")
    row = store.studies("kept").to_dict("records")[0]
    launch.unlink()
    store.launch({**row, "plugins": {}})
    said = cli(*run)
    assert said.code == 2
    assert "which the store does not have: give it with --plugin toy.py" in said.err.splitlines()[-1]
    assert cli(*run, "--plugin", TOY).code == 0
