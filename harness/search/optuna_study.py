"""A cell's records as an Optuna study, for dashboards and for importance."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from harness.search.conditional_space import ConditionalSpace
from harness.search.distributions import distribution
from harness.search.history import History, Record
from harness.search.models import directions, quiet
from harness.space import Scalar
from harness.trial import State

_STATES = {
    State.COMPLETE: TrialState.COMPLETE,
    State.PRUNED: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
    State.RUNNING: TrialState.RUNNING,
}


def study(history: History, *, name: str, storage: str | None = None) -> optuna.Study:
    """A study with every record, by number; the number is the user attribute ``number``.

    ``storage`` is the path of a journal file (4 ms a trial) or an address like ``sqlite:///x.db`` (some 50 ms
    a trial); optuna-dashboard opens both. Without one the study lives in memory.
    Values outside the present space are kept as user attributes ``param.<name>`` unless they are numbers.
    """
    goals = directions(history.objectives)
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of set_metric_names
        opened = _storage(storage)
        result = optuna.create_study(storage=opened, study_name=name, directions=goals)
        result.set_metric_names([goal.metric for goal in history.objectives])
        result.add_trials([_trial(record, history.conditional_space) for record in history.ordered])
    return result


def _storage(storage: str | None) -> str | BaseStorage | None:
    if storage is None or "://" in storage:
        return storage
    return JournalStorage(JournalFileBackend(storage))


def _trial(record: Record, conditional_space: ConditionalSpace) -> FrozenTrial:
    params: dict[str, Any] = {}
    fitted: dict[str, BaseDistribution] = {}
    attributes: dict[str, Any] = {"number": record.number}
    for name, value in record.params.items():
        fitting = _distribution(name, value, conditional_space)
        if fitting is None:
            attributes[f"param.{name}"] = value
        else:
            params[name], fitted[name] = value, fitting
    return create_trial(
        state=_STATES[record.state],
        values=list(record.values) or None,
        params=params,
        distributions=fitted,
        user_attrs=attributes,
        system_attrs={"constraints": list(record.constraints)} if record.constraints else {},
        intermediate_values=dict(record.curve),
    )


def _distribution(name: str, value: Scalar, conditional_space: ConditionalSpace) -> BaseDistribution | None:
    """The parameter's distribution, widened to hold the value; None if it cannot hold it."""
    parameter = conditional_space.by_name.get(name)
    if parameter is None:
        return None
    usual = distribution(parameter.domain)
    if parameter.domain.contains(value) and usual._contains(usual.to_internal_repr(value)):
        return usual
    if isinstance(value, (bool, str)) or not isinstance(usual, (FloatDistribution, IntDistribution)):
        return None
    if usual.log and value <= 0:
        return None
    if isinstance(usual, FloatDistribution):
        return FloatDistribution(min(usual.low, value), max(usual.high, value), log=usual.log)
    if not isinstance(value, int):
        return None
    return IntDistribution(min(usual.low, value), max(usual.high, value), log=usual.log)
