"""The state of an attempt: where it is, what it measured, what was best; saved and restored whole."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

from harness.errors import IncompatibleError, NonFiniteError
from harness.trial import COSTS, EpochRow, Objective


@dataclass(slots=True)
class Progress:
    """``stage`` and ``epoch`` say what comes next; ``done`` counts epochs over all stages."""

    stage: int = 0
    epoch: int = 0
    done: int = 0
    rows: list[EpochRow] = field(default_factory=list)
    stage_train_s: dict[str, float] = field(default_factory=dict)
    inherited_s: float = 0.0
    inherited_cpu_s: float = 0.0
    pretrain_s: float = 0.0
    pretrain_cpu_s: float = 0.0
    best_epoch: int = 0
    best_values: tuple[float, ...] = ()
    best_train_s: float = 0.0
    best_total_s: float = 0.0
    best_costs: dict[str, float] = field(default_factory=dict)
    best_state: dict[str, Any] | None = None
    timesteps: float | None = None
    no_gradient: dict[str, dict[str, Any]] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """Plain values and tensors for a checkpoint."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "rows"}
        return {**plain, "rows": [astuple(row) for row in self.rows]}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Progress:
        """The progress that :meth:`state` saved. Raises TypeError and KeyError for anything else."""
        values, blank = dict(state), cls()
        for name in set(cls.__slots__) - {"rows", "best_state", "timesteps", "best_values"}:
            if type(values[name]) is not type(getattr(blank, name)):
                raise TypeError(f"{name} is {values[name]!r}")
        values["rows"] = [EpochRow(*row) for row in values["rows"]]
        values["best_values"] = tuple(values["best_values"])
        return cls(**values)

    def consider(
        self,
        measured: Mapping[str, float],
        objectives: tuple[Objective, ...],
        *,
        state: Mapping[str, Any] | None,
    ) -> None:
        """Keep this epoch if its first objective is the best on validation; ties keep the earlier one.

        Raises IncompatibleError if an objective was not measured and NonFiniteError if it is not finite.
        """
        values = tuple(_value(measured, objective) for objective in objectives)
        better = not self.best_values or (
            values[0] > self.best_values[0] if objectives[0].maximize else values[0] < self.best_values[0]
        )
        if better:
            self.best_values, self.best_epoch = values, self.done
            self.best_train_s, self.best_total_s = measured["train_s"], measured["total_s"]
            self.best_costs = {k: v for k, v in measured.items() if k in COSTS}
            self.best_state = None if state is None else copy.deepcopy(dict(state))


def _value(measured: Mapping[str, float], objective: Objective) -> float:
    if objective.metric not in measured:
        known = ", ".join(sorted(name for name in measured if "/" not in name))
        raise IncompatibleError(f"objective '{objective.metric}' was not measured. Measured: {known}")
    value = float(measured[objective.metric])
    if not math.isfinite(value):
        raise NonFiniteError(f"validation {objective.metric} is {value}")
    return value
