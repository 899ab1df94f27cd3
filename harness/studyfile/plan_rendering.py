"""A plan on a terminal; the only module of ``studyfile`` that draws."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.studyfile.costs import PastCosts
from harness.studyfile.plan_building import CellPlan, PhasePlan, Plan, describe_plan

__all__ = ["PastCosts", "Plan", "describe_plan", "duration", "render_plan"]


def render_plan(plan: Plan, console: Console) -> None:
    """Print a plan: protocol, cells, their parameters, what does not apply, the cost."""
    console.print(Text(f"study {plan.study}", style="bold"))
    protocol = Table.grid(padding=(0, 2))
    protocol.add_column(style="dim")
    protocol.add_column(overflow="fold")
    for word, text in plan.protocol:
        protocol.add_row(f"  {word}", Text(text))
    console.print(protocol)
    for cell in plan.cells:
        _cell(cell, console)
    for note in plan.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    console.print(Text(_total(plan), style="bold"))


def _cell(cell: CellPlan, console: Console) -> None:
    phases = ", ".join(f"{p.phase.value} {p.trials} x {p.epochs} epochs" for p in cell.phases)
    console.print()
    console.print(Text.assemble((cell.name, "bold cyan"), f"  {phases}"))
    console.print(Text(f"  {cell.dataset}, pipeline {cell.pipeline}; {_points(cell.points)}", style="dim"))
    several = [phase for phase in cell.phases if len(phase.stages) > 1]
    for stages in dict.fromkeys(map(_stages, several)):
        names = [p.phase.value for p in several if _stages(p) == stages]
        which = "" if len(names) == len(cell.phases) else f"{' or '.join(names)} "
        console.print(Text(f"  epochs of a {which}trial: {stages}"))
    if cell.searched:
        table = Table(box=None, padding=(0, 2), header_style="dim")
        units = any(parameter.unit for parameter in cell.searched)
        conditions = any(parameter.when for parameter in cell.searched)
        sources = any(parameter.source for parameter in cell.searched)
        shown = (("searched", True), ("domain", True), ("unit", units), ("when", conditions))
        columns = [name for name, used in (*shown, ("source", sources)) if used]
        for name in columns:
            table.add_column(name, overflow="fold")
        for p in cell.searched:
            row = {"searched": p.name, "domain": p.domain, "unit": p.unit, "when": p.when, "source": p.source}
            table.add_row(*(Text(row[name]) for name in columns))
        console.print(table)
    for title, own in (("set", True), ("fixed", False)):
        values = [f"{name} {value}" for name, value, by_cell in cell.fixed if by_cell is own]
        if values:
            console.print(Text(f"  {title}: {', '.join(values)}"))
    for number, point in enumerate(cell.start):
        console.print(Text(f"  trial {number} starts at: {point}"))
    for note in cell.notes:
        console.print(Text(f"  {note}", style="dim"))


def _stages(phase: PhasePlan) -> str:
    """What a trial's epochs are, where it has several stages."""
    once = " (once a seed)"
    return ", ".join(f"{stage.name} {stage.epochs}{once if stage.shared else ''}" for stage in phase.stages)


def _points(points: float) -> str:
    if math.isinf(points):
        return "a continuous space"
    return "one configuration" if points == 1 else f"at most {int(points)} configurations"


def _total(plan: Plan) -> str:
    total = f"in all {plan.trials} trials in {len(plan.cells)} cells, at most {plan.epochs} epochs"
    if plan.seconds is None:
        known = [cell.seconds for cell in plan.cells if cell.seconds is not None]
        if not known:
            return f"{total}; no past rows to estimate the cost from"
        part = f"{duration(sum(known))} for {len(known)} of {len(plan.cells)} cells"
        return f"{total}; at most {part}, one trial at a time (the others have no past rows)"
    return (
        f"{total}; at most {duration(plan.seconds)} one trial at a time, "
        f"by the mean epoch of {plan.past_trials} past trials"
    )


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    for size, unit in ((86_400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 or not seconds else f"{seconds:.2g} s"
