"""Seeded, stratified splits: which sample goes where does not depend on a trial."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.data import Index, SplitName
from harness.errors import DataError
from harness.ids import derive_seed

Splits = dict[SplitName, Index]
MOST_REMARKS = 5
_LACKING = (
    ("train", ("valid", "test"), "so nothing can learn it"),
    ("valid", ("train",), "so selection does not see it"),
    ("test", ("train",), "so the score does not count it"),
)


def stratified_order(y: NDArray[Any], *seed: int | str) -> Index:
    """An order of all samples of which every prefix holds the classes in proportion.

    `y` (N,) are labels; `seed` are the named parts of the seed.
    """
    rng = np.random.default_rng(derive_seed(*seed))
    rank = np.empty(len(y), dtype=np.float64)
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        rank[members] = (np.arange(len(members)) + rng.random()) / len(members)
    return np.argsort(rank, kind="stable").astype(np.int64)


def cut(y: NDArray[Any], among: Index, count: int, *seed: int | str) -> tuple[Index, Index]:
    """Split `among` into `count` stratified samples and the rest, each in ascending order."""
    order = among[stratified_order(y[among], *seed)]
    return np.sort(order[:count]), np.sort(order[count:])


def three_way(y: NDArray[Any], valid: int, test: int, *seed: int | str) -> Splits:
    """Stratified splits of a set that has none: test first, then valid, the rest is train."""
    held, rest = cut(y, np.arange(len(y), dtype=np.int64), test, *seed, "test")
    chosen, train = cut(y, rest, valid, *seed, "valid")
    return {"train": train, "valid": chosen, "test": held}


def with_valid(y: NDArray[Any], is_test: NDArray[Any], fraction: float, *seed: int | str) -> Splits:
    """The set's own test split, and a stratified validation split cut from its train split.

    `is_test` (N,) bool. The test split takes no part in the draw.
    """
    train = np.flatnonzero(~is_test).astype(np.int64)
    valid, train = cut(y, train, round(fraction * len(train)), *seed, "valid")
    return {"train": train, "valid": valid, "test": np.flatnonzero(is_test).astype(np.int64)}


def check(dataset: str, splits: Splits) -> Splits:
    """The splits themselves. Raises DataError where one is empty."""
    for name, index in splits.items():
        if len(index) == 0:
            raise DataError(f"data set '{dataset}': the {name} split is empty")
    return splits


def missing_classes(y: NDArray[Any], splits: Splits, names: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Sentences on classes that one split has and another lacks: what is not trained cannot be recognised.

    `y` (N,) are class numbers, `names` what they are called.
    """
    there: dict[str, set[int]] = {name: set(np.unique(y[i]).tolist()) for name, i in splits.items()}
    found = []
    for name, others, without in _LACKING:
        for label in sorted(set().union(*(there[other] for other in others)) - there[name]):
            have = " and ".join(other for other in there if label in there[other])
            called = f"'{names[label]}'" if names else str(label)
            found.append(f"class {called} is in {have} and not in {name}, {without}")
    more = len(found) - MOST_REMARKS
    return (*found[:MOST_REMARKS], *([f"{more} more classes are in one split alone"] if more > 0 else []))


def counts(splits: Splits) -> tuple[int, int, int]:
    """Lengths of train, valid and test."""
    return len(splits["train"]), len(splits["valid"]), len(splits["test"])
