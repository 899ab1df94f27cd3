"""Values of Python in columns of Parquet: maps, lists and structs, never text that stands for them.

In a table of pandas such a column holds dicts and lists. In a file:

- ``numbers``: a map from name to number;
- ``texts``: a map from name to text;
- ``scalars``: three columns. ``x`` maps names to numbers (a switch is 0 or 1), ``x_text`` names to texts, and
  ``x_kind`` says of a number that it is whole (``int``) or a switch (``bool``), so that a value comes back as
  what it was;
- ``nested``: two columns, ``x`` of numbers and ``x_text`` of texts, with names like ``splits/train``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa

Form = Literal["numbers", "texts", "scalars", "nested"]
NUMBERS = pa.map_(pa.string(), pa.float64())
TEXTS = pa.map_(pa.string(), pa.string())
TEXT, KIND = "_text", "_kind"
Fields = list[tuple[str, pa.DataType]]


def fields(name: str, form: Form) -> Fields:
    """The columns of a file that hold one value."""
    if form == "numbers":
        return [(name, NUMBERS)]
    if form == "texts":
        return [(name, TEXTS)]
    if form == "scalars":
        return [(name, NUMBERS), (name + TEXT, TEXTS), (name + KIND, TEXTS)]
    return [(name, NUMBERS), (name + TEXT, TEXTS)]


def encode(form: Form, values: Sequence[Mapping[str, Any] | None]) -> list[list[Any]]:
    """The columns of :func:`fields` for one value a row."""
    if form in ("numbers", "texts"):
        return [[None if value is None else list(value.items()) for value in values]]
    flat = [None if value is None else dict(_flat(value) if form == "nested" else value) for value in values]
    columns: list[list[Any]] = [
        [
            None if value is None else [(k, float(v)) for k, v in value.items() if _number(v)]
            for value in flat
        ],
        [None if v is None else [(k, x) for k, x in v.items() if isinstance(x, str)] for v in flat],
    ]
    if form == "scalars":
        columns.append([None if value is None else _kinds(value) for value in flat])
    return columns


def decode(form: Form, columns: Sequence[pa.ChunkedArray]) -> list[dict[str, Any] | None]:
    """The values of rows from the columns of :func:`fields`."""
    read = [column.to_pylist() for column in columns]
    if form in ("numbers", "texts"):
        return [None if pairs is None else dict(pairs) for pairs in read[0]]
    if form == "scalars":
        return [_scalars(*row) for row in zip(*read, strict=True)]
    return [
        None if numbers is None and texts is None else _nest([*(numbers or ()), *(texts or ())])
        for numbers, texts in zip(*read, strict=True)
    ]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _kinds(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, type(item).__name__) for name, item in value.items() if isinstance(item, int)]


def _scalars(numbers: Any, texts: Any, kinds: Any) -> dict[str, Any] | None:
    if numbers is None:
        return None
    found: dict[str, Any] = dict(numbers)
    for name, kind in kinds or ():
        if name in found:
            found[name] = bool(found[name]) if kind == "bool" else int(found[name])
    return dict(sorted((found | dict(texts or ())).items()))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Names like ``a/b`` and ``a/0`` with numbers and texts; None is left out."""
    for name, item in value.items():
        where = f"{prefix}{name}"
        if isinstance(item, Mapping):
            yield from _flat(item, f"{where}/")
        elif isinstance(item, (list, tuple)):
            yield from _flat({str(at): one for at, one in enumerate(item)}, f"{where}/")
        elif isinstance(item, (int, float, str)):
            yield where, item
        elif item is not None:
            yield where, str(item)


def _nest(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name, value in pairs:
        *groups, leaf = name.split("/")
        node = root
        for group in groups:
            inner = node.setdefault(group, {})
            node = inner if isinstance(inner, dict) else node
        node[leaf] = value
    return {name: _lists(value) for name, value in root.items()}


def _lists(value: Any) -> Any:
    """Mappings whose names count from 0 are lists."""
    if not isinstance(value, dict):
        return value
    inner = {name: _lists(item) for name, item in value.items()}
    if inner and set(inner) == {str(at) for at in range(len(inner))}:
        return [inner[str(at)] for at in range(len(inner))]
    return inner


def fit(value: Any, kind: pa.DataType) -> Any:
    """A value of dicts and lists as Arrow takes it for a nested type: a map as a list of pairs."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        return [(name, fit(item, kind.item_type)) for name, item in value.items()]
    if pa.types.is_struct(kind):
        return {field.name: fit(value.get(field.name), field.type) for field in kind}
    if pa.types.is_list(kind):
        return [fit(item, kind.value_type) for item in value]
    return value


def unfit(value: Any, kind: pa.DataType) -> Any:
    """The opposite of :func:`fit`; what a struct does not say is left out."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        return {name: unfit(item, kind.item_type) for name, item in value}
    if pa.types.is_struct(kind):
        held = ((field.name, unfit(value[field.name], field.type)) for field in kind)
        return {name: item for name, item in held if item is not None}
    if pa.types.is_list(kind):
        return [unfit(item, kind.value_type) for item in value]
    return value


def flat_texts(value: Mapping[str, Any]) -> dict[str, str]:
    """Nested values as one map of texts, with names like ``a/b``; what two launches are compared by."""
    return {name: item if isinstance(item, str) else repr(item) for name, item in _flat(value)}
