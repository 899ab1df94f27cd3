"""Whether a searched domain lies within what a parameter allows."""

from __future__ import annotations

from collections.abc import Sequence

from harness.contracts.params import ParamInfo
from harness.space import Choice, Domain, FloatRange, IntRange, word
from harness.studyfile.domain_reading import Wanted, built
from harness.studyfile.scalars import file_error
from harness.studyfile.variants import Given, accept


def fit_domain(wanted: Wanted, infos: Sequence[ParamInfo], pipeline: str) -> Domain:
    """The domain in the parameter's own type. Raises StudyFileError where a pipeline does not allow it."""
    domain = wanted.domain
    for info in infos:
        domain = _fit(wanted, domain, info, pipeline)
    return domain


def _fit(wanted: Wanted, domain: Domain, info: ParamInfo, pipeline: str) -> Domain:
    if isinstance(domain, Choice):
        options = tuple(accept(info, Given(option, wanted.location)) for option in domain.options)
        return built(wanted.name, wanted.location, lambda: Choice(options))
    if info.choices:
        options_text = ", ".join(map(word, info.choices))
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
