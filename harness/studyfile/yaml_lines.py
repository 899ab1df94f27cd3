"""YAML that remembers where every key and value stands.

PyYAML's composed nodes become :class:`Node` values. Refused where they stand: duplicate keys, tags, merge
keys, aliases without end, and what YAML reads as something else (:mod:`harness.studyfile.scalars`).
``1.0e7`` is a number here (PyYAML wants ``1.0e+7``); ``1e7`` stays text.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError

from harness.errors import StudyFileError
from harness.guard import read_regular
from harness.space import Scalar
from harness.studyfile.scalars import file_error, read_scalar

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 20_000
_BY_NAME = ("space", "fixed", "set")
"""Sections whose keys are parameters: messages call them by their own names."""

Key = tuple[str, str]  # a key's text and the location where it stands


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its location (``file:line``): a scalar or None, a tuple of nodes, or keys with nodes."""

    value: Scalar | tuple[Node, ...] | dict[str, Node] | None
    location: str
    keys: tuple[Key, ...] = ()

    @property
    def mapping(self) -> dict[str, Node]:
        """The nodes by key, empty unless this is a mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> tuple[Node, ...]:
        """The nodes of a list, empty unless this is one."""
        return self.value if isinstance(self.value, tuple) else ()

    def key_location(self, key: str) -> str:
        """Where a key of this mapping stands."""
        return next((location for name, location in self.keys if name == key), self.location)

    def plain(self) -> Any:
        """The value without locations: scalars, lists and dictionaries."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value

    def replace(self, key: str, child: Node | None) -> Node:
        """This mapping with a key set, or removed where ``child`` is None."""
        values = {name: node for name, node in self.mapping.items() if name != key}
        keys = tuple(pair for pair in self.keys if pair[0] != key)
        if child is not None:
            values[key], keys = child, (*keys, (key, child.location))
        return Node(values, self.location, keys)


def read_yaml(path: Path, what: str = "study file") -> tuple[Node, str]:
    """The top-level mapping of a file and its text. Raises StudyFileError."""
    try:
        data = read_regular(path, 64 * MAX_BYTES)
    except FileNotFoundError:
        raise StudyFileError(f"{path}: there is no such file.{_near(path)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path of a file"
        raise StudyFileError(f"{path}: cannot be read: {reason}. Give the path of a {what}.") from None
    if len(data) > MAX_BYTES:
        raise StudyFileError(f"{path}: {len(data)} bytes; a {what} has at most {MAX_BYTES}.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise StudyFileError(f"{path}:{line}: not UTF-8 text. Save the file as UTF-8.") from None
    return top_level(parse_yaml(text, str(path)), str(path), what), text


def top_level(root: Node | None, where: str, what: str = "study file") -> Node:
    """The root of a file, which is a mapping. Raises StudyFileError."""
    if root is None:
        first = "a name" if what == "study file" else "a harness: section"
        raise StudyFileError(f"{where}:1: the {what} is empty. It needs at least {first}.")
    if not isinstance(root.value, dict):
        raise file_error(root.location, "", f"a {what} is a mapping of keys to values, this is {noun(root)}.")
    return root


def _near(path: Path) -> str:
    """The file beside it whose name is nearest."""
    try:
        names = [other.name for other in path.parent.iterdir() if other.suffix in (".yaml", ".yml")]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f" Did you mean {path.parent / near[0]}?" if near else ""


def parse_yaml(text: str, file: str, location: str = "") -> Node | None:
    """The one document of a text, None if it is empty.

    Locations are ``file:line``, or ``location`` where it is given (an override). Raises StudyFileError.
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = location or f"{file}:{mark.line + 1 if mark else 1}"
        raise file_error(where, "", _problem(error.problem or "", text, mark)) from None
    except yaml.YAMLError as error:
        where = location or _unreadable_location(text, file, error)
        raise file_error(where, "", f"not YAML: {_first_line(error)}.") from None
    return None if root is None else _Builder(file, location).build(root, "", 0)


def noun(node: Node) -> str:
    """What a node is, in words."""
    kinds = ((dict, "a mapping"), (tuple, "a list"), (bool, "true/false"), (int, "a whole number"))
    for kind, word in (*kinds, (float, "a number"), (str, "text")):
        if isinstance(node.value, kind):
            return word
    return "empty"


class _Loader(yaml.SafeLoader):
    """Composes nodes to a bounded depth and without tags."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node. Raises ComposerError where it is nested too deep or carries a tag."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            problem = f"the tag {event.tag!r} is not allowed"
            raise ComposerError(None, None, problem, event.start_mark)
        if self.depth >= MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} levels deep"
            raise ComposerError(None, None, problem, event.start_mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9]+\.[0-9]*|\.[0-9]+)[eE][0-9]+$"),
    list("-+.0123456789"),
)


class _Builder:
    """Composed nodes to :class:`Node`; counts them, so that aliases cannot expand without end."""

    def __init__(self, file: str, location: str) -> None:
        self.file, self.location, self.count = file, location, 0

    def build(self, node: Any, path: str, depth: int) -> Node:
        location = self.location or f"{self.file}:{node.start_mark.line + 1}"
        self.count += 1
        if self.count > MAX_NODES or depth > MAX_DEPTH:
            raise file_error(
                location, path, f"aliases (*) expand to more than {MAX_NODES} values. Write less."
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth, location)
        if isinstance(node, yaml.SequenceNode):
            children = (self.build(child, path, depth + 1) for child in node.value)
            return Node(tuple(children), location)
        return Node(read_scalar(node, location, path), location)

    def _mapping(self, node: Any, path: str, depth: int, location: str) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, str] = {}
        for key_node, child in node.value:
            at = self.location or f"{self.file}:{key_node.start_mark.line + 1}"
            key = self._key(key_node, at, path)
            own = not path or path.rpartition(".")[2] in _BY_NAME
            name = key if own else f"{path}.{key}"
            if key in keys:
                first = keys[key].rpartition(":")[2]
                raise file_error(at, name, f"the key stands twice, first on line {first}. Keep one.")
            keys[key] = at
            values[key] = self.build(child, name, depth + 1)
        return Node(values, location, tuple(keys.items()))

    def _key(self, node: Any, location: str, path: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise file_error(location, path, "a key is a list or a mapping. Keys are text.")
        if node.tag.endswith(":merge"):
            raise file_error(location, path, "merge keys (<<) are not allowed. Write the keys out.")
        value = read_scalar(node, location, path)
        if not isinstance(value, str):
            raise file_error(location, path, f"the key {node.value or 'null'} is not text. Put it in quotes.")
        return value


def _problem(problem: str, text: str, mark: Any) -> str:
    """PyYAML's complaint in a line that says what to do."""
    if mark is not None and "\\t" in problem:
        return "a tab stands here. YAML indents with spaces: replace it."
    if "single document" in problem or "another document" in problem:
        return "a second document (---) begins here. A file holds one."
    if problem.startswith(("the tag", "nested")):
        return problem + "."
    return f"not YAML: {problem or 'unreadable'}. Check indentation, brackets and quotes near here."


def _first_line(error: object) -> str:
    return next(iter(str(error).splitlines()), "unreadable")[:120]


def _unreadable_location(text: str, file: str, error: Any) -> str:
    position = getattr(error, "position", 0)
    return f"{file}:{text[: position if isinstance(position, int) else 0].count(chr(10)) + 1}"
