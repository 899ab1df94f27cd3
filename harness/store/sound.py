"""What a file of ours holds, checked before anything trusts it: types, names, states, numbers, dates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import ForeignFileError
from harness.store.schemas import LATER, TABLES
from harness.trial import Phase, State

_SAFE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_ONE_OF = {"state": [state.value for state in State], "phase": [phase.value for phase in Phase]}
_LEAST = {"attempt": 1, "number": 0, "launch": 1, "epoch": 0, "epochs_planned": 0}
_GIVEN = {
    "trials": ("cell", "seed", "params"),
    "epochs": ("cell", "stage", "split", "metric"),
    "studies": ("fingerprint", "launched_at", "parts", "cells", "protocol", "text"),
}
_LAST_YEAR = 9999
FEW = 64  # rows of a file that are looked at together with those of others


# What is looked at whatever columns are wanted, so that every command judges a file alike.
LOOKED_AT = {
    "trials": TABLES["trials"].names,
    "epochs": ("study", "cell", "trial_id", "attempt", "epoch", "metric", "split", "stage"),
    "studies": TABLES["studies"].names,
}


def validate_types(table: str, schema: pa.Schema, where: str) -> None:
    """Raise ForeignFileError if a column is absent or of another type than the table's."""
    found = dict(zip(schema.names, schema.types, strict=True))
    for field in TABLES[table]:
        kind = found.get(field.name)
        if kind is None and field.name in LATER:
            continue
        if kind is None:
            raise ForeignFileError(f"{where} has no column '{field.name}' of a '{table}' table.")
        if kind != field.type:
            raise ForeignFileError(f"{where}: column '{field.name}' holds {kind}, expected {field.type}.")
    if len(found) < len(schema.names):
        raise ForeignFileError(f"{where} has two columns of one name.")


def validate_rows(table: str, rows: pa.Table, study: str, where: str) -> None:
    """Raise ForeignFileError if a value cannot be, or a row is of another study; looks at what was read."""
    rows.validate(full=True)  # ArrowInvalid: text that is no UTF-8, offsets that lead outside
    if "state" in rows.column_names:
        complete = rows.filter(pc.equal(rows["state"], State.COMPLETE.value))
        for name in ("values", "constraints"):
            if complete[name].null_count:
                raise ForeignFileError(f"{where}: a trial is COMPLETE and has no {name}.")
    for name in rows.column_names:
        column = rows[name]
        wrong = _wrong(table, name, column, study)
        if wrong is not None:
            at = wrong.index(True).as_py()
            if at >= 0:
                value = column[at].as_py()
                said = "nothing" if value is None else repr(value)[:60]
                raise ForeignFileError(f"{where}: row {at + 1}: {name} is {said}{_expected(name, study)}.")
        if name == "cells" and pc.list_flatten(column).combine_chunks().field("cell").null_count:
            raise ForeignFileError(f"{where}: {name} has a cell without a name.")
        if pa.types.is_timestamp(column.type):
            _validate_dates(name, column, where)


def _wrong(table: str, name: str, column: pa.ChunkedArray, study: str) -> pa.ChunkedArray | None:
    """Where a column's values cannot be; None if anything may stand there."""
    if name == "study":
        fine = pc.equal(column, study)
    elif name == "trial_id":
        fine = pc.match_substring_regex(column, _SAFE)
    elif name in _ONE_OF:
        fine = pc.is_in(column, value_set=pa.array(_ONE_OF[name]))
    elif name in _LEAST:
        fine = pc.greater_equal(column, _LEAST[name])
    elif name in _GIVEN[table]:
        return pc.is_null(column)
    else:
        return None
    return pc.invert(pc.fill_null(fine, False))


def _expected(name: str, study: str) -> str:
    if name == "study":
        return f", expected '{study}'"
    if name in _ONE_OF:
        return f", expected one of {', '.join(_ONE_OF[name])}"
    return f", expected {_LEAST[name]} or more" if name in _LEAST else ""


def _validate_dates(name: str, column: pa.ChunkedArray, where: str) -> None:
    years = pc.min_max(pc.year(pc.cast(column, pa.timestamp("us")))).as_py()
    if years["min"] is not None and not (years["min"] >= 1 and years["max"] <= _LAST_YEAR):
        raise ForeignFileError(f"{where}: {name} lies in the year {years['max']}.")


@contextmanager
def foreign(where: str) -> Iterator[None]:
    """Whatever a damaged file makes Parquet's reader raise is a ForeignFileError naming ``where``."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ForeignFileError(f"{where} is truncated or not Parquet ({line[:90]}).") from None


class Check:
    """Looks at the rows of a file: at many at once, at few later and together with those of other files."""

    def __init__(self, table: str, study: str, where: str) -> None:
        self._table, self._study, self._where = table, study, where
        self._later: list[pa.Table] = []

    def __call__(self, rows: pa.Table) -> None:
        if rows.num_rows > FEW:
            validate_rows(self._table, rows, self._study, self._where)
        else:
            self._later.append(rows)

    def now(self) -> None:
        """Look at what was left for later. Raises ForeignFileError."""
        with foreign(self._where):
            for rows in self._later:
                validate_rows(self._table, rows, self._study, self._where)

    @staticmethod
    def together(checks: Sequence[Check]) -> bool:
        """Whether what several checks of one table left for later is sound."""
        alike: dict[tuple[object, ...], list[pa.Table]] = {}
        for check in checks:
            for rows in check._later:
                alike.setdefault((*rows.column_names, *map(str, rows.schema.types)), []).append(rows)
        try:
            for found in alike.values():
                whole = pa.concat_tables([rows.replace_schema_metadata(None) for rows in found])
                validate_rows(checks[0]._table, whole, checks[0]._study, "")
        except (ForeignFileError, pa.ArrowException, ValueError, RecursionError):
            return False
        return True
