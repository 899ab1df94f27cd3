"""The scoring is pinned: the same tables give the same board, number for number.

A change that moves a number raises ``SCORING_VERSION`` and writes a new file beside the old ones:
``python -c "from tests.scoring.test_golden import write; write()"``.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from harness.scoring.leaderboard import TRIVIAL, leaderboard
from harness.scoring.values import SCORING_VERSION
from tests.scoring.synthetic import Tables, cell, failed, trial

FOLDER = Path(__file__).parents[1] / "golden"
FILE = FOLDER / f"scoring-{SCORING_VERSION}.json"


def wobble(i: int) -> float:
    """A fixed number in -1..1 for every i: no generator whose stream could change."""
    return math.sin(12.9898 * (i + 1)) * math.cos(78.233 * (i + 1))


def classification() -> Tables:
    """Three variants: pretraining shared by seeds, failed seeds, a shared device, an unfinished seed."""
    variants = (("direct", 0.90, 60.0, 0.0), ("pipe-s", 0.93, 30.0, 10.0), ("ann", 0.95, 12.0, 0.0))
    tables = Tables(
        cells=[cell(f"digits/{name}", classes=10) for name, *_ in variants], protocol={"baseline": "direct"}
    )
    for a, (name, top, own, pretrain) in enumerate(variants):
        common = {"cell": f"digits/{name}", "pipeline": name}
        for number in range(3 - (name == "ann")):
            state = "PRUNED" if number == 2 else "COMPLETE"
            tables.add(trial(**common, phase="search", number=number, config=f"c{number}", state=state))
        for seed in range(5):
            if (name, seed) == ("direct", 4):
                tables.add(failed(**common, seed=seed), [0.3, 0.4])
                continue
            inherited = pretrain if seed else 0.0
            train = own * (1 + 0.05 * wobble(10 * a + seed)) + pretrain - inherited
            final = top + 0.01 * wobble(100 + 10 * a + seed)
            values = [0.5 * final, 0.8 * final, 0.97 * final, final, final - 0.01]
            row = trial(
                **common, seed=seed, number=seed, test_value=final - 0.012, value=final, train_s=train,
                train_cpu_s=0.97 * train, pretrain_s=pretrain, inherited_s=inherited,
                pretrain_cpu_s=0.97 * pretrain, inherited_cpu_s=0.97 * inherited, best_epoch=4, epochs=5,
                exclusive=name != "ann",
                stage_train_s={"train": own} | ({"pretrain": pretrain} if pretrain else {}),
            )  # fmt: skip
            tables.add(row, values)
    tables.add(trial(cell="digits/pipe-s", pipeline="pipe-s", seed=9, state="RUNNING", test_value=None))
    return tables


def forecasting() -> Tables:
    """A lower-is-better objective with all trivial baselines and one failed seed."""
    names = ("ts-lif", *TRIVIAL)
    cells = [cell(f"ett[horizon=24]/{n}", dataset="ett", task="forecasting", chance=0.0) for n in names]
    tables = Tables(cells=cells, protocol={"objectives": ["rse min"], "final": {"seeds": 4}, "target": 0.7})
    for i, (info, level) in enumerate(zip(cells, (0.62, 0.81, 0.77, 1.01, 0.55), strict=True)):
        for seed in range(4):
            rse = level + (0.02 * wobble(10 * i + seed) if i == 0 else 0.0)
            test = {"r2": 1 - rse**2, "rse": rse, "mae": 0.7 * rse, "mse": rse**2}
            common = {"cell": info["cell"], "pipeline": info["pipeline"], "dataset": "ett", "seed": seed}
            if (i, seed) == (0, 3):
                tables.add(failed(**common))
            else:
                row = tables.add(trial(**common, test_value=rse, value=rse, test=test))
                entry = {name: row[name] for name in ("study", "cell", "trial_id", "attempt")}
                entry |= {"stage": "train", "split": "valid", "metric": "rse", "epoch": 3, "value": rse}
                tables.epochs.append(
                    entry | {"total_s": 6.0, "total_cpu_s": 5.25, "eval_s": 0.0, "wall_s": 7.0}
                )
    return tables


def scored() -> dict[str, Any]:
    """Both boards as plain JSON values; NaN and infinities as text."""
    boards = {"classification": classification(), "forecasting": forecasting()}
    return {name: plain(asdict(leaderboard(*t.as_tables(), study="demo"))) for name, t in boards.items()}


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(scored(), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def differences(found: Any, expected: Any, place: str = "") -> list[str]:
    """Where two plain values differ, floats by more than 1e-9."""
    if isinstance(expected, dict) and isinstance(found, dict) and found.keys() == expected.keys():
        return [line for key in expected for line in differences(found[key], expected[key], f"{place}.{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{place}[{i}]")]
    if isinstance(expected, float) and isinstance(found, (int, float)):
        return (
            []
            if found == pytest.approx(expected, rel=1e-9, abs=1e-12)
            else [f"{place}: {found} != {expected}"]
        )
    return [] if found == expected else [f"{place}: {found!r} != {expected!r}"]


def test_the_scoring_is_the_pinned_one() -> None:
    expected = json.loads(FILE.read_text(encoding="utf-8"))
    assert differences(scored(), expected) == []


def test_a_moved_number_is_seen() -> None:
    expected = json.loads(FILE.read_text(encoding="utf-8"))
    expected["forecasting"]["groups"][0]["rows"][0]["score"]["mean"] *= 1 + 1e-6
    assert len(differences(scored(), expected)) == 1
