"""Importances of searched parameters where the answer is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from harness.report.page.report import write_report
from harness.scoring.importance import LEAST, importances
from harness.scoring.tables import last_attempts, study_view
from harness.scoring.values import Interval
from tests.scoring.synthetic import Tables, cell, trial


def made(
    count: int, *, objective: str = "accuracy max", names: tuple[str, ...] = ("lr", "kind", "on")
) -> Tables:
    """A search whose value depends on log(lr) alone, best in the middle: no rank correlation sees it."""
    rng = np.random.default_rng(3)
    tables = Tables(cells=[cell(), cell("digits/ann")], protocol={"objectives": [objective]})
    for number in range(count):
        lr = float(10 ** rng.uniform(-4, 0))
        params = {"lr": lr, "kind": "ab"[number % 2], "on": number % 3 == 0, "fixed": 4}
        value = (math.log10(lr) + 2) ** 2
        value = value if objective.endswith("min") else 1 - value / 4
        row = trial(phase="search", number=number, value=value, test_value=None, params=params)
        tables.add(row | {"searched": list(names)})
    return tables


def found(tables: Tables) -> dict[str, dict[str, Interval]]:
    trials, _, studies = tables.as_tables()
    return importances(study_view(studies, "demo"), last_attempts(trials, "demo"))


@pytest.mark.parametrize("objective", ["accuracy max", "loss min"])
def test_the_parameter_that_decides_is_first(objective: str) -> None:
    scores = found(made(120, objective=objective))
    assert list(scores) == ["digits/direct"]
    own = scores["digits/direct"]
    assert next(iter(own)) == "lr"
    assert set(own) == {"lr", "kind", "on"}
    assert own["lr"].value > 0.8
    assert own["lr"].low <= own["lr"].value
    assert own["lr"].low > max(own["kind"].high, own["on"].high)
    assert sum(one.value for one in own.values()) == pytest.approx(1.0)


def test_the_same_rows_in_another_order_say_the_same() -> None:
    tables = made(LEAST)
    turned = made(LEAST)
    turned.trials.reverse()
    assert found(tables) == found(turned)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    found(made(LEAST))
    assert capfd.readouterr() == ("", "")


def test_few_trials_or_one_value_say_nothing() -> None:
    assert found(made(LEAST - 1)) == {}
    assert set(found(made(LEAST))) == {"digits/direct"}
    assert found(made(LEAST, names=("fixed",))) == {}
    pruned = made(LEAST)
    pruned.trials[0]["state"] = "PRUNED"
    assert found(pruned) == {}


def test_a_parameter_that_exists_in_some_trials_only() -> None:
    tables = made(80)
    for row in tables.trials[::2]:
        row["params"] = {name: value for name, value in row["params"].items() if name != "kind"}
        row["searched"] = ["lr", "on"]
    assert next(iter(found(tables)["digits/direct"])) == "lr"


def test_the_page_shows_them_and_says_how(tmp_path: Path) -> None:
    for count, said in ((LEAST, "PED-ANOVA"), (10, "squared rank correlation")):
        page = write_report(
            *made(count).as_tables(), study="demo", out_dir=tmp_path / str(count), files=False
        )
        text = page.read_text(encoding="utf-8")
        assert said in text
        assert ("PED-ANOVA" in text) == (count == LEAST)
