"""Several data sets as tables of text, and what each number assumes."""

from __future__ import annotations

import math

from harness.report.board_tables import BoardTable
from harness.report.formatting import DASH, fixed
from harness.scoring.values import Across, Interval


def across_tables(across: Across) -> tuple[BoardTable, ...]:
    """Standings, who wins against whom, and how fast the targets are reached."""
    made = (standings(across), wins(across), profile(across))
    return tuple(board_table for board_table in made if board_table.rows)


def standings(across: Across) -> BoardTable:
    """Mean rank, improvability, rating, and the interquartile mean where it is shown."""
    middle = any(one.iqm for one in across.standings)
    rows = tuple(
        (
            one.label,
            _interval(one.rank, 2),
            _interval(one.improvability, 1, 100.0),
            _interval(one.rating, 0),
            *((_interval(one.iqm, 3) if one.iqm else DASH,) if middle else ()),
        )
        for one in across.standings
    )
    headers = ("cell", "mean rank (interval)", "improvability % (interval)", "rating (interval)")
    more = ("interquartile mean (interval)",) if middle else ()
    return BoardTable(
        f"Over {len(across.datasets)} data sets", (*headers, *more), "lrrr" + "r" * middle, rows
    )


def wins(across: Across) -> BoardTable:
    """The share of data sets that each label wins against each."""
    labels = tuple(one.label for one in across.standings)
    rows = tuple(
        (one.label, *(DASH if math.isnan(share) else fixed(100 * share, 0) for share in one.wins))
        for one in across.standings
    )
    name = "Data sets won, row against column (%; not separated counts half)"
    return BoardTable(name, ("cell", *labels), "l" + "r" * len(labels), rows, main=False)


def profile(across: Across) -> BoardTable:
    """The share of data sets on which each label is within a factor of the fastest."""
    rows = tuple(
        (one.label, *(fixed(100 * share, 0) for share in one.profile))
        for one in across.standings
        if one.profile
    )
    name = f"Time to target: {across.raced} data sets within a factor of the fastest (%)"
    headers = ("cell", *(f"{factor:g} x" for factor in across.factors))
    return BoardTable(name, headers, "l" + "r" * len(across.factors), rows, main=False)


def across_notes(across: Across) -> tuple[str, ...]:
    """What a reader needs to judge these tables."""
    count = len(across.datasets)
    lines = [
        f"Over {', '.join(across.datasets)}: each counts once, as a sample of the data sets one cares about.",
        "Intervals: 95 % bootstrap of data sets and of seeds within"
        + (f"; {count} data sets cover less than they say." if count < 8 else "."),
        "Improvability: the share of a label's error that the data set's best label takes away. "
        "Rating: Bradley-Terry over shared seeds, 400 points a factor of ten, mean 1000.",
    ]
    if across.left_out:
        lines.append(f"Not ranked on every data set, so not here: {', '.join(across.left_out)}.")
    if any(one.iqm for one in across.standings):
        lines.append("Interquartile mean: over all seeds, chance level at 0 and perfect at 1.")
    if not math.isnan(across.critical):
        lines.append(
            f"Mean ranks less than {fixed(across.critical, 2)} apart are not separated (Nemenyi, 5 %)."
        )
    return tuple(lines)


def _interval(found: Interval, digits: int, scale: float = 1.0) -> str:
    value, low, high = (fixed(x * scale, digits) for x in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"
