"""What a conversion reads: folders of images by class, folders of clips by name."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import DataError

VIDEO_SUFFIXES: Final = (".avi", ".mp4", ".mkv", ".mov", ".webm")
_SPLITS: Final = ("train", "val")


@dataclass(frozen=True, slots=True)
class Item:
    """One input: `source` path, the output `folder` that its `line` lies in, label file and class.

    There may be a million: nothing is kept twice.
    """

    source: str
    folder: str
    line: str
    labels: str
    label: int

    @property
    def target(self) -> str:
        """The file to write, below the output folder."""
        return f"{self.folder}/{self.line}"

    @property
    def origin(self) -> str:
        """The source's folder and name, without where they are."""
        return "/".join(self.source.rsplit("/", 2)[-2:])


def image_items(images: Path) -> list[Item]:
    """Items for a folder of class folders, or of `train` and `val` folders of class folders.

    Classes are the sorted folder names, the same for both. Every folder is listed once and no file is
    looked at. Raises DataError where there are none.
    """
    roots = {split: images / split for split in _SPLITS if (images / split).is_dir()}
    roots = roots or {"train": images}
    listed = {split: _class_files(root) for split, root in roots.items()}
    names = sorted({name for found in listed.values() for name in found})
    if not names:
        raise DataError(
            f"{images}: no images; expected {images}/<class>/<image> or "
            f"{images}/train/<class>/<image> and {images}/val/<class>/<image>"
        )
    items: list[Item] = []
    for split, found in listed.items():
        stems = Counter(_stem(file) for files in found.values() for file in files)
        for label, name in enumerate(names):
            for number, file in enumerate(found.get(name, ()), 1):
                line = f"class{label}/class{label}_{number}" if split == "train" else _val(file, label, stems)
                source = os.path.join(roots[split], name, file)
                items.append(Item(source, split, f"{line}.npz", f"{split}label.txt", label))
    return items


def clip_items(clips: Path) -> list[Item]:
    """Items for a folder of clip folders `v_<Class>_g<XX>_c<YY>` with one image a frame.

    Classes are the sorted names between `v_` and `_g`. Raises DataError where there are no clips.
    """
    entries = sorted(clips.iterdir()) if clips.is_dir() else []
    movies = [path.name for path in entries if path.suffix.lower() in VIDEO_SUFFIXES]
    folders = [path for path in entries if path.is_dir()]
    if not folders:
        hint = f"; {movies[0]} is a video: first write its frames as images" if movies else ""
        raise DataError(f"{clips}: no clips; expected {clips}/v_<Class>_g01_c01/<frame>.jpg{hint}")
    names = sorted({clip_class(path.name) for path in folders})
    return [
        Item(
            source=str(path),
            folder="event_dvs",
            line=f"{path.name}.npz",
            labels="labels.txt",
            label=names.index(clip_class(path.name)),
        )
        for path in folders
    ]


def clip_class(name: str) -> str:
    """The class in a clip's name: `v_<Class>_g01_c01`. Raises DataError for another form."""
    head, mark, _ = name.rpartition("_g")
    if not name.startswith("v_") or not mark or len(head) <= 2:
        raise DataError(f"clip '{name}': expected a name of the form v_<Class>_g<XX>_c<YY>")
    return head[2:]


def _val(file: str, label: int, stems: Counter[str]) -> str:
    """A validation file's name; prefixed by its class where two files share it."""
    stem = _stem(file)
    name = stem.replace(".", "_").replace(" ", "_")
    return name if stems[stem] == 1 else f"class{label}_{name}"


def _stem(file: str) -> str:
    return os.path.splitext(file)[0]


def _class_files(root: Path) -> dict[str, list[str]]:
    """The files of each class in order, whatever their suffix: what is no image is quarantined."""
    if not root.is_dir():
        return {}
    with os.scandir(root) as folders:
        found = {folder.name: _files(folder.path) for folder in folders if folder.is_dir()}
    return {name: files for name, files in found.items() if files}


def _files(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_file() and entry.name[0] != ".")
