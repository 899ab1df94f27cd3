"""Numbers as text: as many digits as their interval carries, one unit a column."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from harness.scoring.stats import Ratio, Summary

DASH = "–"
TIME_UNITS = ((2 * 3600.0, 3600.0, "h"), (300.0, 60.0, "min"), (0.0, 1.0, "s"))


def decimals(half: float) -> int:
    """Decimals that show an interval's half width with two significant digits (0 to 6)."""
    if not math.isfinite(half) or half <= 0:
        return 2
    return min(max(1 - math.floor(math.log10(half)), 0), 6)


def fixed(value: float, digits: int) -> str:
    """A number with fixed decimals; a dash for NaN, the sign for infinity."""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def score(summary: Summary, scale: float, digits: int | None = None, *, constant: str = "") -> str:
    """``94.10 ± 0.46``; the mean alone for one seed, a dash for none.

    Where nothing varies there is no interval: it says ``constant``, or how many values are equal.
    """
    if digits is None:
        digits = score_digits([summary], scale)
    mean = fixed(summary.mean * scale, digits)
    if math.isnan(summary.half):
        return mean
    if not summary.half > 0:
        return f"{mean} ({constant or f'all {summary.n} equal'})"
    return f"{mean} ± {fixed(summary.half * scale, digits)}"


def score_digits(summaries: Iterable[Summary], scale: float) -> int:
    """One number of decimals for a column: what its narrowest interval needs, four at most."""
    halves = [s.half * scale for s in summaries if s.half > 0]
    least, usual = (0, 2) if scale == 100 else (3, 4)
    return max(least, min(decimals(min(halves)), 4)) if halves else usual


def rank(found: tuple[int, int] | None) -> str:
    """``2`` or ``1-3``; a dash where the row is not ranked."""
    if found is None:
        return DASH
    return str(found[0]) if found[0] == found[1] else f"{found[0]}-{found[1]}"


def time_unit(seconds: Iterable[float]) -> tuple[float, str]:
    """(divisor, name) of the unit that suits the largest finite time."""
    largest = max((s for s in seconds if math.isfinite(s)), default=0.0)
    return next((divisor, name) for least, divisor, name in TIME_UNITS if largest >= least)


def significant(value: float, digits: int = 3) -> str:
    """A number with that many significant digits, never in exponential form below a million."""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞"
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(places, 0), 6)}f}"


def quantity(value: float) -> str:
    """A count with a prefix: ``214k``, ``11.7M``; whole numbers below ten thousand as they are."""
    if math.isnan(value):
        return DASH
    for size, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return significant(value / (1e3 if name == "k" else size)) + name
    return f"{value:,.0f}" if float(value).is_integer() else significant(value)


def ratio(found: Ratio | None) -> str:
    """``0.46 (0.41 to 0.52)``; ``> 1.40; 2 of 3 reached`` where an end of the interval is open.

    What the interval is of stands beside it: seeds that never reached a target leave one end open, or both.
    """
    if found is None:
        return DASH
    open_top, open_bottom = found.reached < found.n, found.base_reached < found.base_n
    if not open_top and not open_bottom and math.isfinite(found.value):
        if math.isnan(found.low):
            return f"{factor(found.value)} (one seed)"
        if math.isfinite(found.high):
            return f"{factor(found.value)} ({factor(found.low)} to {factor(found.high)})"
    own = f"{found.reached} of {found.n} reached" if open_top else ""
    base = f"baseline {found.base_reached} of {found.base_n}" if open_bottom else ""
    bound = ""
    if not open_bottom and 0 < found.low < math.inf:
        bound = f"> {factor(found.low)}"
    elif not open_top and 0 < found.high < math.inf:
        bound = f"< {factor(found.high)}"
    return "; ".join(part for part in (bound, own, base) if part) or DASH


def factor(value: float) -> str:
    """Two decimals where they say enough, else two or three digits."""
    return f"{value:.2f}" if 0.1 <= value < 10 else significant(value, 2 if value < 1 else 3)


def natural(text: str) -> tuple[tuple[int, str, str], ...]:
    """A key that sorts numbers within text as numbers: ``param.2`` before ``param.10``."""
    parts = re.split(r"([0-9]+)", text)
    bare = [part.lstrip("0") if i % 2 else part for i, part in enumerate(parts)]
    return tuple((len(b) if i % 2 else 0, b, parts[i]) for i, b in enumerate(bare))
