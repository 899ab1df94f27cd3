"""Kept networks: whole or absent, nothing unpickled, and never dropped by what tidies tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from harness.engine.local import LocalEngine
from harness.errors import ForeignFileError, StoreError
from harness.store.joining import join
from harness.store.models import Models
from harness.store.results import ResultStore
from harness.store.verify import verify
from harness.study import Study
from harness.trial import State
from tests.conftest import MakeStudy
from tests.study.test_resume import Cut, CutAfter


@pytest.fixture
def kept(make_study: MakeStudy, tmp_path: Path) -> Path:
    """A root with the toy study: two cells of two final seeds."""
    Study(make_study(), tmp_path / "kept").run(LocalEngine())
    return tmp_path / "kept"


def finals(root: Path) -> set[str]:
    rows = ResultStore(root).trials("toy")
    return set(rows[(rows["phase"] == "final") & (rows["state"] == State.COMPLETE.value)]["trial_id"])


def test_every_final_trial_is_kept_with_its_card(kept: Path) -> None:
    models, rows = Models(kept, "toy"), ResultStore(kept).trials("toy").set_index("trial_id")
    assert set(models.trials()) == finals(kept)
    assert len(models.trials()) == 4
    for trial in models.trials():
        card, row = models.card(trial), rows.loc[trial]
        assert (card.study, card.cell, card.pipeline, card.seed) == ("toy", row["cell"], "toy", row["seed"])
        assert card.params == dict(row["params"])
        assert card.test == dict(row["test"])
        assert card.values == list(row["values"])
        assert card.best_epoch == row["best_epoch"] == card.weights["best"].epoch
        assert card.weights["last"].epoch in (card.epochs, card.best_epoch)
        assert (card.code, card.fingerprint) == (row["code"], row["fingerprint"])
        assert card.data["classes"] == 2
        assert list(card.plugins) == [name for name, _ in row["plugins"].items()]
        assert models.weights(card)["0.weight"].shape == (card.params["width"], 2)
        assert set(models.weights(card, "last")) == set(models.weights(card))


def test_best_and_none(make_study: MakeStudy, tmp_path: Path) -> None:
    Study(make_study("keep=none"), tmp_path / "none").run(LocalEngine())
    assert Models(tmp_path / "none", "toy").size() == (0, 0)
    Study(make_study("keep=best"), tmp_path / "best").run(LocalEngine())
    models, rows = Models(tmp_path / "best", "toy"), ResultStore(tmp_path / "best").trials("toy")
    final = rows[rows["phase"] == "final"].sort_values("number")
    best = {part.loc[part["value"].idxmax(), "trial_id"] for _, part in final.groupby("cell")}
    assert set(models.trials()) == best
    Study(make_study("keep=finals"), tmp_path / "best").run(
        LocalEngine()
    )  # a setting that a resume may change


def test_a_cut_study_keeps_the_same_weights(kept: Path, make_study: MakeStudy, tmp_path: Path) -> None:
    root = tmp_path / "cut"
    for events in (30, 3, 3):
        with pytest.raises(Cut):
            Study(make_study(), root).run(CutAfter(events))
    Study(make_study(), root).run(LocalEngine())
    left, right = Models(kept, "toy"), Models(root, "toy")
    assert left.trials() == right.trials()
    assert [left.card(t).weights for t in left.trials()] == [right.card(t).weights for t in left.trials()]


def test_compact_and_merge(kept: Path, tmp_path: Path) -> None:
    before = Models(kept, "toy").size()
    ResultStore(kept).compact("toy")
    assert Models(kept, "toy").size() == before
    join(ResultStore(tmp_path / "b"), [ResultStore(kept)])
    models = Models(tmp_path / "b", "toy")
    assert models.size() == before
    for trial in models.trials():
        models.weights(models.card(trial))


def test_what_is_damaged_or_foreign_is_one_line(kept: Path) -> None:
    models = Models(kept, "toy")
    first, second, third, fourth = models.trials()
    card, folder = models.card(first), kept / "models" / "toy"
    file = folder / card.weights["best"].file
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ForeignFileError, match=r"damaged: \d+ bytes of \d+"):
        models.weights(card)
    assert any("is damaged" in line for line in verify(ResultStore(kept)).left)
    file.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        models.weights(card)
    (folder / f"{second}.json").write_bytes((folder / f"{third}.json").read_bytes())
    with pytest.raises(ForeignFileError, match="put it back"):
        models.card(second)
    text = json.loads((folder / f"{third}.json").read_text())
    text["weights"]["best"]["file"] = "../../../etc/passwd"
    (folder / f"{third}.json").write_text(json.dumps(text))
    with pytest.raises(ForeignFileError, match=r"no card of a model: weights\.best\.file"):
        models.card(third)
    (folder / f"{fourth}.json").write_text("{")
    with pytest.raises(ForeignFileError, match="no card of a model"):
        models.card(fourth)
    with pytest.raises(StoreError, match="no model of trial abcdef12"):
        models.card("abcdef12")


def test_a_pickle_in_place_of_weights_is_refused(kept: Path) -> None:
    """Whatever its hash: safetensors hold arrays alone."""
    models = Models(kept, "toy")
    card = models.card(models.trials()[0])
    file = kept / "models" / "toy" / card.weights["best"].file
    torch.save({"0.weight": torch.ones(2)}, file)
    data = file.read_bytes()
    import hashlib

    forged = card.weights["best"].model_copy(
        update={"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    )
    with pytest.raises(ForeignFileError, match="no safetensors"):
        models.weights(card.model_copy(update={"weights": {"best": forged, "last": forged}}))


def test_a_state_that_is_no_tensor_does_not_fail_a_trial(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.Tanh, "get_extra_state", lambda self: "words", raising=False)
    monkeypatch.setattr(torch.nn.Tanh, "set_extra_state", lambda self, state: None, raising=False)
    Study(make_study(), tmp_path / "r").run(LocalEngine())
    rows = ResultStore(tmp_path / "r").trials("toy")
    final = rows[rows["phase"] == "final"]
    assert set(final["state"]) == {"COMPLETE"}
    assert {row["model"] for row in final["metadata"]} == {
        "not kept: '1._extra_state' of the network's state is no tensor"
    }
