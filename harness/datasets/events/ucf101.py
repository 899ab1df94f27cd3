"""`es-ucf101` (events of UCF101 clips) and `ucf101` (their frames), with honest splits.

`es-ucf101/event_dvs/<clip>.npz` is what `harness data convert video` writes from
`ucf101/jpegs_256/<clip>/<frame>.jpg`.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from harness.contracts.data import Arrays, Dataset, DatasetCard, NoOptions, Split, SplitName
from harness.datasets._files import data_path
from harness.datasets._lazy import FileSplit, as_array
from harness.datasets._splits import Splits, check, counts, missing_classes
from harness.datasets.events._recordings import listing_sha256
from harness.datasets.images.imagenet import MEAN, STD
from harness.errors import DataError
from harness.events.images import read_rgb
from harness.events.sources import clip_class
from harness.events.video import FRAMES, frame_files
from harness.ids import derive_seed

ORIGIN: Final = "crcv.ucf.edu/data/UCF101.php, its frames as JPEG folders jpegs_256"
EVENTS_ORIGIN: Final = "the command: harness data convert video ucf101/jpegs_256 es-ucf101"
USED: Final = 15
"""The paper's networks see 15 frames: event frames 0..14, or image frames 1..15."""
TEST_FRACTION: Final = 0.25
VALID_FRACTION: Final = 0.15
_OFFICIAL: Final = {"ucf-1": range(1, 8), "ucf-2": range(8, 15), "ucf-3": range(15, 22)}


class UcfOptions(NoOptions):
    """`splits`: `groups` (no group of one class in two splits), UCF's own three, whose test groups
    are 1-7, 8-14, 15-21, or `paper-random`: over clips, so that groups leak, as in the paper.
    """

    splits: Literal["groups", "ucf-1", "ucf-2", "ucf-3", "paper-random"] = "groups"


class EsUcf101(Dataset):
    """UCF101 as events by per-clip percentiles: (15, 2, 256, 342); channel 0 brighter, 1 darker."""

    name: ClassVar[str] = "es-ucf101"
    Options: ClassVar[type[BaseModel]] = UcfOptions

    def card(self) -> DatasetCard:
        """The card, from the folder's listing and one file. Raises MissingDataError, DataError."""
        root, files = self._files()
        height, width = read_events(files[0]).shape[2:]
        return _card(self, root, files, (USED, 2, height, width))

    def prepare(self) -> Arrays:
        """`file`, `y` and the split's number: the listing. Raises MissingDataError, DataError."""
        return _listing(self._files()[1], self.options.splits)

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """A split as the option says."""
        root, _ = self._files()
        return FileSplit(root, arrays["file"], arrays["y"], _part(arrays, name), _load_events)

    def _files(self) -> tuple[Path, list[Path]]:
        root = self._root() / "event_dvs"
        files = sorted(root.glob("*.npz"))
        if not files:
            raise DataError(f"{root}: no .npz files")
        return root, files

    def _root(self) -> Path:
        return data_path(self.name, "es-ucf101", origin=EVENTS_ORIGIN)


class Ucf101(Dataset):
    """The RGB frames 1..15 of the clips, normalised: (15, 3, 256, 342). The paper's ANN sees these."""

    name: ClassVar[str] = "ucf101"
    Options: ClassVar[type[BaseModel]] = UcfOptions

    def card(self) -> DatasetCard:
        """The card, from the listing and one frame. Raises MissingDataError, DataError."""
        root, clips = self._clips()
        height, width = read_rgb(frame_files(clips[0])[0]).shape[:2]
        return _card(self, root, clips, (USED, 3, height, width))

    def prepare(self) -> Arrays:
        """`file`, `y` and the split's number: the listing. Raises MissingDataError, DataError."""
        return _listing(self._clips()[1], self.options.splits)

    def split(self, arrays: Arrays, name: SplitName) -> Split:
        """A split as the option says."""
        root, _ = self._clips()
        return FileSplit(root, arrays["file"], arrays["y"], _part(arrays, name), _load_frames)

    def _clips(self) -> tuple[Path, list[Path]]:
        root = data_path(self.name, "ucf101/jpegs_256", origin=ORIGIN)
        clips = sorted(path for path in root.iterdir() if path.is_dir())
        if not clips:
            raise DataError(f"{root}: no clips; expected v_<Class>_g01_c01/<frame>.jpg")
        return root, clips


def splits(names: Sequence[str], how: str) -> Splits:
    """Splits of clips by name; validation is cut from train by groups, or at random with the rest.

    Raises DataError for a name of another form and for an empty split.
    """
    seed = derive_seed("ucf101", "splits", how, 1)
    rng = np.random.default_rng(seed)
    if how == "paper-random":
        order = rng.permutation(len(names))
        test, rest = np.split(order, [round(TEST_FRACTION * len(order))])
        valid, train = np.split(rest, [round(VALID_FRACTION * len(rest))])
    else:
        held = _chosen_groups(names, how, rng)
        place = np.array([held.get(_group(name), 0) for name in names])
        train, valid, test = (np.flatnonzero(place == part) for part in range(3))
    return check("ucf101", {"train": np.sort(train), "valid": np.sort(valid), "test": np.sort(test)})


def _chosen_groups(names: Sequence[str], how: str, rng: np.random.Generator) -> dict[tuple[str, int], int]:
    """1 for the groups of validation, 2 for those of test; a group is of one class.

    Drawn for every class from all groups up to the highest of the set, there or not: a clip that was
    quarantined moves no other, so frames and events keep the same splits.
    """
    known = {_group(name) for name in names}
    highest = max(group for _, group in known)
    held: dict[tuple[str, int], int] = {}
    for label in sorted({label for label, _ in known}):
        groups = (rng.permutation(highest) + 1).tolist()
        official = _OFFICIAL.get(how)
        test = (
            [group for group in groups if group in official]
            if official
            else groups[: max(1, round(TEST_FRACTION * len(groups)))]
        )
        rest = [group for group in groups if group not in test]
        valid = rest[: max(1, round(VALID_FRACTION * len(rest)))]
        held |= {(label, group): 2 for group in test} | {(label, group): 1 for group in valid}
    return held


def _group(name: str) -> tuple[str, int]:
    found = re.search(r"_g(\d+)_c\d+$", name)
    if not found:
        raise DataError(f"clip '{name}': expected a name of the form v_<Class>_g<XX>_c<YY>")
    return clip_class(name), int(found[1])


def read_events(path: Path) -> NDArray[np.uint8]:
    """Events (2, 30, H, W) of a clip's file. Raises DataError."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if "arr_0" not in file.files:
                raise DataError(f"{path}: no array arr_0; it holds {', '.join(file.files)}")
            events: NDArray[Any] = file["arr_0"]
    except DataError:
        raise
    except Exception as error:  # zip, zlib, header and pickle errors are many types
        raise DataError(f"{path} cannot be read: {error}") from None
    if events.ndim != 4 or events.shape[0] != 2 or events.shape[1] < USED:
        raise DataError(f"{path}: arr_0 is {events.shape}: expected (2, {FRAMES - 1}, height, width)")
    return events


def _load_events(path: Path, position: int) -> NDArray[Any]:
    return read_events(path)[:, :USED].transpose(1, 0, 2, 3)


def _load_frames(path: Path, position: int) -> NDArray[np.float32]:
    files = frame_files(path)[:USED]
    if len(files) < USED:
        raise DataError(f"{path}: {len(files)} frames: needs at least {USED}")
    frames = np.stack([read_rgb(file) for file in files]).astype(np.float32) / 255
    return np.asarray((frames - MEAN) / STD, dtype=np.float32).transpose(0, 3, 1, 2)


def _listing(paths: Sequence[Path], how: str) -> dict[str, NDArray[Any]]:
    labels = [clip_class(path.stem) for path in paths]
    known = {name: label for label, name in enumerate(sorted(set(labels)))}
    part = np.empty(len(paths), dtype=np.uint8)
    for number, index in enumerate(splits([path.stem for path in paths], how).values()):
        part[index] = number
    y = np.array([known[label] for label in labels], dtype=np.int64)
    return {"file": as_array([path.name for path in paths]), "y": y, "part": part}


def _part(arrays: Arrays, name: SplitName) -> NDArray[np.int64]:
    number = ("train", "valid", "test").index(name)
    return np.flatnonzero(np.asarray(arrays["part"]) == number)


def _card(data: Dataset, root: Path, paths: Sequence[Path], shape: tuple[int, ...]) -> DatasetCard:
    how = data.options.splits
    sha256 = listing_sha256(paths, root)
    names, y = np.unique([clip_class(path.stem) for path in paths], return_inverse=True)
    chosen, called = splits([path.stem for path in paths], how), tuple(str(name) for name in names)
    return DatasetCard(
        name=data.name,
        revision=sha256[:12],
        task="classification",
        layout="ntchw",
        shape=shape,
        counts=counts(chosen),
        classes=len(names),
        sha256=sha256,
        licence="research use",
        citation="Soomro, Zamir and Shah, UCF101, 2012; events as in arXiv 2203.01158",
        origin=ORIGIN,
        notes=f"splits: {how}; sha256 is of names and sizes",
        class_names=called,
        remarks=missing_classes(y, chosen, called),
    )
