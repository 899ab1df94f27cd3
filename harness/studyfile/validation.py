"""Pydantic's complaints as lines that name file, line, key, what was allowed and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import StudyFileError, UnknownNameError
from harness.studyfile.scalars import echo, file_error
from harness.studyfile.yaml_lines import Node, noun

M = TypeVar("M", bound=BaseModel)
Loc = tuple[int | str, ...]

_WANTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_LIMITS = {
    "greater_than_equal": ("below {ge}, the least allowed", "ge"),
    "greater_than": ("not above {gt}", "gt"),
    "less_than_equal": ("above {le}, the most allowed", "le"),
    "less_than": ("not below {lt}", "lt"),
}


class FileModel(BaseModel):
    """Base of the models of a file's sections: strict, frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=False)


def check(model: type[M], node: Node, key: str, names: Mapping[Loc, str] | None = None) -> M:
    """A model from a node; every leaf keeps YAML's type. Raises StudyFileError with the first error.

    ``key`` is the dotted path of the node; ``names`` says how a message calls a position in a list.
    """
    if not isinstance(node.value, dict):
        raise file_error(node.location, key, f"{_what(node)}, not a mapping of keys to values.")
    try:
        return model.model_validate_json(json.dumps(node.plain()))
    except ValidationError as error:
        raise explain(model, node, key, error, names) from None


def explain(
    model: type[BaseModel],
    node: Node,
    key: str,
    error: ValidationError,
    names: Mapping[Loc, str] | None = None,
) -> StudyFileError:
    """The first error that pydantic found in a node; an unknown key before all others."""
    errors = error.errors(include_url=False)
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    return _file_error(model, node, key, dict(first), names or {})


def not_a(wanted: str, node: Node, name: str = "") -> str:
    """The complaint of a leaf of the wrong type, with what to write where the slip is known."""
    hint = ""
    if wanted == "a number" and isinstance(node.value, str):
        hint = _number_hint(node.value)
    if wanted == "text" and node.value is not None and not node.items and not node.mapping:
        hint = f" Put it in quotes: '{echo(node.value)}'."
    return f"{_what(node, name)}, not {wanted}.{hint}"


def scalar_list(node: Node) -> tuple[Node, ...]:
    """The nodes of a list, or the node alone."""
    return node.items if isinstance(node.value, tuple) else (node,)


def _what(node: Node, name: str = "") -> str:
    prefix = f"{name} " if name else ""
    if node.value is None:
        return f"{prefix}is empty" if not name else f"{name} is empty"
    if isinstance(node.value, (dict, tuple)):
        return f"{prefix}is {noun(node)}"
    return f"{prefix}{echo(node.value)} is {noun(node)}"


def _number_hint(text: str) -> str:
    """What to write for ``1e-4`` and other texts that look like numbers."""
    match = re.fullmatch(r"([-+]?[0-9][0-9_]*)[eE]([-+]?[0-9]+)", text.strip())
    if match:
        return f" YAML needs a dot: write {match[1]}.0e{match[2]}."
    if re.fullmatch(r"[-+]?[0-9]+,[0-9]+", text.strip()):
        return f" YAML wants a dot: write {text.strip().replace(',', '.')}."
    if re.fullmatch(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?", text.strip()):
        return " Write it without quotes and leading zeros."
    return ""


def _file_error(
    model: type[BaseModel], root: Node, key: str, error: dict[str, Any], names: Mapping[Loc, str]
) -> StudyFileError:
    loc: Loc = tuple(error["loc"])
    kind = str(error["type"])
    parent, node, path = _locate(root, loc)
    dotted = ".".join((*([key] if key else []), *path))
    if kind == "extra_forbidden":
        known = _known(model, loc[:-1])
        name = str(loc[-1])
        parent_key = dotted.removesuffix(name).rstrip(".")
        return file_error(parent.key_location(name), parent_key, str(UnknownNameError("key", name, known)))
    if kind == "missing" and not (loc and isinstance(loc[-1], int)):
        known = _known(model, loc[:-1])
        return file_error(parent.location, dotted, f"the key is missing. Known keys here: {', '.join(known)}")
    if kind == "missing":
        loc, node = loc[:-1], parent
    name = names.get(loc, "")
    return file_error(node.location, key if name else dotted, _complaint(kind, node, error, name))


def _complaint(kind: str, node: Node, error: dict[str, Any], name: str) -> str:
    context = error.get("ctx", {})
    if kind in _WANTED:
        return not_a(_WANTED[kind], node, name)
    if kind in _LIMITS:
        form, bound = _LIMITS[kind]
        limit = form.format(**{bound: f"{context[bound]:g}"})
        return f"{name + ' ' if name else ''}{echo(node.value)} is {limit}."
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        if isinstance(node.value, str) and allowed:
            return str(UnknownNameError("value", node.value, allowed))
        return f"{_what(node)}; allowed: {context.get('expected', '')}."
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    if kind in ("too_long", "too_short", "missing"):
        wanted = context.get("max_length", context.get("min_length", len(node.items) + 1))
        return f"{name or 'the list'} has length {len(node.items)}, needs {wanted}."
    return f"{_what(node, name)}: {str(error['msg'])[:120]}."


def _locate(root: Node, loc: Loc) -> tuple[Node, Node, list[str]]:
    """The parent and the node at a location, and the keys on the way."""
    parent, node = root, root
    path: list[str] = []
    for step in loc:
        child: Node | None = None
        if isinstance(step, int):
            child = node.items[step] if step < len(node.items) else None
        else:
            child = node.mapping.get(step)
            if child is not None or step == loc[-1]:
                path.append(step)
        parent = node
        if child is None:
            continue
        node = child
    return parent, node, path


def _known(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys allowed at a location."""
    current: type[BaseModel] = model
    for step in loc:
        field = next((f for n, f in current.model_fields.items() if (f.alias or n) == step), None)
        inner = field.annotation if field is not None else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            current = inner
    return [info.alias or name for name, info in current.model_fields.items()]
