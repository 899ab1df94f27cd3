"""Which splits a trial may open: the test split exists in the final phase only."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from harness.cache import prepared
from harness.contracts import registry
from harness.contracts.data import Arrays, DatasetCard, Split, SplitName
from harness.errors import HarnessError, IncompatibleError
from harness.trial import DatasetRef, Phase


class ProtocolError(HarnessError):
    """A trial asked for data that its phase must not see."""


class Access:
    """Opens the splits of one data set for one trial."""

    def __init__(self, ref: DatasetRef, phase: Phase) -> None:
        kind = registry.dataset(ref.name)
        self._dataset = kind(kind.Options(**dict(ref.options)))
        self._phase = phase
        self.card: DatasetCard = self._dataset.card()
        if ref.revision and ref.revision != self.card.revision:
            raise IncompatibleError(
                f"data set '{self.card.name}' is revision {self.card.revision} here, the study was planned "
                f"with {ref.revision}: the data changed. Restore it or fork the study.",
                reason="data",
            )

    def open(self, name: SplitName) -> Split:
        """A split. Raises ProtocolError for the test split outside the final phase."""
        if name == "test" and self._phase is not Phase.FINAL:
            raise ProtocolError(
                f"the test split of '{self.card.name}' can be opened in the final phase only, "
                f"this is a {self._phase.value} trial."
            )
        return self._dataset.split(self._arrays, name)

    @cached_property
    def _arrays(self) -> Arrays:
        return prepared(self._dataset)

    def applied(self) -> dict[str, Any]:
        """What samples went through, for the card of a kept network."""
        return dict(self._dataset.applied(self._arrays))

    @property
    def nbytes(self) -> int:
        """Bytes of the prepared arrays, which lie in the cache of every node."""
        return sum(array.nbytes for array in self._arrays.values())

    def metadata(self) -> dict[str, Any]:
        """The file's digest, the splits' lengths, and what the data set says was done to the data."""
        known = {"sha256": self.card.sha256} if self.card.sha256 else {}
        return {**known, "counts": list(self.card.counts), **self._dataset.metadata(self._arrays)}
