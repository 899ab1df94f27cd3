"""The leaves of ``space:``: domains and conditions, each with the location where it stands."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.errors import UnknownNameError
from harness.space import Choice, Domain, FloatRange, IntRange, Scalar
from harness.studyfile.file import ChoiceLeaf, FloatLeaf, IntLeaf
from harness.studyfile.scalars import echo, file_error
from harness.studyfile.validation import Loc, check, not_a, scalar_list
from harness.studyfile.yaml_lines import Node

MAX_POINTS = 10**6
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


def _order(name: str, leaf: Node, kind: str, low: float, high: float) -> None:
    if low > high:
        location = leaf.mapping[kind].location
        raise file_error(
            location, name, f"low {echo(low)} is above high {echo(high)}. Write the smaller one first."
        )


def _float_range(name: str, leaf: Node) -> Domain:
    got = check(FloatLeaf, leaf, name, _ENDS)
    low, high = got.range
    location = leaf.mapping["float"].location
    _order(name, leaf, "float", low, high)
    if not math.isfinite(high - low):
        raise file_error(
            location, name, f"the range [{low:g}, {high:g}] is too wide for a computer's numbers."
        )
    if got.log and low <= 0:
        raise file_error(location, name, f"low {echo(low)} with log: true. A logarithm needs low above 0.")
    if got.step is not None:
        at = leaf.mapping["step"].location
        if got.log:
            raise file_error(at, name, "step and log: true exclude each other. Drop one.")
        _divides(name, at, low, high, got.step)
    return FloatRange(low, high, got.log, got.step)


def _int_range(name: str, leaf: Node) -> Domain:
    got = check(IntLeaf, leaf, name, _ENDS)
    low, high = got.range
    _order(name, leaf, "int", low, high)
    if got.log and low < 1:
        location = leaf.mapping["int"].location
        raise file_error(location, name, f"low {low} with log: true. A logarithm needs low of 1 or more.")
    if "step" in leaf.mapping:
        at = leaf.mapping["step"].location
        if got.log and got.step != 1:
            raise file_error(at, name, "step and log: true exclude each other. Drop one.")
        _divides(name, at, low, high, got.step)
    return IntRange(low, high, got.log, got.step)


def _divides(name: str, location: str, low: float, high: float, step: float) -> None:
    if step <= 0:
        raise file_error(location, name, f"step {echo(step)} is not above 0.")
    ratio = (high - low) / step
    if ratio > MAX_POINTS:
        raise file_error(
            location, name, f"step {echo(step)} makes over {MAX_POINTS} points. Drop it or widen it."
        )
    if abs(ratio - round(ratio)) > 1e-6:
        last = low + math.floor(ratio) * step
        raise file_error(
            location,
            name,
            f"step {echo(step)} does not lead from low {low:g} to high {high:g}. "
            f"Write high {last:g} or {last + step:g}.",
        )


def _choice(name: str, leaf: Node) -> Domain:
    for key in ("log", "step"):
        if key in leaf.mapping:
            raise file_error(
                leaf.key_location(key), name, f"{key} belongs to float and int, not to choice. Drop it."
            )
    check(ChoiceLeaf, leaf, name, {("choice",): "choice"})
    node = leaf.mapping["choice"]
    options = tuple(_scalar(name, "an option", item) for item in node.items)
    if not options:
        raise file_error(node.location, name, "choice is empty. Name at least one option.")
    unique_options(name, node.location, options)
    return Choice(options)


def unique_options(name: str, location: str, options: tuple[Scalar, ...]) -> None:
    """Raise StudyFileError where an option stands twice."""
    seen: list[Scalar] = []
    for option in options:
        if any(option == other and type(option) is type(other) for other in seen):
            raise file_error(location, name, f"choice names {echo(option)} twice. Keep one.")
        seen.append(option)
