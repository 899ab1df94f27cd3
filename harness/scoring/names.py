"""Short names of data sets with options: readable, and unique on a board."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

OPTION = re.compile(r"(?:^|,)([A-Za-z_]\w*)=((?:[^,\[\]]|\[[^\]]*\])*)")
Key = tuple[str, str, int | None]
"""A data set as printed with its options, its revision and its horizon."""


def options_of(place: str) -> dict[str, str] | None:
    """The options in ``ett-h1[horizon=24,window=72]``; None where the name has but a hash of them."""
    _, bracket, inside = place.partition("[")
    found = dict(OPTION.findall(inside.removesuffix("]")))
    return None if bracket and not found else found


def short_names(keys: Sequence[Key]) -> dict[Key, str]:
    """``ett-h1, horizon 24``: the name, its horizon and the options in which data sets of that name differ.

    Two that are still alike are told apart by their revision, then by a number.

    >>> list(short_names([("ett[horizon=6,window=9]", "1", 6), ("ett[horizon=6,window=8]", "1", 6)]).values())
    ['ett, horizon 6, window 9', 'ett, horizon 6, window 8']
    """
    found: dict[Key, str] = {}
    for key in keys:
        alike = [options_of(other[0]) or {} for other in keys if _base(other) == _base(key)]
        found[key] = _named(_base(key), options_of(key[0]) or {}, alike)
    for name in [name for name in set(found.values()) if list(found.values()).count(name) > 1]:
        same = [key for key in keys if found[key] == name]
        revisions = len({key[1] for key in same}) == len(same)
        for i, key in enumerate(same, start=1):
            found[key] = f"{name}, revision {key[1][:12]}" if revisions else f"{name} ({i})"
    return found


def _base(key: Key) -> str:
    return key[0].partition("[")[0]


def _named(base: str, own: Mapping[str, str], alike: Sequence[Mapping[str, str]]) -> str:
    shown = [name for name in own if name == "horizon" or any(o.get(name) != own[name] for o in alike)]
    return ", ".join([base, *(f"{name} {own[name]}" for name in sorted(shown, key=lambda n: n != "horizon"))])
