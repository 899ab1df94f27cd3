"""``--set key=value``: leaves of a study file from the command line, with the same checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from harness.studyfile.scalars import MAX_ECHO, file_error
from harness.studyfile.yaml_lines import Node, noun, parse_yaml

_FLAT = ("space", "fixed", "limits", "set")
"""Sections whose keys are dotted names themselves."""


def apply_overrides(root: Node, overrides: Sequence[str]) -> Node:
    """The top-level mapping with every ``key=value`` applied in order.

    ``search.trials=40``, ``space.neuron.tau={float: [1.1, 4.0]}``, ``cells.0.dataset=vowels``; the value
    ``null`` removes a key. Raises StudyFileError.
    """
    for override in overrides:
        root = _apply(root, override)
    return root


def budget_overrides(root: Node, name: str, where: str) -> tuple[str, ...]:
    """The ``key=value`` of the study's budget of that name, to stand before those of the command line.

    Raises StudyFileError where the study has no such budget.
    """
    budgets = root.mapping.get("budget")
    known = sorted(budgets.mapping) if budgets is not None else []
    if budgets is None or name not in known:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise file_error(where, "", f"--budget {name}: the study has no such budget; {has}.")
    chosen = budgets.mapping[name].plain()
    if not isinstance(chosen, dict):
        raise file_error(budgets.mapping[name].location, f"budget.{name}", "write {key: value, ..}.")
    return tuple(f"{key}={_text(value)}" for key, value in chosen.items())


def _text(value: Any) -> str:
    """A value as YAML in one line."""
    return str(yaml.safe_dump(value, default_flow_style=True, width=10**6)).removesuffix("...\n").strip()


def _apply(root: Node, override: str) -> Node:
    shown = " ".join(override.split())
    location = f"--set {shown if len(shown) <= MAX_ECHO else shown[: MAX_ECHO - 3] + '...'}"
    key, equals, text = override.partition("=")
    steps = key.strip().split(".")
    if not equals or not all(steps):
        raise file_error(location, "", "write key=value, for instance --set search.trials=40.")
    value = parse_yaml(text, "", location)
    if value is not None and value.value is None:
        value = None
    return _put(root, steps, value, location, [])


def _put(node: Node, steps: Sequence[str], value: Node | None, location: str, path: Sequence[str]) -> Node:
    step = ".".join(steps) if path and path[-1] in _FLAT else steps[0]
    rest = [] if path and path[-1] in _FLAT else steps[1:]
    here = [*path, step]
    if isinstance(node.value, tuple):
        return _put_item(node, step, rest, value, location, here)
    if not isinstance(node.value, dict) and node.value is not None:
        raise file_error(location, "", f"{'.'.join(path)} is {noun(node)}; it has no key '{step}'.")
    child = node.mapping.get(step)
    if rest:
        below = Node({}, location) if child is None else child
        return node.replace(step, _put(below, rest, value, location, here))
    if value is None and child is None:
        raise file_error(location, "", f"there is no {'.'.join(here)} to remove.")
    return node.replace(step, value)


def _put_item(
    node: Node, step: str, rest: Sequence[str], value: Node | None, location: str, path: Sequence[str]
) -> Node:
    index = int(step) if step.isdecimal() and step.isascii() and len(step) < 7 else -1
    if not 0 <= index < len(node.items):
        count = len(node.items)
        raise file_error(
            location, "", f"{'.'.join(path[:-1])} is a list of {count}; its entries are numbered from 0."
        )
    items = list(node.items)
    if rest:
        items[index] = _put(items[index], rest, value, location, path)
    elif value is None:
        del items[index]
    else:
        items[index] = value
    return Node(tuple(items), node.location)
