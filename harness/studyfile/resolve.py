"""One cell of a study: what is searched there, what is fixed, and under which conditions.

Values beneath one another: the pipeline's defaults, the published configuration (where ``start`` has
``published``), the study's ``fixed``, the cell's ``set``. What is set or fixed is not searched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import HarnessError
from harness.space import Conditions, Parameter, Scalar, Space
from harness.studyfile.conditions import CellConditions, values_text
from harness.studyfile.domain_reading import Wanted
from harness.studyfile.fit import fit_domain
from harness.studyfile.scalars import echo, file_error
from harness.studyfile.variants import Given, Variant, accept_all

Values = dict[str, Scalar]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A cell's own settings, everything fixed, its space, and what does not apply, in words."""

    variant: Values
    fixed: Values
    space: Space
    conditions: CellConditions
    notes: tuple[str, ...]


def resolve(
    variant: Variant,
    wanted: Mapping[str, Wanted],
    fixed: Mapping[str, Given],
    published: Mapping[str, Scalar],
) -> Resolved:
    """Settle one cell. Raises StudyFileError."""
    notes: list[str] = []
    own = _own(variant, wanted, notes)
    base = {name: value for name, value in published.items() if name not in own}
    base |= {name: given.value for name, given in fixed.items() if name in variant.schema.names}
    base |= {name: given.value for name, given in variant.given.items()}
    conditions = _settle(variant, own, base, notes)
    set_values = _accepted(variant, conditions, variant.given)
    fixed_values = {
        name: value for name, value in published.items() if name in base and conditions.infos(name)
    }
    fixed_values |= _applicable(variant, conditions, fixed, notes)
    space = _space(variant, conditions, own, notes)
    return Resolved(set_values, fixed_values | set_values, space, conditions, tuple(notes))


def _own(variant: Variant, wanted: Mapping[str, Wanted], notes: list[str]) -> dict[str, Wanted]:
    """The searched parameters that the pipeline has and the cell does not set."""
    own: dict[str, Wanted] = {}
    for name, want in wanted.items():
        if name not in variant.schema.names:
            notes.append(f"{name} is not searched: pipeline '{variant.pipeline.name}' has no such parameter")
        elif name in variant.given:
            notes.append(f"{name} is not searched: the cell sets it to {echo(variant.given[name].value)}")
        else:
            own[name] = want
    return own


def _settle(variant: Variant, own: dict[str, Wanted], base: Values, notes: list[str]) -> CellConditions:
    """Drop from ``own`` what cannot hold here, until nothing more falls."""
    try:
        while True:
            domains = {name: want.domain for name, want in own.items()}
            governed = frozenset(name for name, want in own.items() if want.when)
            conditions = CellConditions(variant.schema, domains, base, governed)
            for name, want in own.items():
                reason = _absent(conditions, want, variant)
                if reason:
                    notes.append(f"{name} is not searched: {reason}")
                    del own[name]
                    break
            else:
                return conditions
    except HarnessError as error:
        raise file_error(variant.location, variant.name, str(error)) from None


def _absent(conditions: CellConditions, want: Wanted, variant: Variant) -> str:
    """Why a searched parameter cannot exist in the cell; "" if it can."""
    if not conditions.infos(want.name):
        return conditions.why_not(want.name)
    for other, allowed, _ in want.when:
        if other not in variant.schema.names:
            return f"its condition names {other}, which pipeline '{variant.pipeline.name}' does not have"
        if not conditions.overlaps(other, allowed):
            possible_values = conditions.possible_values(other)
            text = (
                "does not exist here"
                if possible_values is None
                else f"here it is {values_text(possible_values)}"
            )
            return f"needs {other} = {' or '.join(map(str, allowed))}, {text}"
    return ""


def _accepted(variant: Variant, conditions: CellConditions, given: Mapping[str, Given]) -> Values:
    """The cell's own settings, each of which must exist. Raises StudyFileError."""
    found: Values = {}
    for name, value in given.items():
        infos = conditions.infos(name)
        if not infos:
            remedy = "Drop it, or set what it needs."
            raise file_error(value.location, name, f"{conditions.why_not(name)}. {remedy}")
        found[name] = accept_all(infos, value)
    return found


def _applicable(
    variant: Variant, conditions: CellConditions, fixed: Mapping[str, Given], notes: list[str]
) -> Values:
    found: Values = {}
    for name, value in fixed.items():
        if name not in variant.schema.names:
            notes.append(
                f"fixed {name} is left out: pipeline '{variant.pipeline.name}' has no such parameter"
            )
            continue
        infos = conditions.infos(name)
        if not infos:
            notes.append(f"fixed {name} is left out: {conditions.why_not(name)}")
            continue
        found[name] = accept_all(infos, value)
    return found


def _space(
    variant: Variant, conditions: CellConditions, own: Mapping[str, Wanted], notes: list[str]
) -> Space:
    parameters: list[Parameter] = []
    for name, want in own.items():
        infos = conditions.infos(name)
        domain = fit_domain(want, infos, variant.pipeline.name)
        parameters.append(Parameter(name, domain, _conditions(conditions, want)))
    return Space(_ordered(parameters, own))


def _conditions(conditions: CellConditions, want: Wanted) -> Conditions:
    """The conditions that are open in this cell: the schema's own and those of the file."""
    merged = conditions.merged_conditions(conditions.infos(want.name))
    for other, allowed, location in want.when:
        if other not in conditions.domains:
            continue  # settled by a fixed value
        possible = tuple(value for value in allowed if conditions.domains[other].contains(value))
        both = tuple(value for value in possible if value in merged.get(other, possible))
        if not both:
            needs = " or ".join(map(str, merged[other]))
            raise file_error(location, want.name, f"when {other}: it exists only where {other} is {needs}.")
        merged[other] = both
    return tuple(sorted(merged.items()))


def _ordered(parameters: list[Parameter], own: Mapping[str, Wanted]) -> tuple[Parameter, ...]:
    """Conditions first, otherwise as written. Raises StudyFileError where they go round in a circle."""
    ordered: list[Parameter] = []
    pending = list(parameters)
    while pending:
        open_names = {parameter.name for parameter in pending}
        ready = [p for p in pending if not any(name in open_names for name, _ in p.when)]
        if not ready:
            names = ", ".join(parameter.name for parameter in pending)
            location = own[pending[0].name].location
            raise file_error(
                location, pending[0].name, f"the conditions of {names} depend on one another. Drop one."
            )
        ordered.append(ready[0])
        pending.remove(ready[0])
    return tuple(ordered)
