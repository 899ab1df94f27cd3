"""Batches on their way while others train: samples that lie in files are read by processes of their own.

What a batch holds depends on the samples asked for and the view's seed alone, never on how many processes
read: with none it is read here, when it is asked for.
"""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from harness.contracts.data import Batch, Index, Split, SplitName, View
from harness.errors import DataError, HarnessError
from harness.train.access import Access

SIGNAL_S = 1.0
"""Within that a process's death is signalled."""
AHEAD = 2
"""Batches that a process reads ahead."""
Asked = tuple[Index, View | None]


def fetch(split: Any, index: Index, view: View | None) -> Batch:
    """The samples of a split, as the view shows them where there is one."""
    found: Batch = split.batch(index) if view is None else split.viewed(index, view)
    return found


def stream(split: Split, parts: Sequence[Index], view: View | None = None) -> Iterator[Batch]:
    """A batch for each part, in order, from whatever reads the split. Raises what reading raises."""
    ahead = getattr(split, "stream", None)
    if ahead is not None:
        found: Iterator[Batch] = ahead(parts, view)
        return found
    return (fetch(split, part, view) for part in parts)


def died(error: BaseException) -> str:
    """What to say where a process that read data is gone, "" for any other error.

    Torch's handler of signals raises it wherever the training process happens to be.
    """
    if not isinstance(error, RuntimeError) or "DataLoader worker" not in str(error):
        return ""
    said = str(error).splitlines()[0]
    return (
        f"a process that reads data died ({said}): is memory or /dev/shm full? Ask fewer cpus, or smaller "
        "batches."
    )


class Feed:
    """A split whose batches come from ``workers`` processes, which live until :meth:`close`."""

    def __init__(self, split: Split, workers: int, *, pin: bool) -> None:
        self.split, self._asked = split, _Asked()
        with _as_many_as_held():
            self._loader: DataLoader[Any] | None = DataLoader(
                _Samples(split),
                batch_size=None,
                sampler=self._asked,
                num_workers=workers,
                prefetch_factor=AHEAD,
                persistent_workers=True,
                pin_memory=pin,
                worker_init_fn=_quiet,
                multiprocessing_context="fork",  # maps of the cache and plug-ins are there already
            )

    def __len__(self) -> int:
        return len(self.split)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.split, name)

    def batch(self, index: Index) -> Batch:
        """Samples read here and now."""
        return self.split.batch(index)

    def stream(self, parts: Sequence[Index], view: View | None) -> Iterator[Batch]:
        """A batch for each part, in order. Raises what reading raised; :func:`died` tells a lost process."""
        if self._loader is None:
            raise AssertionError("a feed that was closed is asked for batches")
        self._asked.parts = [(part, view) for part in parts]
        with _as_many_as_held():
            batches = iter(self._loader)
        for _ in parts:
            try:
                found = next(batches)
            except (OSError, EOFError) as error:  # a batch half way over from a process that is gone
                time.sleep(SIGNAL_S)  # torch's handler raises here, not later wherever that finds us
                raise RuntimeError(f"DataLoader worker is gone: {type(error).__name__}") from None
            if isinstance(found, _Failed):
                raise found.error
            yield found

    def close(self) -> None:
        """End the processes."""
        loader, self._loader = self._loader, None
        if loader is not None and loader._iterator is not None:
            loader._iterator._shutdown_workers()  # type: ignore[attr-defined]
            loader._iterator = None


class Feeds:
    """The splits of one trial, each opened once; those in files are fed by ``workers`` processes each."""

    def __init__(self, workers: int, *, pin: bool) -> None:
        self._workers, self._pin = workers, pin
        self._open: dict[tuple[int, SplitName], Split] = {}

    def open(self, access: Access, name: SplitName) -> Split:
        """A split, fed where it is worth it. Raises what opening raises."""
        key = (id(access), name)
        if key not in self._open:
            split = access.open(name)
            fed = self._workers > 0 and getattr(split, "from_files", False)
            self._open[key] = Feed(split, self._workers, pin=self._pin) if fed else split
        return self._open[key]

    def close(self) -> None:
        """End all processes."""
        for split in self._open.values():
            if isinstance(split, Feed):
                split.close()


class _Asked(Sampler[Asked]):
    """What the next pass asks for."""

    parts: Sequence[Asked] = ()

    def __iter__(self) -> Iterator[Asked]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)


class _Failed:
    """What went wrong in a process, as a value: torch would wrap it in a traceback of text."""

    def __init__(self, error: Exception) -> None:
        self.error = DataError(str(error)) if isinstance(error, HarnessError) else error


class _Samples(TorchDataset[Any]):
    def __init__(self, split: Split) -> None:
        self._split = split

    def __getitem__(self, asked: Any) -> Batch | _Failed:
        try:
            return fetch(self._split, *asked)
        except Exception as error:  # raised again by who asked
            return _Failed(error)


@contextmanager
def _as_many_as_held() -> Iterator[None]:
    """As many processes as the trial holds processors, whatever torch would suggest."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")
        yield


def _quiet(_: int) -> None:
    """A process that reads leaves Ctrl-C to the one it reads for, and uses one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
