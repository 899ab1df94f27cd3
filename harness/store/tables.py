"""Between rows and Parquet bytes: cast to the versioned schema, refuse what is foreign or newer."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as with_default
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.errors import ForeignFileError, NewerSchemaError
from harness.store import sound
from harness.store.schemas import PARAM_PREFIX, TABLES, VERSION
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
    """Rows as an Arrow table with exactly the schema's columns and the ``param.`` ones that occur."""
    schema = TABLES[table]
    extra = dict.fromkeys(key for row in rows for key in row if key.startswith(PARAM_PREFIX))
    for name in extra:
        schema = schema.append(pa.field(name, _param_type(row.get(name) for row in rows)))
    columns = [[row.get(field.name) for row in rows] for field in schema]
    for at, field in enumerate(schema):
        if field.name in extra and pa.types.is_string(field.type):
            columns[at] = [_text(value) for value in columns[at]]
    return pa.table(
        [pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


def _param_type(values: Iterable[Any]) -> pa.DataType:
    known = [value for value in values if value is not None]
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in known)
    return pa.float64() if numeric else pa.string()


def _text(value: Any) -> str | None:
    """A searched value in a column of text: a switch is ``true`` or ``false``."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


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
        sound.validate_types(table, schema, where)
        replaced(schema)
        looked_at = () if check is None else sound.LOOKED_AT[table] if whole else schema.names
        return _read(file, wanted, looked_at, check or (lambda _: None))


def _read(
    file: pq.ParquetFile, wanted: Wanted, looked_at: Sequence[str], check: Callable[[pa.Table], None]
) -> pa.Table:
    schema = file.schema_arrow
    columns = schema.names if wanted.columns is None else [n for n in wanted.columns if n in schema.names]
    if not wanted.only:
        rows = file.read(columns=[*dict.fromkeys([*columns, *looked_at])], use_threads=False)
        check(rows)
        return rows.select(columns)
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
            groups.append(file.read_row_group(index, columns=columns, use_threads=False).filter(mask))
    if groups:
        return pa.concat_tables(groups)
    return pa.schema([schema.field(c) for c in columns], schema.metadata).empty_table()


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


def concat(table: str, parts: Sequence[pa.Table], columns: Sequence[str] | None = None) -> pa.Table:
    """Parts as one table; a column some lack is null there, a mixed ``param.`` column becomes text."""
    schema = TABLES[table]
    if columns is not None:
        schema = pa.schema([f for f in schema if f.name in columns], metadata=schema.metadata)
    if not parts:
        return schema.empty_table()
    kinds: dict[str, pa.DataType] = {}
    for part in parts:
        for field in part.schema:
            if field.name.startswith(PARAM_PREFIX):
                known = kinds.setdefault(field.name, field.type)
                kinds[field.name] = known if known == field.type else pa.string()
    for name, kind in kinds.items():
        schema = schema.append(pa.field(name, kind))
    return pa.concat_tables([_cast(part, schema) for part in parts])


def _cast(part: pa.Table, schema: pa.Schema) -> pa.Table:
    if part.schema.equals(schema):
        return part.replace_schema_metadata(schema.metadata)
    columns = []
    for field in schema:
        if field.name in part.schema.names:
            columns.append(part[field.name].cast(field.type))
        else:
            columns.append(pa.nulls(part.num_rows, field.type))
    return pa.table(columns, schema=schema)
