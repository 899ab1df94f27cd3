"""The leaves of ``space:``: domains and conditions, each with the location where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import UnknownNameError
from harness.space import Choice, Domain, DomainError, FloatRange, IntRange, Scalar
from harness.studyfile.file import ChoiceLeaf, FloatLeaf, IntLeaf
from harness.studyfile.scalars import file_error
from harness.studyfile.validation import Loc, check, not_a, scalar_list
from harness.studyfile.yaml_lines import Node

_KINDS = ("float", "int", "choice")
_ENDS: dict[Loc, str] = {
    ("float",): "float: [low, high]",
    ("int",): "int: [low, high]",
    ("float", 0): "low",
    ("float", 1): "high",
    ("int", 0): "low",
    ("int", 1): "high",
    ("step",): "step",
    ("log",): "log",
}
_FORMS = "{float: [low, high]}, {int: [low, high]} or {choice: [..]}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A searched parameter as the file says it, before any pipeline was asked.

    ``when`` holds (name, allowed values, location) as written.
    """

    name: str
    domain: Domain
    location: str
    when: tuple[tuple[str, tuple[Scalar, ...], str], ...] = ()


def read_space(node: Node | None) -> dict[str, Wanted]:
    """The entries of ``space:`` by parameter name. Raises StudyFileError."""
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        raise file_error(node.location, "space", not_a("a mapping of parameters to domains", node))
    return {name: read_domain(name, node.key_location(name), leaf) for name, leaf in node.mapping.items()}


def read_domain(name: str, location: str, leaf: Node) -> Wanted:
    """One entry of ``space:``. Raises StudyFileError."""
    if not isinstance(leaf.value, dict):
        remedy = f"Write {_FORMS} to search it, or put a single value under fixed:."
        raise file_error(leaf.location, name, f"{not_a('a domain', leaf)} {remedy}")
    kinds = [kind for kind in _KINDS if kind in leaf.mapping]
    if len(kinds) != 1:
        unknown = [key for key in leaf.mapping if key not in (*_KINDS, "log", "step", "when")]
        if unknown:
            known = (*_KINDS, "log", "step", "when")
            raise file_error(
                leaf.key_location(unknown[0]), name, str(UnknownNameError("key", unknown[0], known))
            )
        raise file_error(leaf.location, name, f"a domain has one of float, int, choice. Write {_FORMS}.")
    read = {"float": _float_range, "int": _int_range, "choice": _choice}[kinds[0]]
    domain = read(name, leaf)
    return Wanted(name, domain, location, read_when(name, leaf.mapping.get("when")))


def read_when(name: str, node: Node | None) -> tuple[tuple[str, tuple[Scalar, ...], str], ...]:
    """``when: {other: value or [values]}``. Raises StudyFileError."""
    if node is None:
        return ()
    if not isinstance(node.value, dict) or not node.mapping:
        raise file_error(node.location, name, "when is a mapping: {other parameter: value or [values]}.")
    conditions = []
    for other, allowed in node.mapping.items():
        values = tuple(_scalar(name, f"when {other}", item) for item in scalar_list(allowed))
        if not values:
            raise file_error(allowed.location, name, f"when {other}: the list is empty. Name a value.")
        conditions.append((other, values, allowed.location))
    return tuple(conditions)


def _scalar(name: str, role: str, node: Node) -> Scalar:
    if node.value is None or isinstance(node.value, (dict, tuple)):
        raise file_error(node.location, name, not_a("text, a number or true/false", node, role))
    return node.value


def built(name: str, location: str, make: Callable[[], Domain], step_location: str = "") -> Domain:
    """The domain. Raises StudyFileError where it holds nothing or contradicts itself."""
    try:
        return make()
    except DomainError as error:
        at = step_location if error.part == "step" and step_location else location
        raise file_error(at, name, str(error)) from None


def _float_range(name: str, leaf: Node) -> Domain:
    got = check(FloatLeaf, leaf, name, _ENDS)
    low, high = got.range
    return _range(name, leaf, "float", lambda: FloatRange(low, high, got.log, got.step))


def _int_range(name: str, leaf: Node) -> Domain:
    got = check(IntLeaf, leaf, name, _ENDS)
    low, high = got.range
    return _range(name, leaf, "int", lambda: IntRange(low, high, got.log, got.step))


def _range(name: str, leaf: Node, kind: str, make: Callable[[], Domain]) -> Domain:
    step = leaf.mapping.get("step")
    return built(name, leaf.mapping[kind].location, make, step.location if step is not None else "")


def _choice(name: str, leaf: Node) -> Domain:
    for key in ("log", "step"):
        if key in leaf.mapping:
            raise file_error(
                leaf.key_location(key), name, f"{key} belongs to float and int, not to choice. Drop it."
            )
    check(ChoiceLeaf, leaf, name, {("choice",): "choice"})
    node = leaf.mapping["choice"]
    options = tuple(_scalar(name, "an option", item) for item in node.items)
    return built(name, node.location, lambda: Choice(options))
