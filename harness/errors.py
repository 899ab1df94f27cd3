"""Every error a user can meet, and the reasons a trial can fail.

::

    HarnessError                  one clear line, exit code 2
    ├── StudyFileError            a study file says something it must not
    ├── UnknownNameError          a name nobody registered; offers the nearest one
    ├── DataError                 data that is wrong: shape, keys, labels, sha256
    │   └── MissingDataError      data that is not there: name, origin, sha256, where to put it
    ├── StoreError                results that cannot be read or written
    │   ├── ForeignFileError      a file that is truncated or not ours
    │   ├── NewerSchemaError      a store written by a later version
    │   └── LockedError           another driver holds the study
    ├── ResumeError               a resume whose fingerprint differs
    ├── ResourceError             more devices asked than the cluster has
    └── TrialError                one trial cannot go on; carries a ``reason``
        ├── NonFiniteError        reason "non-finite"
        └── IncompatibleError     reason "misfit": a saved state or network that does not fit
            └── CheckpointError   the user's own checkpoint; a DataError too, so it stops the study

``assert`` is for our own bugs; everything above is for input.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """Base of all errors that the command line prints as one line with exit code 2; a notebook does, too."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class StudyFileError(HarnessError):
    """A study or cluster file is wrong; the message begins with ``file:line: key:``."""


class UnknownNameError(HarnessError):
    """An unknown name, with the nearest known one.

    >>> str(UnknownNameError("neuron", "pliff", ["lif", "plif"]))
    "unknown neuron 'pliff'. Did you mean 'plif'? Known: lif, plif"
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        names, name = sorted(known), " ".join(str(name).split())[:100]
        near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        super().__init__(f"unknown {kind} '{name}'.{hint} Known: {', '.join(names) or 'none'}")

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (UnknownNameError, str(self)))


class DataError(HarnessError):
    """Data that is there and wrong."""


class MissingDataError(DataError):
    """A data file that is not there.

    The line names the data set, the file, where it comes from, its sha256 and where to put it.
    """

    def __init__(self, name: str, path: object, *, origin: str, sha256: str = "") -> None:
        digest = f" (sha256 {sha256})" if sha256 else ""
        super().__init__(
            f"data set '{name}': {path} is missing. Get it from {origin}{digest} "
            "and put it there, or set HARNESS_DATA to the folder that holds it."
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (MissingDataError, str(self)))


class StoreError(HarnessError):
    """Results that cannot be read or written."""


class ForeignFileError(StoreError):
    """A file below results/ that is truncated or was not written by the harness."""


class NewerSchemaError(StoreError):
    """A store written by a later version of the harness."""


class LockedError(StoreError):
    """Another driver holds the study."""


class ResumeError(HarnessError):
    """A resume whose fingerprint differs in what changes numbers."""


class ResourceError(HarnessError):
    """More devices asked than the machine or cluster has."""


class TrialError(HarnessError):
    """One trial cannot go on. ``reason`` is stored in its row; it is never a number."""

    reason = "error"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class NonFiniteError(TrialError):
    """The loss or a validation metric is not finite; nothing trained after it is kept."""

    reason = "non-finite"


class IncompatibleError(TrialError):
    """A checkpoint, artifact or configuration that does not fit the network.

    ``names`` are the parameters it rests on, where it rests on parameters alone.
    """

    reason = "misfit"

    def __init__(self, message: str, *, reason: str | None = None, names: tuple[str, ...] = ()) -> None:
        super().__init__(message, reason=reason)
        self.names = names


class CheckpointError(IncompatibleError, DataError):
    """A checkpoint that a study names is absent, no checkpoint or does not fit: no trial can go on."""


def _rebuild(kind: type[HarnessError], line: str) -> HarnessError:
    """Unpickle an error whose constructor takes other arguments than its line."""
    error = kind.__new__(kind)
    Exception.__init__(error, line)
    return error
