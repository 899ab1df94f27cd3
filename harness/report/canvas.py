"""A canvas for figures of papers: style, colours, legend and files. Matplotlib without global state.

Colours are Okabe and Ito's, told apart by all common forms of colour blindness; line styles help in grey.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DPI = 200
#: Characters of a title that fit an inch.
TITLE_WIDTH = 13.0
#: Characters of a legend that fit an inch, and the height of one of its rows in inches.
LEGEND_WIDTH, LEGEND_ROW = 17.0, 0.19
_RC: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "svg.hashsalt": "harness",
    "svg.fonttype": "none",
}


def style(index: int) -> tuple[str, str, str]:
    """(colour, line style, marker) of the curve with that index; colours first, then line styles."""
    return (
        COLOURS[index % len(COLOURS)],
        STYLES[(index + index // len(COLOURS)) % len(STYLES)],
        MARKERS[(index + index // len(COLOURS)) % len(MARKERS)],
    )


def axis_name(metric: str, scale: float) -> str:
    """``accuracy (%)``."""
    return f"{metric} (%)" if scale == 100.0 else metric.replace("_", " ")


def whiskers(value: float, half: float, scale: float, metric: str = "") -> tuple[float, float]:
    """How far an interval reaches down and up; it ends where shares in percent end, or an R2 at 1."""
    if math.isnan(half):
        return 0.0, 0.0
    if scale == 100.0:
        return min(half, value), min(half, 100.0 - value)
    return half, min(half, max(1.0 - value, 0.0)) if metric.startswith("r2") else half


def save(draw: Callable[[], Figure], path: Path) -> list[Path]:
    """Draw and write PATH.png and PATH.svg."""
    import matplotlib as mpl

    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_RC):
        figure: Figure = draw()
        found = [Path(f"{path}{suffix}") for suffix in (".png", ".svg")]
        figure.savefig(found[0], dpi=DPI, bbox_inches="tight", metadata={"Software": "harness"})
        figure.savefig(found[1], bbox_inches="tight", metadata={"Date": None})
    return found


def file_name(*parts: str) -> str:
    """A name that every file system and link takes: ``ett-h1-horizon-24`` from ``ett-h1[horizon=24]``."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(parts)).strip("-.")[:150] or "figure"


def new_figure(
    width: float, height: float, panels: int = 1, *, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of ``panels`` side by side, sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False, sharey=share_y)[0]
    return figure, list(axes)


def title(figure: Figure, dataset: str, what: str) -> None:
    """The data set and what is drawn, on two lines where one would be wider than the panels."""
    between = "\n" if len(dataset) + len(what) > TITLE_WIDTH * figure.get_figwidth() else " "
    figure.suptitle(f"{dataset}{between}({what})" if what else dataset, fontsize=9)


def legend_below(figure: Figure, axes: Axes) -> None:
    """Below the panels, so that it covers nothing; a long one makes the figure higher."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max((len(label) for label in labels), default=1)
    columns = max(1, min(len(labels), 4, int(LEGEND_WIDTH * figure.get_figwidth()) // (longest + 6)))
    rows = math.ceil(len(labels) / columns)
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW * max(0, rows - 3))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
