"""Which parameters can exist in a cell, and the values they can take, before anything is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.contracts.params import ParamInfo, ParamSchema
from harness.errors import HarnessError
from harness.space import Choice, Conditions, Domain, Scalar

PossibleValues = tuple[Domain | None, tuple[Scalar, ...]]


class CellConditions:
    """What is known of one cell: its schema, the searched domains and the given values.

    ``governed`` are the searched names to which the study file gives a ``when``.
    """

    def __init__(
        self,
        schema: ParamSchema,
        domains: Mapping[str, Domain],
        values: Mapping[str, Scalar],
        governed: frozenset[str] = frozenset(),
    ) -> None:
        self.schema, self.domains, self.values, self.governed = schema, domains, values, governed
        self._possible_values: dict[str, PossibleValues | None] = {}
        self._open: set[str] = set()

    def infos(self, name: str) -> tuple[ParamInfo, ...]:
        """The declarations of a name that can exist here."""
        return tuple(i for i in self.schema.infos if i.name == name and self._possible(i))

    def possible_values(self, name: str) -> PossibleValues | None:
        """The domain and the single values a parameter can take; None if it cannot exist.

        Raises HarnessError where conditions of the schema depend on one another.
        """
        if name not in self._possible_values:
            if name in self._open:
                raise HarnessError(f"the conditions of {name} depend on one another.")
            self._open.add(name)
            self._possible_values[name] = self._find(name)
            self._open.discard(name)
        return self._possible_values[name]

    def _find(self, name: str) -> PossibleValues | None:
        infos = self.infos(name)
        if not infos:
            return None
        if name in self.domains:
            return self.domains[name], ()
        if name in self.values:
            return None, (self.values[name],)
        return None, tuple(dict.fromkeys(info.default for info in infos))

    def _possible(self, info: ParamInfo) -> bool:
        return all(self.overlaps(name, allowed) for name, allowed in info.when)

    def overlaps(self, name: str, allowed: Sequence[Scalar]) -> bool:
        """Whether a parameter can take one of the values."""
        possible_values = self.possible_values(name)
        if possible_values is None:
            return False
        domain, values = possible_values
        return any(value in values or (domain is not None and domain.contains(value)) for value in allowed)

    def why_not(self, name: str) -> str:
        """In words, what a parameter that cannot exist here would need."""
        info = self.schema.find(name)[0]
        for other, allowed in info.when:
            if not self.overlaps(other, allowed):
                needs = " or ".join(dict.fromkeys(str(v) for v in self._allowed(name, other)))
                possible_values = self.possible_values(other)
                if possible_values is None:
                    return f"needs {other} = {needs}, which does not exist here"
                return f"needs {other} = {needs}, here it is {values_text(possible_values)}"
        return "does not exist here"

    def _allowed(self, name: str, other: str) -> list[Scalar]:
        return [v for info in self.schema.find(name) for key, vs in info.when if key == other for v in vs]

    def merged_conditions(self, infos: Sequence[ParamInfo]) -> dict[str, tuple[Scalar, ...]]:
        """The conditions on searched names under which at least one of the declarations exists.

        Where declarations differ in more than one name the result may be wider; a value that was chosen
        for a parameter that does not exist is left out by ``ParamSchema.resolve``.
        """
        each = [self._open_conditions(info.when) for info in infos]
        shared = [name for name in each[0] if all(name in found for found in each)] if each else []
        merged: dict[str, tuple[Scalar, ...]] = {}
        for name in shared:
            allowed = tuple(dict.fromkeys(value for found in each for value in found[name]))
            if not self._always(name, allowed):
                merged[name] = allowed
        return merged

    def _open_conditions(self, when: Conditions) -> dict[str, tuple[Scalar, ...]]:
        return {
            name: tuple(value for value in allowed if self.domains[name].contains(value))
            for name, allowed in when
            if name in self.domains
        }

    def _always(self, name: str, allowed: Sequence[Scalar]) -> bool:
        """Whether every option of an unconditional choice is allowed."""
        domain = self.domains[name]
        free = name not in self.governed and not self.merged_conditions(self.infos(name))
        return isinstance(domain, Choice) and free and all(o in allowed for o in domain.options)


def values_text(possible_values: PossibleValues) -> str:
    """The values a parameter can take, in words."""
    domain, values = possible_values
    if domain is None:
        return " or ".join(map(str, values))
    if isinstance(domain, Choice):
        return " or ".join(map(str, domain.options))
    return f"{domain.low:g} to {domain.high:g}"
