"""A chart as a value: a name, what it says, and one or more forms of it that a reader switches between."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import altair as alt

from harness.ids import content_id
from harness.report.charts.look import PAPER, PIXELS_AN_INCH, SCREEN_WIDTH, theme

Format = Literal["svg", "pdf", "png"]
Style = Literal["screen", "paper"]
FORMATS: tuple[Format, ...] = ("svg", "pdf", "png")
PNG_PIXELS_AN_INCH = 200


@dataclass(frozen=True)
class Chart:
    """``name`` is that of its files, ``about`` one sentence for who cannot see it.

    ``forms`` are (what a switch calls it, the chart); a file shows the first. Their widths follow the page.
    """

    name: str
    title: str
    about: str
    forms: tuple[tuple[str, alt.LayerChart | alt.Chart], ...]

    def specs(self) -> list[tuple[str, dict[str, Any]]]:
        """Each form as Vega-Lite for a page: as wide as its container, its data beside it in ``datasets``."""
        return [(label, _spec(form.properties(width="container"))) for label, form in self.forms]

    def spec(self, style: Style = "screen", width: float = PAPER["column"]) -> dict[str, Any]:
        """The first form as Vega-Lite for a file; ``width`` in inches of a paper."""
        paper = style == "paper"
        pixels = width * PIXELS_AN_INCH - 60 if paper else SCREEN_WIDTH
        chart = self.forms[0][1]
        height = {"height": round(pixels * 0.62)} if paper else {}
        titled = chart.properties(width=round(pixels), title=self.title, **height)
        return _spec(titled) | {"config": theme(paper=paper)}


def write(
    charts: Iterable[Chart], folder: Path, formats: Iterable[Format] = FORMATS, style: Style = "screen"
) -> list[Path]:
    """Each chart in each format, by vl-convert, without a browser; the paths. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for chart in charts:
        spec = chart.spec(style)
        for suffix in formats:
            path = folder / f"{chart.name}.{suffix}"
            path.write_bytes(_drawn(spec, suffix))
            found.append(path)
    return found


def _drawn(spec: dict[str, Any], suffix: Format) -> bytes:
    import vl_convert as convert

    if suffix == "svg":
        return _renumbered(str(convert.vegalite_to_svg(spec))).encode()
    if suffix == "pdf":
        return bytes(convert.vegalite_to_pdf(spec))
    return bytes(convert.vegalite_to_png(spec, ppi=PNG_PIXELS_AN_INCH))


def _renumbered(svg: str) -> str:
    """The drawing with its own count of clips: the renderer goes on counting through a process."""
    known: dict[str, str] = {}
    return re.sub(r"\b(clip|gradient_)(\d+)\b", lambda m: m[1] + known.setdefault(m[2], str(len(known))), svg)


def _spec(chart: alt.LayerChart | alt.Chart) -> dict[str, Any]:
    """Without altair's own theme (a page and a file bring theirs), rows once in ``datasets``."""
    found: dict[str, Any] = chart.to_dict()
    found.pop("config", None)
    rows: dict[str, Any] = {}
    _name_rows(found, rows)
    return found | {"datasets": rows}


def _name_rows(value: Any, rows: dict[str, Any]) -> None:
    """Give each distinct list of rows a name after its content."""
    if isinstance(value, list):
        for item in value:
            _name_rows(item, rows)
    elif isinstance(value, dict):
        data = value.get("data")
        if isinstance(data, dict) and "values" in data:
            name = content_id(data["values"])
            rows[name] = data["values"]
            value["data"] = {"name": name}
        for key, item in value.items():
            if key != "data":
                _name_rows(item, rows)


@functools.cache
def library(cache: Path | None) -> str:
    """Vega, Vega-Lite and vega-embed as one JavaScript text; made once a version, then kept in ``cache``."""
    import vl_convert as convert

    kept = None
    if cache is not None:
        kept = cache / f"vega-{convert.get_vega_version()}-embed-{convert.get_vega_embed_version()}.js"
        with suppress(OSError):
            return kept.read_text(encoding="utf-8")
    text = str(convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    if kept is not None:
        with suppress(OSError):  # made again next time
            kept.parent.mkdir(parents=True, exist_ok=True)
            aside = kept.with_name(f".{kept.name}.{os.getpid()}")
            aside.write_text(text, encoding="utf-8")
            os.replace(aside, kept)
    return text
