"""What a table's rows say of themselves: which code made them, how often test was read for them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.scoring.cell_rows import CellRows
from harness.scoring.tables import CellInfo, text_of
from harness.scoring.values import Readings


def versions_of(cells: Sequence[CellRows]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Which code of the harness made the scored rows of which cells."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for data in cells:
        for pair in zip(data.scored["harness"], data.scored["code"], strict=True):
            found.setdefault((text_of(pair[0]), text_of(pair[1])), {})[data.cell.label] = None
    return tuple((_version(*pair), tuple(labels)) for pair, labels in sorted(found.items()))


def _version(harness: str, code: str) -> str:
    return f"harness {harness}, code {code}" if code else "an older harness"


def readings_of(cells: Sequence[CellInfo], own: pd.DataFrame) -> Readings:
    """How often the study has read test on a data set so far. ``own`` are its last attempts.

    A final trial that ended reads test once, whether its configuration is still the winner or not.
    """
    names = {cell.name: cell.label for cell in cells}
    rows = own[(own["phase"] == "final") & (own["state"] == "COMPLETE") & own["cell"].isin(names)]
    configs = rows.assign(config=rows["config"].fillna("")).groupby("cell", sort=False)["config"].nunique()
    more = tuple((names[str(name)], int(count)) for name, count in configs.items() if count > 1)
    return Readings(len(rows), int(configs.sum()), more)
