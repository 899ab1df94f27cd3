"""Folders of images or clips to event files, in parallel and resumable.

The output of images is the layout of ES-ImageNet: `train/class<k>/class<k>_<i>.npz`,
`val/<name>.npz` with keys `pos` and `neg`, and `trainlabel.txt`, `vallabel.txt` with lines
`<file> <class> <height> <width>`. That of clips is the layout of ES-UCF101: `event_dvs/<clip>.npz`
with key `arr_0`, and `labels.txt`. Both have keys `size` and `source` more, so that a resume knows a
finished file's line and origin. Files are renamed into place, a chunk at a time, when they are whole:
what has its name is kept. A bad input is listed in `quarantine.tsv` with its reason, counted, and the
others go on.

Nothing here knows Ray: `map` is whatever applies a function to chunks, here or on a cluster.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.events import odg, video
from harness.events.files import Together, remove_asides, write_text
from harness.events.images import read_rgb
from harness.events.odg import OdgSettings
from harness.events.sources import Item
from harness.events.video import VideoSettings

QUARANTINE: Final = "quarantine.tsv"
SETTINGS: Final = "settings.txt"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: made, kept from before, or bad with a reason."""

    state: Literal["made", "kept", "bad"]
    height: int = 0
    width: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ConversionSummary:
    """Counts of a conversion, and where the bad ones are listed."""

    made: int
    kept: int
    bad: int
    out: Path

    def __str__(self) -> str:
        """One line for the terminal."""
        line = f"{self.made} converted, {self.kept} there already, {self.bad} bad; {self.out}"
        return f"{line}; reasons in {self.out / QUARANTINE}" if self.bad else line


class Work(Protocol):
    """Turns one item into arrays to write and the image's height and width. Raises DataError."""

    def __call__(self, item: Item) -> dict[str, NDArray[Any]]: ...


Chunk = tuple[int, tuple[Item, ...]]
"""The position of its first item among all, and the items."""
Done = tuple[int, list[Outcome]]
Apply = Callable[[Chunk], Done]
Mapper = Callable[[Apply, Sequence[Chunk]], Iterable[Done]]
"""Applies a picklable function to every chunk, in any order, anywhere that sees the files."""
Progress = Callable[[int, int, int], None]
"""Called with done, total and bad."""


def here(apply: Apply, chunks: Sequence[Chunk]) -> Iterator[Done]:
    """The plain mapper: this process, one chunk after another."""
    return map(apply, chunks)


@dataclass(frozen=True, slots=True)
class OdgWork:
    """Images through ODG. `longer_side` None leaves the size."""

    settings: OdgSettings = odg.PAPER
    longer_side: int | None = odg.LONGER_SIDE

    def __call__(self, item: Item) -> dict[str, NDArray[Any]]:
        """`pos`, `neg` and `size`."""
        image = read_rgb(Path(item.source))
        if image.shape[0] * image.shape[1] == 1:
            raise DataError(f"{item.source}: the image has 1 pixel: no edge, no events")
        value = odg.lightness(image)
        if self.longer_side is not None:
            value = odg.resize_longer_side(value, self.longer_side)
        try:
            events = odg.generate(value, self.settings)
        except DataError as error:
            raise DataError(f"{item.source}: {error}") from None
        size = np.array([events.height, events.width], dtype=np.int64)
        return {"pos": events.pos, "neg": events.neg, "size": size}


@dataclass(frozen=True, slots=True)
class VideoWork:
    """Clips through per-clip percentiles."""

    settings: VideoSettings = video.PAPER

    def __call__(self, item: Item) -> dict[str, NDArray[Any]]:
        """`arr_0` and `size`."""
        frames = video.read_clip(Path(item.source), self.settings)
        events = video.events_cthw(frames, self.settings)
        return {"arr_0": events, "size": np.array(frames.shape[1:], dtype=np.int64)}


@dataclass(frozen=True, slots=True)
class Convert:
    """One kind of work on some items; picklable, so that it can run on another node."""

    work: Work
    out: str

    def __call__(self, items: Iterable[Item]) -> list[Outcome]:
        """Convert what is not there yet. Raises DataError only where nothing can be written."""
        with Together() as files:
            return [self._one(item, files) for item in items]

    def numbered(self, chunk: Chunk) -> Done:
        """The same for a chunk, with its position: results may come in any order."""
        return chunk[0], self(chunk[1])

    def _one(self, item: Item, files: Together) -> Outcome:
        target = Path(self.out, item.target)
        size = _finished(target, item)
        if size is not None:
            return Outcome("kept", *size)
        try:
            arrays = self.work(item)
        except DataError as error:
            return Outcome("bad", reason=str(error))
        files.npz(target, arrays | {"source": np.array(item.origin)})
        height, width = arrays["size"].tolist()
        return Outcome("made", height, width)


def convert(
    items: Sequence[Item],
    work: Work,
    out: Path,
    *,
    mapper: Mapper = here,
    progress: Progress | None = None,
    chunk: int = 32,
) -> ConversionSummary:
    """Convert items to files below `out`, then write the label files and the quarantine list.

    Label files hold a line for every good item, in the order of `items`. Killed at any moment, the
    same call goes on where it was. Raises DataError where nothing can be written, and where `out`
    holds files made with other settings.
    """
    _check_settings(out, work)
    starts = range(0, len(items), chunk)
    chunks = [(start, tuple(items[start : start + chunk])) for start in starts]
    size = np.zeros((len(items), 2), dtype=np.int32)  # an outcome is two numbers, or a reason
    reasons: dict[int, str] = {}
    states: Counter[str] = Counter()
    for start, found in mapper(Convert(work, str(out)).numbered, chunks):
        size[start : start + len(found)] = [(outcome.height, outcome.width) for outcome in found]
        reasons |= {start + at: outcome.reason for at, outcome in enumerate(found) if outcome.state == "bad"}
        states.update(outcome.state for outcome in found)
        if progress is not None:
            progress(states.total(), len(items), states["bad"])
    _write_lists(items, size, reasons, out)
    remove_asides(out)
    return ConversionSummary(states["made"], states["kept"], states["bad"], out)


def _check_settings(out: Path, work: Work) -> None:
    path, wanted = out / SETTINGS, f"{work}\n"
    if not path.is_file():
        write_text(path, wanted)
    elif (found := path.read_text(encoding="utf-8")) != wanted:
        raise DataError(
            f"{out} holds files made with {found.strip()}, not {wanted.strip()}: choose another folder"
        )


def _finished(target: Path, item: Item) -> tuple[int, int] | None:
    if not target.is_file():
        return None
    try:
        with target.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if file["source"].item() != item.origin:
                return None
            height, width = file["size"].tolist()
    except Exception:  # a foreign or damaged file of that name: made again
        return None
    return int(height), int(width)


def _write_lists(
    items: Sequence[Item], size: NDArray[np.int32], reasons: Mapping[int, str], out: Path
) -> None:
    def lines(labels: str) -> Iterator[str]:
        for number, item in enumerate(items):
            if item.labels == labels and number not in reasons:
                height, width = size[number].tolist()
                yield f"{item.line} {item.label} {height} {width}"

    with Together() as files:
        for name in sorted({item.labels for item in items}):
            files.lines(out / name, lines(name))
        files.lines(out / QUARANTINE, (f"{items[at].source}\t{reasons[at]}" for at in sorted(reasons)))
