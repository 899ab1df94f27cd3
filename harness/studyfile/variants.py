"""``cells:`` of a study file: one :class:`Variant` for each data set with each of its pipelines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.contracts import registry
from harness.contracts.params import ParamInfo, ParamSchema
from harness.contracts.pipeline import Pipeline
from harness.errors import HarnessError, UnknownNameError
from harness.ids import content_id
from harness.space import Scalar
from harness.studyfile.file import CellFile, PipelineFile
from harness.studyfile.scalars import echo, file_error
from harness.studyfile.sources import Source, read_source
from harness.studyfile.validation import check, not_a
from harness.studyfile.yaml_lines import Node

_WANTED = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}


@dataclass(frozen=True, slots=True)
class Given:
    """A parameter's value as the file gives it, and where."""

    value: Scalar
    location: str


@dataclass(frozen=True, slots=True)
class Variant:
    """A cell as the file says it: ``given`` are its own settings (``set``)."""

    name: str
    label: str
    source: Source
    pipeline: type[Pipeline]
    schema: ParamSchema
    given: Mapping[str, Given]
    location: str


def read_variants(node: Node, folder: Path) -> tuple[Variant, ...]:
    """Every cell of a study, in order. Raises StudyFileError and the errors of missing or wrong data."""
    if not node.items:
        form = "a list of {dataset: .., pipelines: [..]}"
        raise file_error(
            node.location, "cells", "the list is empty." if node.value == () else not_a(form, node)
        )
    variants: list[Variant] = []
    for item in node.items:
        check(CellFile, item, "cells")
        source = read_source(item.mapping["dataset"], folder)
        pipelines = item.mapping["pipelines"]
        entries = pipelines.items if isinstance(pipelines.value, tuple) else (pipelines,)
        if not entries:
            raise file_error(
                pipelines.location, "pipelines", "the list is empty. Name at least one pipeline."
            )
        for entry in entries:
            variant = _variant(entry, source)
            _validate_unique(variant, variants)
            variants.append(variant)
    return tuple(variants)


def _variant(entry: Node, source: Source) -> Variant:
    if isinstance(entry.value, str):
        entry = Node({"name": Node(entry.value, entry.location)}, entry.location, (("name", entry.location),))
    got = check(PipelineFile, entry, "pipelines")
    try:
        kind = registry.pipeline(got.name)
    except UnknownNameError as error:
        raise file_error(entry.mapping["name"].location, "pipelines", str(error)) from None
    label = got.name if got.label is None else got.label
    if not re.fullmatch(r"[^/\x00-\x1f\x7f]{1,80}", label) or label != label.strip():
        location = entry.mapping["label"].location
        raise file_error(
            location, "label", f"{echo(label)}: a label is 1 to 80 characters on one line, without '/'."
        )
    name = f"{source.name}/{label}"
    reason = kind().incompatible(source.card)
    if reason is not None:
        message = f"pipeline '{got.name}' cannot run on data set '{source.name}': {reason.rstrip('.')}."
        raise file_error(entry.location, "pipelines", message)
    schema = kind.schema()
    given = read_values(entry.mapping.get("set"), "set")
    for key, value in given.items():
        if key not in schema.names:
            hint = UnknownNameError(f"parameter of '{got.name}'", key, schema.names)
            raise file_error(value.location, "set", str(hint))
    return Variant(name, label, source, kind, schema, given, entry.location)


def read_values(node: Node | None, key: str) -> dict[str, Given]:
    """A mapping of parameters to single values. Raises StudyFileError."""
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        raise file_error(node.location, key, not_a("a mapping of parameters to values", node))
    found: dict[str, Given] = {}
    for name, leaf in node.mapping.items():
        if leaf.value is None or isinstance(leaf.value, (dict, tuple)):
            hint = " A domain belongs under space:." if leaf.mapping else ""
            raise file_error(leaf.location, name, not_a("a single value", leaf) + hint)
        found[name] = Given(leaf.value, leaf.location)
    return found


def accept(info: ParamInfo, given: Given) -> Scalar:
    """The value in the parameter's own type. Raises StudyFileError."""
    node = Node(given.value, given.location)
    is_text, is_bool = isinstance(given.value, str), isinstance(given.value, bool)
    if (info.kind == "str") != is_text or (info.kind == "bool") != is_bool:
        raise file_error(given.location, info.name, not_a(_WANTED[info.kind], node))
    if info.choices and given.value not in info.choices:
        hint = UnknownNameError("value", given.value, map(str, info.choices))
        raise file_error(given.location, info.name, str(hint))
    try:
        return info.check(given.value)
    except HarnessError as error:
        message = str(error).removeprefix(f"{info.name}: ")
        raise file_error(given.location, info.name, message) from None


def accept_all(infos: Sequence[ParamInfo], given: Given) -> Scalar:
    """The value in the type of the first declaration; all of them must allow it. Raises StudyFileError."""
    values = [accept(info, given) for info in infos]
    return values[0]


def _validate_unique(variant: Variant, others: list[Variant]) -> None:
    for other in others:
        if _content(variant) == _content(other):
            raise file_error(
                variant.location, "cells", f"'{variant.name}' is the same cell as '{other.name}'. Keep one."
            )
        if variant.name == other.name:
            raise file_error(
                variant.location, "cells", f"two cells are named '{variant.name}'. Give one of them a label."
            )


def _content(variant: Variant) -> str:
    values = {name: given.value for name, given in variant.given.items()}
    return content_id([variant.source.ref.content(), variant.pipeline.name, values])
