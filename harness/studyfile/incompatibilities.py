"""Configurations that a data set rules out, found before anything runs.

A pipeline says which parameters an incompatibility rests on. What rests on fixed values alone would fail
every trial; what rests on one searched parameter as well, fails at that end or option of its domain. What
rests on several searched ones is left to the trials, where it is a failure with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.errors import HarnessError, IncompatibleError
from harness.space import Params, Point, ends
from harness.studyfile.domain_reading import Wanted
from harness.studyfile.resolve import Resolved
from harness.studyfile.scalars import file_error
from harness.studyfile.variants import Given, Variant


def validate_compatibility(
    variant: Variant, cell: Resolved, wanted: Mapping[str, Wanted], fixed: Mapping[str, Given]
) -> None:
    """Raise StudyFileError where fixed values, or one end of a domain, cannot run on the data set."""
    for searched, needs, point in _probes(cell):
        error = _incompatible(variant, {**cell.fixed, **point})
        if error is None:
            continue
        rests_on = {name for name in error.names if name in cell.space.names}
        if not error.names or not rests_on <= {searched, *needs}:
            continue
        given = {searched: wanted[searched]} if rests_on else {**fixed, **variant.given}
        name = next((name for name in error.names if name in given), "")
        location = given[name].location if name else variant.location
        raise file_error(location, name or variant.name, str(error).removeprefix(f"{name} "))


def _incompatible(variant: Variant, values: Params) -> IncompatibleError | None:
    try:
        params = variant.pipeline.build_params(values)
        variant.pipeline().validate(params, variant.source.card)
    except IncompatibleError as error:
        return error
    except HarnessError:
        return None  # what cannot be built is refused elsewhere
    return None


def _probes(cell: Resolved) -> Iterator[tuple[str, Point, Point]]:
    """A point for what is fixed, then one for each end or option of each searched parameter.

    Each as the searched name, what that needs (values of its conditions) and the point.
    """
    yield "", {}, _filled(cell, {})
    for parameter in cell.space:
        for value in ends(parameter.domain):
            needs = {name: allowed[0] for name, allowed in parameter.when}
            point = _filled(cell, {**needs, parameter.name: value})
            if parameter.active(point):
                yield parameter.name, needs, point


def _filled(cell: Resolved, point: Point) -> Point:
    """The point with the first value of every other parameter that exists there."""
    filled: Point = {}
    for parameter in cell.space:
        if parameter.active(filled):
            filled[parameter.name] = point.get(parameter.name, ends(parameter.domain)[0])
    return filled
