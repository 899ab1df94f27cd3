"""Between rows and Parquet bytes: cast to the versioned schema, refuse what is foreign or newer."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as with_default
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.errors import ForeignFileError, NewerSchemaError
from harness.store.schemas import PARAM_PREFIX, TABLES, VERSION

REPLACES = b"harness_replaces"
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
    """Parquet bytes, zstd; ``replaces`` names the parts that this file stands for."""
    if replaces:
        metadata = {**(table.schema.metadata or {}), REPLACES: json.dumps(list(replaces)).encode()}
        table = table.replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    many = table.num_rows > 1000
    pq.write_table(table, sink, compression="zstd", write_statistics=many, row_group_size=GROUP_ROWS)
    return bytes(sink.getvalue())


def from_bytes(table: str, data: bytes, where: str, wanted: Wanted = ALL) -> pa.Table:
    """One file as a table. Raises ForeignFileError and NewerSchemaError naming ``where``."""
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        metadata = file.schema_arrow.metadata or {}
        if metadata.get(b"harness_table", b"").decode() != table:
            raise ForeignFileError(f"{where} is not a '{table}' table of the harness.")
        version = int(metadata.get(b"harness_schema", b"0"))
        if version > VERSION:
            raise NewerSchemaError(
                f"{where} has schema {version}; this harness reads up to {VERSION}. Upgrade the harness."
            )
        return _read(file, wanted)
    except (pa.ArrowException, OSError, ValueError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ForeignFileError(f"{where} is truncated or not Parquet ({line[:90]}).") from None


def _read(file: pq.ParquetFile, wanted: Wanted) -> pa.Table:
    names = file.schema_arrow.names
    columns = None if wanted.columns is None else [name for name in wanted.columns if name in names]
    if not wanted.only:
        return file.read(columns=columns, use_threads=False)
    groups = []
    for index in range(file.num_row_groups):
        keys = file.read_row_group(index, columns=list(wanted.only), use_threads=False)
        mask = None
        for name, values in wanted.only.items():
            here = pc.is_in(keys[name], value_set=pa.array(list(values), type=pa.string()))
            mask = here if mask is None else pc.and_(mask, here)
        if pc.any(mask).as_py():
            groups.append(file.read_row_group(index, columns=columns, use_threads=False).filter(mask))
    if groups:
        return pa.concat_tables(groups)
    schema = file.schema_arrow
    kept = schema if columns is None else pa.schema([schema.field(c) for c in columns], schema.metadata)
    return kept.empty_table()


def replaced(table: pa.Table) -> list[str]:
    """The part names that a merged file stands for."""
    raw = (table.schema.metadata or {}).get(REPLACES)
    return [] if raw is None else list(json.loads(raw))


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
