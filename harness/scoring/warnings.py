"""The warnings a row can carry, worded once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.scoring.values import RowWarning

FAILED = RowWarning(
    "failed",
    "Failed seeds score chance level (forecasts: the train mean), or the cell's worst seed if worse.",
)
NO_CHANCE = RowWarning(
    "no chance", "No chance level is known: failed seeds are scored at the worst seed of the table."
)
NO_FLOOR = RowWarning(
    "no floor", "Seeds failed and nothing says what chance is: they are counted, the mean is over the others."
)
FEWER_SEEDS = RowWarning("fewer seeds", "Fewer final seeds than planned have finished.")
ONE_SEED = RowWarning("one seed", "One seed: no interval, and nothing says where it ranks.")
NOT_FINAL = RowWarning("not final", "No final seeds yet: not ranked.")
BUDGET = RowWarning(
    "unequal budget", "Unequal search budget: fewer search trials finished than in another cell here."
)
SHARED = RowWarning("shared device", "Other work ran on the device: times are shown, not compared.")
HARDWARE = RowWarning(
    "other hardware", "Another hardware class than the rest of the table: times are shown, not compared."
)
MIXED = RowWarning(
    "mixed hardware",
    "Seeds ran on several hardware classes or shared devices: times are of the comparable ones only.",
)
SUPERSEDED = RowWarning("superseded", "An earlier winner also has final seeds; they are left out.")
CPU_PART = RowWarning(
    "cpu estimate", "CPU seconds of shared pretraining are its wall seconds times this trial's CPU share."
)
STARVED = RowWarning(
    "waits for data", "A fifth of its training time or more is spent waiting for data (data_wait_s)."
)
INFEASIBLE = RowWarning("infeasible", "No finished search trial keeps the study's limits.")
PROVISIONAL = RowWarning("provisional", "Best search trial on validation, one seed: not a result.")


def no_gradient(metadata: Iterable[Mapping[str, Any]]) -> list[RowWarning]:
    """What the first steps of a cell's trials said of parameters that do not learn, by stage."""
    found: dict[str, RowWarning] = {}
    for stages in (one.get("no_gradient") for one in metadata):
        for stage, said in (stages if isinstance(stages, Mapping) else {}).items():
            if isinstance(said, Mapping) and {"without", "of", "first"} <= set(said):
                trains = f"{int(said['of']) - int(said['without'])} of {int(said['of'])} tensors"
                text = f"Only {trains} get a gradient in stage '{stage}' (not: {said['first']})."
                found.setdefault(stage, RowWarning("no gradient", text))
    return list(found.values())
