"""Whether a searched domain lies within what a parameter allows, and values within a domain."""

from __future__ import annotations

from collections.abc import Sequence

from harness.contracts.params import ParamInfo
from harness.space import Choice, Domain, FloatRange, IntRange, Scalar
from harness.studyfile.domain_reading import Wanted, unique_options
from harness.studyfile.scalars import file_error
from harness.studyfile.variants import Given, accept

_GRID = 1e-6


def fit_domain(wanted: Wanted, infos: Sequence[ParamInfo], pipeline: str) -> Domain:
    """The domain in the parameter's own type. Raises StudyFileError where a pipeline does not allow it."""
    domain = wanted.domain
    for info in infos:
        domain = _fit(wanted, domain, info, pipeline)
    return domain


def _fit(wanted: Wanted, domain: Domain, info: ParamInfo, pipeline: str) -> Domain:
    if isinstance(domain, Choice):
        options = tuple(accept(info, Given(option, wanted.location)) for option in domain.options)
        unique_options(wanted.name, wanted.location, options)
        return Choice(options)
    if info.choices:
        options_text = ", ".join(map(_word, info.choices))
        message = f"pipeline '{pipeline}' takes one of {options_text}. Write {{choice: [{options_text}]}}."
        raise file_error(wanted.location, wanted.name, message)
    low, high = domain.low, domain.high
    if isinstance(domain, FloatRange) and info.kind != "float":
        remedy = f"Write {{int: [{low:g}, {high:g}]}}." if info.kind == "int" else "Write {choice: [..]}."
        message = f"pipeline '{pipeline}' takes {_noun(info)}, not a range of numbers. {remedy}"
        raise file_error(wanted.location, wanted.name, message)
    if isinstance(domain, IntRange) and info.kind != "int":
        step = f", step: {domain.step}" if not domain.log else ", log: true"
        remedy = f"{{float: [{low}, {high}]{step}}}" if info.kind == "float" else "{choice: [..]}"
        message = f"pipeline '{pipeline}' takes {_noun(info)}, not whole numbers. Write {remedy}."
        raise file_error(wanted.location, wanted.name, message)
    for end, value in (("low", low), ("high", high)):
        if not info.low <= value <= info.high:
            bounds = f"[{info.low:g}, {info.high:g}]"
            owner = f"{info.when[-1][1][0]} of " if info.when else ""
            message = f"{end} {value:g} is outside {bounds}, which {owner}pipeline '{pipeline}' allows."
            raise file_error(wanted.location, wanted.name, message)
    return domain


def _noun(info: ParamInfo) -> str:
    return {"int": "whole numbers", "float": "a number", "str": "text", "bool": "true or false"}[info.kind]


def _word(value: Scalar) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def point_in(domain: Domain, value: Scalar) -> Scalar | None:
    """The value as the domain holds it (1 as 1.0 in a real range), None if it does not."""
    if isinstance(domain, Choice):
        return next((o for o in domain.options if o == value and _same_kind(o, value)), None)
    if isinstance(value, (bool, str)) or not domain.low <= value <= domain.high:
        return None
    if isinstance(domain, IntRange):
        whole = isinstance(value, int) and (value - domain.low) % domain.step == 0
        return value if whole else None
    if domain.step is not None:
        steps = (value - domain.low) / domain.step
        return float(value) if abs(steps - round(steps)) < _GRID else None
    return float(value)


def clip(domain: Domain, value: Scalar) -> Scalar:
    """The nearest value that a domain holds; for options without an order, the first."""
    if isinstance(domain, Choice):
        inside = point_in(domain, value)
        numbers = [o for o in domain.options if not isinstance(o, (bool, str))]
        if inside is not None or isinstance(value, (bool, str)) or not numbers:
            return domain.options[0] if inside is None else inside
        number = value
        return min(numbers, key=lambda option: abs(option - number))
    if isinstance(value, (bool, str)):
        return domain.low
    near = min(max(value, domain.low), domain.high)
    if isinstance(domain, IntRange):
        return int(domain.low + round((near - domain.low) / domain.step) * domain.step)
    if domain.step is not None:
        near = min(domain.low + round((near - domain.low) / domain.step) * domain.step, domain.high)
    return float(near)


def _same_kind(one: Scalar, other: Scalar) -> bool:
    return isinstance(one, bool) == isinstance(other, bool)


def domain_text(domain: Domain) -> str:
    """A domain as ``check`` prints it."""
    if isinstance(domain, Choice):
        return "one of " + ", ".join(map(_word, domain.options))
    log = ", log" if domain.log else ""
    if isinstance(domain, IntRange):
        step = f", step {domain.step}" if domain.step != 1 else ""
        return f"{domain.low} to {domain.high} (whole{log}{step})"
    step = f"step {domain.step:g}" if domain.step is not None else ""
    inner = ", ".join(part for part in (log.removeprefix(", "), step) if part)
    return f"{domain.low:g} to {domain.high:g}" + (f" ({inner})" if inner else "")
