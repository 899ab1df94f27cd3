"""What `harness check --measure` prints: a row a cell, then the whole study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from harness.cli.console import console
from harness.studyfile.plan_rendering import duration
from harness.trial import Phase

if TYPE_CHECKING:
    from harness.study.measured import CellCost, StudyCost
    from harness.studyfile.plan_building import Plan
    from harness.studyfile.values import ClusterSpec, StudySpec
    from harness.train.task import Task
    from harness.trial import TrialEnd


def measure(spec: StudySpec, plan: Plan, cluster: str, slots: int, seconds: float) -> None:
    """Measure a study, here or, with a cluster, there, and print what it costs."""
    from harness.study.measured import here, measure_study

    apply = _there(spec, cluster) if cluster else here
    cost = measure_study(spec, plan, apply, seconds)
    console.print()
    for cell in cost.cells:
        for text in _lines(cell):
            console.print(text, soft_wrap=True)
    for line in totals(spec, cost, slots):
        console.print(Text(line), soft_wrap=True)


def _there(
    spec: StudySpec, cluster: str
) -> Callable[[Callable[[Task], TrialEnd], Sequence[Task]], Iterator[TrialEnd]]:
    """Every measurement on a node of the cluster, with what a trial holds."""
    from harness.studyfile.cluster import load_cluster

    where: ClusterSpec = load_cluster(cluster)

    def apply(run: Callable[[Task], TrialEnd], tasks: Sequence[Task]) -> Iterator[TrialEnd]:
        from harness.engine.mapping import ray_map  # Ray is needed only here

        def numbered(pair: tuple[int, Task]) -> tuple[int, TrialEnd]:
            return pair[0], run(pair[1])

        held = spec.resources
        pairs = ray_map(where, numbered, list(enumerate(tasks)), cpus=held.cpus, gpus=held.gpus)
        return iter(end for _, end in sorted(pairs, key=lambda pair: pair[0]))

    return apply


def _lines(cell: CellCost) -> Iterator[Text]:
    """A cell's memory and sizes, then a line a stage."""
    found = cell.cost
    if found is None:
        yield Text(f"{cell.name}: not measured, {cell.why}", style="red")
        return
    device = f", device {found.device_mib:.0f} MiB" if found.device_mib else ""
    sizes = f"cache {size(sum(held for _, held in found.cache))}, checkpoint {size(found.checkpoint_bytes)}"
    yield Text.assemble((cell.name, "bold cyan"), f"  host {found.host_mib:.0f} MiB{device}, {sizes}")
    for stage in found.stages:
        rate = stage.samples / stage.train_s if stage.train_s else 0.0
        epoch_s = duration(stage.train_s + stage.eval_s)
        yield Text(
            f"  {stage.name}: {epoch_s} an epoch, {rate:.4g} samples/s, waits for data {stage.wait_share:.0%}"
        )
    yield from (Text(f"  {flag}", style="yellow") for flag in cell.flags)


def totals(spec: StudySpec, cost: StudyCost, slots: int) -> list[str]:
    """Device-hours by phase, wall time for so many trials at once, disk."""
    gpu = spec.resources.gpus > 0
    word = "GPU" if gpu else "CPU"
    hours = {phase: cost.device_hours(phase, gpu=gpu) for phase in Phase}
    parts = ", ".join(f"{phase.value} {_hours(value)}" for phase, value in hours.items() if value)
    missing = [cell for cell in cost.cells if cell.cost is None]
    less = f" (without {len(missing)} cells that were not measured)" if missing else ""
    return [
        f"in all {_hours(sum(hours.values()))} {word}-hours, nothing pruned{less}: {parts or 'none'}",
        f"wall time with {slots} trials at once: {duration(cost.wall_s(slots))}",
        f"disk: {size(cost.cache_bytes)} of prepared data on each node; below the results, checkpoints "
        f"and shared artifacts up to {size(cost.checkpoint_bytes)}",
    ]


def _hours(hours: float) -> str:
    return f"{hours:.3g}"


def size(count: float) -> str:
    """Bytes in the unit that reads best.

    >>> size(3), size(5 * 2**20)
    ('3 B', '5.0 MiB')
    """
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 2**power:
            return f"{count / 2**power:.1f} {unit}"
    return f"{count:.0f} B"
