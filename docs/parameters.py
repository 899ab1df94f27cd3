"""A page of the site made from the code: every parameter of every pipeline and neuron (an mkdocs hook)."""

from __future__ import annotations

import math
from typing import Any

from harness.contracts import neurons, pipelines
from harness.contracts.params import ParamInfo, describe

PAGE = "parameters.md"
HEAD = "| parameter | default | allowed | unit | what it is | source |\n|---|---|---|---|---|---|\n"


def on_files(files: Any, config: Any) -> Any:
    """Add the page."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=text()))
    return files


def text() -> str:
    """Markdown: a section a pipeline with its own parameters, a section a neuron with its constants."""
    parts = ["# Parameters\n\nNames as a study file has them, in `space`, `fixed` and `set`."]
    for name, kind in sorted(pipelines().items()):
        group = kind.neuron_field()
        own = [info for info in kind.schema().infos if not info.name.startswith(f"{group}.")]
        also = f" Its neurons: `{group}.name` and the constants below, as `{group}.tau`." if group else ""
        parts.append(f"## {name}\n\n{_first(kind)}{also}\n\n{_table(own)}")
    for name, neuron in sorted(neurons().items()):
        infos = list(describe(neuron.Params))
        parts.append(f"## neuron {name}\n\n{_first(neuron)}\n\n{_table(infos) if infos else 'No constants.'}")
    return "\n\n".join(parts) + "\n"


def _table(infos: list[ParamInfo]) -> str:
    rows = []
    for info in infos:
        cells = (info.default, _allowed(info), info.unit, info.doc, info.source)
        rows.append(f"| `{info.name}` | {' | '.join(map(_cell, cells))} |")
    return HEAD + "\n".join(rows)


def _allowed(info: ParamInfo) -> str:
    if info.choices:
        return ", ".join(map(str, info.choices))
    if math.isinf(info.low) and math.isinf(info.high):
        return info.kind
    low, high = ("" if math.isinf(bound) else f"{bound:g}" for bound in (info.low, info.high))
    return f"{low} to {high}".strip() + (", log" if info.log else "")


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _first(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]
