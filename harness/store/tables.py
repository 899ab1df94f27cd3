"""Between rows and Parquet bytes: cast to the versioned schema, refuse what is foreign or newer."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as with_default
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.errors import ForeignFileError, NewerSchemaError
from harness.store import columns, schema_1, sound
from harness.store.schemas import FORMS, TABLES, VERSION, logical, physical
from harness.store.seal import seal, sealed

REPLACES = b"harness_replaces"
KEYS = {"trials": ("trial_id", "attempt"), "epochs": ("trial_id", "attempt"), "studies": ("launch",)}
ONCE = {**KEYS, "epochs": ("cell", "trial_id", "attempt", "epoch", "stage", "split", "metric")}
MOST_ROWS_A_BYTE = 10  # more is a file made to fill the memory
GROUP_ROWS = 65_536  # rows of a row group: what a reader that wants few trials can leave out


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a table is read: these columns, and rows whose columns hold one of the values of ``only``."""

    columns: Sequence[str] | None = None
    only: Mapping[str, Collection[str]] = with_default(default_factory=dict)


ALL = Wanted()


def to_table(table: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of Python values as an Arrow table with exactly the schema's columns."""
    schema = TABLES[table]
    arrays: dict[str, list[Any]] = {}
    for name in logical(table):
        values = [row.get(name) for row in rows]
        form = FORMS[table].get(name)
        if form is not None:
            encoded = columns.encode(form, values)
            arrays.update(zip(physical(table, name), encoded, strict=True))
        elif pa.types.is_nested(schema.field(name).type):
            arrays[name] = [columns.fit(value, schema.field(name).type) for value in values]
        else:
            arrays[name] = values
    return pa.table([pa.array(arrays[field.name], type=field.type) for field in schema], schema=schema)


def to_frame(table: str, part: pa.Table) -> pd.DataFrame:
    """An Arrow table as one of pandas, maps and structs as dicts, lists as lists."""
    names = [name for name in logical(table) if name in part.column_names]
    flat = [name for name in names if not pa.types.is_nested(part.schema.field(name).type)]
    found: pd.DataFrame = part.select(flat).to_pandas(strings_to_categorical=False, self_destruct=True)
    for at, name in enumerate(names):
        form = FORMS[table].get(name)
        if form is not None:
            held = [part[column] for column in physical(table, name)]
            found.insert(at, name, pd.Series(columns.decode(form, held), dtype=object))
        elif name not in flat:
            kind = part.schema.field(name).type
            values = [columns.unfit(value, kind) for value in part[name].to_pylist()]
            found.insert(at, name, pd.Series(values, dtype=object))
    return found


def to_bytes(table: pa.Table, replaces: Sequence[str] = ()) -> bytes:
    """Parquet bytes, zstd, sealed; ``replaces`` names the parts that this file stands for."""
    if replaces:
        metadata = {**(table.schema.metadata or {}), REPLACES: json.dumps(list(replaces)).encode()}
        table = table.replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    many = table.num_rows > 1000
    pq.write_table(table, sink, compression="zstd", write_statistics=many, row_group_size=GROUP_ROWS)
    return seal(bytes(sink.getvalue()))


def from_bytes(
    table: str, data: bytes, where: str, wanted: Wanted, check: Callable[[pa.Table], None] | None
) -> pa.Table:
    """One file as a table. Raises ForeignFileError and NewerSchemaError naming ``where``.

    ``check`` gets the rows of the columns that are always looked at; None where the file passed before.
    """
    with sound.foreign(where):
        whole = sealed(data)
        if whole is False:
            raise ForeignFileError(f"{where} is damaged: its checksum is not that of its bytes.")
        file = pq.ParquetFile(pa.BufferReader(data))
        schema = file.schema_arrow
        metadata = schema.metadata or {}
        if metadata.get(b"harness_table", b"").decode() != table:
            raise ForeignFileError(f"{where} is not a '{table}' table of the harness.")
        version = int(metadata.get(b"harness_schema", b"0"))
        if version > VERSION:
            raise NewerSchemaError(
                f"{where} has schema {version}; this harness reads up to {VERSION}. Upgrade the harness."
            )
        if file.metadata.num_rows > MOST_ROWS_A_BYTE * len(data):
            raise ForeignFileError(f"{where} claims {file.metadata.num_rows} rows in {len(data)} bytes.")
        replaced(schema)
        if version < VERSION:
            return _upgraded(table, file, where, wanted, check or (lambda _: None))
        sound.validate_types(table, schema, where)
        looked_at = () if check is None else sound.LOOKED_AT[table] if whole else schema.names
        return _read(table, file, wanted, looked_at, check or (lambda _: None))


def _upgraded(
    table: str, file: pq.ParquetFile, where: str, wanted: Wanted, check: Callable[[pa.Table], None]
) -> pa.Table:
    """A file of schema 1 as a table of this schema, whole: such files are small or soon compacted."""
    for field in schema_1.TABLES[table]:
        if field.name not in file.schema_arrow.names:
            raise ForeignFileError(f"{where} has no column '{field.name}' of a '{table}' table.")
    old = file.read(use_threads=False)
    rows = to_table(table, schema_1.upgraded(table, old.to_pylist()))
    check(rows)
    for name, values in wanted.only.items():
        rows = rows.filter(pc.is_in(rows[name], value_set=pa.array(list(values), type=pa.string())))
    names = (
        rows.column_names if wanted.columns is None else _columns(table, wanted.columns, rows.column_names)
    )
    claims = (file.schema_arrow.metadata or {}).get(REPLACES)
    if claims is not None:
        rows = rows.replace_schema_metadata({**(rows.schema.metadata or {}), REPLACES: claims})
    return rows.select(names)


def _columns(table: str, wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    """The columns of a file that hold the values of these names."""
    names = [column for name in wanted if name in logical(table) for column in physical(table, name)]
    return [name for name in names if name in there]


def _read(
    table: str,
    file: pq.ParquetFile,
    wanted: Wanted,
    looked_at: Sequence[str],
    check: Callable[[pa.Table], None],
) -> pa.Table:
    schema = file.schema_arrow
    chosen = schema.names if wanted.columns is None else _columns(table, wanted.columns, schema.names)
    if not wanted.only:
        rows = file.read(columns=[*dict.fromkeys([*chosen, *looked_at])], use_threads=False)
        check(rows)
        return rows.select(chosen)
    groups = []
    for index in range(file.num_row_groups):
        keys = file.read_row_group(
            index, columns=[*dict.fromkeys([*wanted.only, *looked_at])], use_threads=False
        )
        check(keys)
        mask = None
        for name, values in wanted.only.items():
            here = pc.is_in(keys[name], value_set=pa.array(list(values), type=pa.string()))
            mask = here if mask is None else pc.and_(mask, here)
        if pc.any(mask).as_py():
            groups.append(file.read_row_group(index, columns=chosen, use_threads=False).filter(mask))
    if groups:
        return pa.concat_tables(groups)
    return pa.schema([schema.field(c) for c in chosen], schema.metadata).empty_table()


def replaced(part: pa.Table | pa.Schema) -> list[str]:
    """The part names that a merged file stands for. Raises ValueError if it says no list of names."""
    schema = part if isinstance(part, pa.Schema) else part.schema
    raw = (schema.metadata or {}).get(REPLACES)
    found = [] if raw is None else json.loads(raw)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ValueError("its list of replaced files is none")
    return found


def keys_of(table: str, part: pa.Table) -> set[tuple[Any, ...]]:
    """The attempts (or launches) that a part holds rows of."""
    names = list(KEYS[table])
    once = part.select(names).group_by(names).aggregate([])
    return set(zip(*(once[name].to_pylist() for name in names), strict=True))


def doubles(table: str, rows: pa.Table) -> int:
    """How many rows say again what another row of the table says."""
    names = list(ONCE[table])
    return int(rows.num_rows - rows.select(names).group_by(names).aggregate([]).num_rows)


def without_doubles(table: str, rows: pa.Table) -> pa.Table:
    """The rows without those that say again what a later one says; in order.

    Two rows of one attempt in ``trials`` that differ are both kept: nobody can know which is right.
    """
    if not doubles(table, rows):
        return rows
    names, at = list(ONCE[table]), pa.array(range(rows.num_rows), pa.int64())
    if table != "trials":
        last = rows.select(names).append_column("at", at).group_by(names).aggregate([("at", "max")])
        return rows.take(last["at_max"].combine_chunks().sort())
    seen: dict[str, int] = {repr(row): index for index, row in enumerate(rows.to_pylist())}
    return rows.take(pa.array(sorted(seen.values()), pa.int64()))


def of_attempts(part: pa.Table, attempts: Collection[tuple[Any, ...]]) -> pa.Table:
    """The rows of some attempts."""
    named = [f"{trial_id}/{attempt}" for trial_id, attempt in attempts]
    own = pc.binary_join_element_wise(part["trial_id"], pc.cast(part["attempt"], pa.string()), "/")
    return part.filter(pc.is_in(own, value_set=pa.array(named, pa.string())))


def concat(table: str, parts: Sequence[pa.Table], wanted: Sequence[str] | None = None) -> pa.Table:
    """Parts as one table of the schema, or of the columns that hold the wanted values."""
    schema = TABLES[table]
    if wanted is not None:
        names = _columns(table, wanted, schema.names)
        schema = pa.schema([field for field in schema if field.name in names], metadata=schema.metadata)
    if not parts:
        return schema.empty_table()
    return pa.concat_tables([_cast(part, schema) for part in parts])


def _cast(part: pa.Table, schema: pa.Schema) -> pa.Table:
    if part.schema.equals(schema):
        return part.replace_schema_metadata(schema.metadata)
    missing = pa.scalar(None, pa.float64())
    held = [part[f.name] if f.name in part.column_names else pa.repeat(missing, len(part)) for f in schema]
    return pa.table(held, schema=schema)
