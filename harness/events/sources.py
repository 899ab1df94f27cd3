"""What a conversion reads: folders of images by class, folders of clips by name."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import DataError

VIDEO_SUFFIXES: Final = (".avi", ".mp4", ".mkv", ".mov", ".webm")
_SPLITS: Final = ("train", "val")


@dataclass(frozen=True, slots=True)
class Item:
    """One input: `source` path, `target` below the output folder, its line's name and label file."""

    source: str
    target: str
    line: str
    labels: str
    label: int

    @property
    def origin(self) -> str:
        """The source's folder and name, without where they are."""
        path = Path(self.source)
        return f"{path.parent.name}/{path.name}"


def image_items(images: Path) -> list[Item]:
    """Items for a folder of class folders, or of `train` and `val` folders of class folders.

    Classes are the sorted folder names, the same for both. Raises DataError where there are none.
    """
    roots = {split: images / split for split in _SPLITS if (images / split).is_dir()}
    roots = roots or {"train": images}
    names = sorted({name for root in roots.values() for name in _class_folders(root)})
    if not names:
        raise DataError(
            f"{images}: no images; expected {images}/<class>/<image> or "
            f"{images}/train/<class>/<image> and {images}/val/<class>/<image>"
        )
    items: list[Item] = []
    for split, root in roots.items():
        found = [(label, _files(root / name)) for label, name in enumerate(names)]
        if split == "train":
            items += [
                _image_item(path, f"class{label}/class{label}_{number}.npz", split, label)
                for label, files in found
                for number, path in enumerate(files, 1)
            ]
        else:
            stems = Counter(path.stem for _, files in found for path in files)
            items += [
                _image_item(path, f"{_unique(path, label, stems)}.npz", split, label)
                for label, files in found
                for path in files
            ]
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
            target=f"event_dvs/{path.name}.npz",
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


def _image_item(path: Path, line: str, split: str, label: int) -> Item:
    return Item(str(path), f"{split}/{line}", line, f"{split}label.txt", label)


def _unique(path: Path, label: int, stems: Counter[str]) -> str:
    """A validation file's name; prefixed by its class where two files share it."""
    name = path.stem.replace(".", "_").replace(" ", "_")
    return name if stems[path.stem] == 1 else f"class{label}_{name}"


def _class_folders(root: Path) -> list[str]:
    return [path.name for path in root.iterdir() if path.is_dir() and _files(path)] if root.is_dir() else []


def _files(folder: Path) -> list[Path]:
    """All files of a class in order, whatever their suffix: what is no image is quarantined."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
