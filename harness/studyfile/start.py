"""``start:``: the first trials of a cell, from its paper, the pipeline's defaults, or the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.errors import HarnessError, UnknownNameError
from harness.space import Parameter, Params, Point, Scalar
from harness.studyfile.resolve import Resolved
from harness.studyfile.scalars import echo, file_error
from harness.studyfile.validation import not_a
from harness.studyfile.variants import Given, Variant, read_values
from harness.studyfile.yaml_lines import Node

PUBLISHED = "published"


def read_start(node: Node | None) -> tuple[Mapping[str, Given] | None, ...]:
    """The entries of ``start:``; None stands for ``published``. Raises StudyFileError."""
    if node is None:
        return ()
    entries: list[Mapping[str, Given] | None] = []
    for item in node.items if isinstance(node.value, tuple) else (node,):
        if isinstance(item.value, str):
            if item.value != PUBLISHED:
                hint = UnknownNameError("start", item.value, [PUBLISHED])
                raise file_error(item.location, "start", f"{hint}. Or write values: {{neuron.tau: 2.0}}.")
            entries.append(None)
        elif isinstance(item.value, dict):
            entries.append(read_values(item, "start"))
        else:
            raise file_error(item.location, "start", not_a("published or {parameter: value, ..}", item))
    return tuple(entries)


def validate_searched(
    entries: Sequence[Mapping[str, Given] | None], searched: Sequence[str], known: Sequence[str]
) -> None:
    """Raise StudyFileError where a start point names what the study does not search."""
    for entry in entries:
        for name, given in (entry or {}).items():
            if name in searched:
                continue
            if name in known:
                remedy = "Give it a domain under space:, or move it to fixed: or set:."
                raise file_error(given.location, "start", f"{name} is not searched. {remedy}")
            raise file_error(given.location, "start", str(UnknownNameError("parameter", name, searched)))


def start_points(
    variant: Variant,
    cell: Resolved,
    entries: Sequence[Mapping[str, Given] | None],
    published: Params | None,
) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    """The first trials' searched values, without repetition, and what was clipped, in words.

    Raises StudyFileError where a value lies outside its domain or the pipeline refuses the configuration.
    """
    notes: list[str] = []
    points: list[Point] = []
    for entry in entries:
        point = _from_paper(cell, published, notes) if entry is None else _from_file(cell, entry)
        if point and point not in points:
            _validate_buildable(variant, cell, point)
            points.append(point)
    if not cell.space.parameters:
        _validate_buildable(variant, cell, {})
    return tuple(points), tuple(notes)


def _from_paper(cell: Resolved, published: Params | None, notes: list[str]) -> Point:
    """The published configuration, or the defaults, clipped to the domains."""
    point: Point = {}
    source = "default" if published is None else "published"
    for parameter in cell.space:
        if not parameter.active(point):
            continue
        value = _wish(cell, parameter, published or {}, point)
        domain = parameter.domain
        inside = domain.contains(value)
        point[parameter.name] = domain.settle(value) if inside else domain.nearest(value)
        if not inside:
            origin = source if parameter.name in (published or {}) else "default"
            notes.append(
                f"start: {origin} {parameter.name} {echo(value)} is outside {domain}, "
                f"begins at {echo(point[parameter.name])}"
            )
    return point


def _wish(cell: Resolved, parameter: Parameter, published: Params, point: Point) -> Scalar:
    if parameter.name in published:
        return published[parameter.name]
    infos = cell.conditions.infos(parameter.name)
    values = {**cell.fixed, **point}
    fitting = (
        info for info in infos if all(values.get(key, allowed[0]) in allowed for key, allowed in info.when)
    )
    return next(fitting, infos[0]).default


def _from_file(cell: Resolved, entry: Mapping[str, Given]) -> Point:
    point: Point = {}
    for parameter in cell.space:
        given = entry.get(parameter.name)
        if given is None:
            continue
        if not parameter.domain.contains(given.value):
            message = f"{parameter.name} {echo(given.value)} is outside its domain, {parameter.domain}."
            raise file_error(given.location, "start", message)
        for other, allowed in parameter.when:
            if other in point and point[other] not in allowed:
                message = f"{parameter.name} does not exist where {other} is {echo(point[other])}. Drop one."
                raise file_error(given.location, "start", message)
        point[parameter.name] = parameter.domain.settle(given.value)
    return point


def _validate_buildable(variant: Variant, cell: Resolved, point: Point) -> None:
    try:
        params = variant.pipeline.build_params({**cell.fixed, **point})
        variant.pipeline().validate(params, variant.source.card)
    except HarnessError as error:
        shown = ", ".join(f"{name} {echo(value)}" for name, value in point.items())
        message = f"{error} (with {shown})" if shown else str(error)
        raise file_error(variant.location, variant.name, message) from None
