"""Parameters of pipelines and neurons: declared once as a pydantic model, addressed by dotted names.

``neuron: NeuronSpec`` in a pipeline's model stands for every registered neuron: ``neuron.name`` chooses,
``neuron.tau`` and the others are that neuron's own constants.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from harness.errors import HarnessError, UnknownNameError
from harness.space import Conditions, Scalar

Kind = Literal["bool", "int", "float", "str"]
When = Mapping[str, tuple[Scalar, ...]]


class ParamsModel(BaseModel):
    """Base of all parameter models: frozen, strict, unknown names refused. Groups are nested models."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


def param(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    source: str = "",
    when: When | None = None,
) -> Any:
    """Declare a parameter: its default, what it is, unit, allowed range and source.

    ``low`` and ``high`` are the bounds a value must meet (both included); choices are declared by
    annotating the field ``Literal[...]``. ``when`` names the conditions under which it exists.
    """
    extra: Any = {"unit": unit, "log": log, "source": source, "when": dict(when or {})}
    return Field(default, description=doc, ge=low, le=high, json_schema_extra=extra)


@dataclass(frozen=True, slots=True)
class ParamInfo:
    """One parameter as ``harness check`` prints it. ``when`` is empty if it always exists."""

    name: str
    kind: Kind
    default: Scalar
    doc: str = ""
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    log: bool = False
    choices: tuple[Scalar, ...] = ()
    source: str = ""
    when: Conditions = ()

    def check(self, value: Scalar) -> Scalar:
        """The value in the parameter's own type. Raises HarnessError with what was allowed."""
        if self.choices:
            if value in self.choices and isinstance(value, bool) == (self.kind == "bool"):
                return value
            raise UnknownNameError(f"value for {self.name}", value, map(str, self.choices))
        kind = "bool" if isinstance(value, bool) else type(value).__name__
        if self.kind == "float" and kind == "int":
            value, kind = float(value), "float"
        if kind != self.kind:
            raise HarnessError(f"{self.name}: {value!r} is {_noun(kind)}, not {_noun(self.kind)}.")
        if isinstance(value, (int, float)) and not self.low <= value <= self.high:
            raise HarnessError(f"{self.name}: {value} is outside [{self.low:g}, {self.high:g}].")
        return value

    def active(self, values: Mapping[str, Scalar]) -> bool:
        """Whether the parameter exists given the others."""
        return all(values.get(name) in allowed for name, allowed in self.when)


def _noun(kind: str) -> str:
    return {
        "str": "text",
        "int": "a whole number",
        "float": "a number",
        "bool": "true/false",
        "list": "a list",
        "dict": "a mapping",
    }.get(kind, kind)


@dataclass(frozen=True, slots=True)
class ParamSchema:
    """All parameters of one pipeline, flat; several entries may share a name under other conditions."""

    infos: tuple[ParamInfo, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The dotted names without repetition."""
        return tuple(dict.fromkeys(info.name for info in self.infos))

    def find(self, name: str) -> tuple[ParamInfo, ...]:
        """Every declaration of a name. Raises UnknownNameError with the nearest known one."""
        found = tuple(info for info in self.infos if info.name == name)
        if not found:
            raise UnknownNameError("parameter", name, self.names)
        return found

    def resolve(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """The complete parameters: defaults filled in, each checked, those that do not exist left out.

        Raises UnknownNameError and HarnessError.
        """
        known = {info.name for info in self.infos}
        for name in values:
            if name not in known:
                self.find(name)
        complete: dict[str, Scalar] = {}
        pending = list(self.infos)
        while pending:
            unsettled = {info.name for info in pending} - complete.keys()
            later = []
            for info in pending:
                if any(name in unsettled for name, _ in info.when):
                    later.append(info)
                elif info.active(complete):
                    complete[info.name] = info.check(values.get(info.name, info.default))
            if len(later) == len(pending):
                names = ", ".join(info.name for info in later)
                raise HarnessError(f"the conditions of {names} depend on one another.")
            pending = later
        return dict(sorted(complete.items()))


def describe(model: type[BaseModel], prefix: str = "", when: Conditions = ()) -> tuple[ParamInfo, ...]:
    """The parameters of a model, nested groups with dotted names, in declaration order."""
    infos: list[ParamInfo] = []
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            group = f"{prefix}{name}."
            infos.extend(_as_in(info.default, group, nested) for nested in describe(kind, group, when))
        elif getattr(kind, "__name__", "") == "NeuronSpec":
            continue
        else:
            infos.append(_info(f"{prefix}{name}", info, when))
    return tuple(infos)


def _as_in(instance: Any, group: str, info: ParamInfo) -> ParamInfo:
    """The parameter of a group with the default that the group's own default instance gives it."""
    if not isinstance(instance, BaseModel):
        return info
    value: Any = instance
    for part in info.name.removeprefix(group).split("."):
        value = getattr(value, part)
    return replace(info, default=value)


def _info(name: str, declared: FieldInfo, when: Conditions) -> ParamInfo:
    extra = declared.json_schema_extra if isinstance(declared.json_schema_extra, dict) else {}
    kind: Any = declared.annotation
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if kind is bool:
        choices = (False, True)
    base = type(choices[0]) if choices else kind
    low = next((m.ge for m in declared.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in declared.metadata if hasattr(m, "le")), None)
    own: Any = extra.get("when", {})
    return ParamInfo(
        name=name,
        kind=cast(Kind, base.__name__),
        default=declared.default,
        doc=declared.description or "",
        unit=str(extra.get("unit", "")),
        low=-math.inf if low is None else low,
        high=math.inf if high is None else high,
        log=bool(extra.get("log", False)),
        choices=tuple(choices),
        source=str(extra.get("source", "")),
        when=when + tuple((key, tuple(allowed)) for key, allowed in own.items()),
    )


def nest(values: Mapping[str, Scalar]) -> dict[str, Any]:
    """Dotted names to nested mappings."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *groups, leaf = name.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[leaf] = value
    return tree
