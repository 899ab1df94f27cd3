"""A first study file from three answers: the data, the pipelines, the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.contracts import registry
from harness.contracts.data import DatasetCard
from harness.errors import HarnessError, UnknownNameError
from harness.studyfile.load import load_stored
from harness.studyfile.values import TRIVIAL


@dataclass(frozen=True, slots=True)
class Budget:
    """Trials and epochs of the search, seeds of the phases, and how long that is in words."""

    trials: int
    epochs: int
    confirm: str
    seeds: int
    words: str


BUDGETS = {
    "quick": Budget(4, 5, "{seeds: 0}", 3, "to see that it runs"),
    "normal": Budget(20, 20, "{top: 3, seeds: 2}", 5, "a first result"),
    "thorough": Budget(60, 40, "{top: 3, seeds: 3}", 5, "numbers to show"),
}
FIRST = {"classification": ("ann", "direct"), "forecasting": (*TRIVIAL, "forecast-snn")}


def suitable(card: DatasetCard) -> list[str]:
    """The pipelines that run on a data set, by name."""
    return [name for name, kind in sorted(registry.pipelines().items()) if kind().incompatible(card) is None]


def study_text(name: str, dataset: str, card: DatasetCard, pipelines: Sequence[str], budget: str) -> str:
    """A commented study file; ``dataset`` is its line. Raises UnknownNameError and HarnessError."""
    if budget not in BUDGETS:
        raise UnknownNameError("budget", budget, BUDGETS)
    fits = suitable(card)
    chosen = list(pipelines) or [p for p in FIRST[card.task] if p in fits]
    for pipeline in chosen:
        why = registry.pipeline(pipeline)().incompatible(card)
        if why is not None:
            raise HarnessError(f"pipeline '{pipeline}': {why}. These fit: {', '.join(fits)}.")
    if card.task == "forecasting":
        chosen = list(dict.fromkeys([*TRIVIAL, *chosen]))
    plan = BUDGETS[budget]
    names = {n for p in chosen for n in registry.pipeline(p).schema().names}
    space = ["  optimizer.lr: {float: [1.0e-4, 1.0e-2], log: true} # YAML numbers need a dot: 1.0e-4"]
    if "neuron.tau" in names:
        space.append("  neuron.tau: {float: [1.1, 8.0], log: true} # where a pipeline has neurons")
    rows = "\n".join(f"      - {pipeline}" for pipeline in chosen)
    others = [p for p in fits if p not in chosen]
    more = f" # these fit as well: {', '.join(others)}" if others else ""
    counts = "/".join(map(str, card.counts))
    return (
        f"# {card.task}, layout {card.layout}, sample {card.shape}, train/valid/test {counts}.\n"
        f"#   harness check {name}.yaml      the plan and its cost; runs nothing\n"
        f"#   harness launch {name}.yaml     runs it; launched again, it goes on\n"
        f"name: {name}\n"
        f"cells:\n  - {dataset}\n    pipelines:{more}\n{rows}\n"
        "space: # what the search chooses; a parameter applies where a pipeline has it\n"
        + "\n".join(space)
        + f"\nstart: [published] # the first trial: a paper's configuration, else the defaults\n"
        f"search: {{sampler: tpe, trials: {plan.trials}, epochs: {plan.epochs}}} # a total for each cell; "
        f"{plan.words}\n"
        f"confirm: {plan.confirm} # the best of the search with fresh seeds\n"
        f"final: {{seeds: {plan.seeds}}} # the winner with fresh seeds; only here is test read\n"
        "keep: finals # the final networks, for harness predict and export\n"
    )


def validate(text: str, path: Path) -> None:
    """Raise StudyFileError where ``harness check`` would."""
    load_stored(text, path.absolute(), (), {}, trusted=True)
