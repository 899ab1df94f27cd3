"""``dataset:`` entries: a registered name, a name with options, or a user's own file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.contracts import registry
from harness.contracts.data import DatasetCard
from harness.errors import UnknownNameError
from harness.ids import canonical, content_id
from harness.studyfile.scalars import file_error
from harness.studyfile.validation import explain, not_a
from harness.studyfile.yaml_lines import Node
from harness.trial import DatasetRef

_KEY = "dataset"


@dataclass(frozen=True, slots=True)
class Source:
    """A data set of a study: its reference, its card, and the name that tables print."""

    ref: DatasetRef
    card: DatasetCard
    name: str


def read_source(node: Node, folder: Path) -> Source:
    """The data set of a cell; paths are relative to ``folder``.

    Raises StudyFileError, and MissingDataError and DataError of the data set as they are.
    """
    if isinstance(node.value, str):
        return _source(node, node.value, Node({}, node.location), "")
    if not isinstance(node.value, dict):
        raise file_error(node.location, _KEY, not_a("a name or a mapping", node))
    if "name" in node.mapping:
        name = node.mapping["name"]
        if not isinstance(name.value, str):
            raise file_error(name.location, f"{_KEY}.name", not_a("text", name))
        return _source(name, name.value, _absolute(node.replace("name", None), folder), "")
    kinds = {name for name, kind in registry.datasets().items() if kind.source}
    given = [key for key in node.mapping if key in kinds]
    if len(given) != 1:
        known = ", ".join(f"{{{kind}: FILE, ..}}" for kind in sorted(kinds)) or "no file kinds"
        stray = next(iter(node.mapping), "")
        hint = UnknownNameError("data set or kind of file", stray, {*kinds, "name"})
        message = str(hint) if not given else f"{' and '.join(given)} are two data sets. Keep one."
        raise file_error(
            node.location, _KEY, f"{message}. Write a name, {{name: .., option: ..}}, or {known}."
        )
    kind = given[0]
    file = node.mapping[kind]
    if not isinstance(file.value, str):
        raise file_error(file.location, f"{_KEY}.{kind}", not_a("the path of a file", file))
    options = _absolute(node.replace(kind, None).replace("path", file), folder)
    path = Path(str(options.mapping["path"].value))
    if not path.exists():
        raise file_error(
            file.location, f"{_KEY}.{kind}", f"there is no file {path}. Paths begin at the study file."
        )
    return _source(Node(kind, file.location), kind, options, path.name)


def _absolute(options: Node, folder: Path) -> Node:
    """The options with ``path`` made absolute."""
    path = options.mapping.get("path")
    if path is None or not isinstance(path.value, str):
        return options
    try:
        full = (folder / Path(path.value).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError):
        raise file_error(path.location, f"{_KEY}.path", f"{path.value!r} is no path of a file.") from None
    return options.replace("path", Node(str(full), path.location))


def _source(at: Node, name: str, options: Node, file: str) -> Source:
    try:
        kind = registry.dataset(name)
    except UnknownNameError as error:
        raise file_error(at.location, _KEY, str(error)) from None
    if kind.source and "path" not in options.mapping:
        raise file_error(at.location, _KEY, f"'{name}' reads a file of yours: write {{{name}: FILE, ..}}.")
    values = {key: _frozen(value.plain()) for key, value in options.mapping.items()}
    try:
        made = kind.Options(**values)
    except ValidationError as error:
        raise explain(kind.Options, options, _KEY, error) from None
    except TypeError as error:  # a key that is no identifier of the model
        raise file_error(options.location, _KEY, str(error)) from None
    card = kind(made).card()
    ref = DatasetRef(name, card.revision, tuple(sorted(values.items())))
    return Source(ref, card, file or _printed(name, values))


def _printed(name: str, options: dict[str, Any]) -> str:
    """``digits[pixels=8]``: options make another data set, and its name says so."""
    if not options:
        return name
    text = ",".join(f"{key}={_word(value)}" for key, value in sorted(options.items()))
    return f"{name}[{text if len(text) <= 60 else content_id(options)[:8]}]".replace("/", "_")


def _word(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value
