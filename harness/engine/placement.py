"""Where workers fit: which node has room for the resources that a trial asks. Pure bookkeeping, no Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.trial import Resources


@dataclass(frozen=True, slots=True)
class Shape:
    """What a worker holds: CPUs (0: all of its node) and GPUs (a share of one, or whole ones)."""

    cpus: float
    gpus: float

    @classmethod
    def of(cls, asked: Resources) -> Shape:
        """The shape of a worker for these resources."""
        return cls(0.0 if asked.exclusive_node else float(asked.cpus), asked.gpus)


@dataclass(slots=True)
class Node:
    """A node and what of it is taken; ``devices`` are the free parts of its GPUs."""

    id: str
    name: str
    cpus: float
    gpus: float
    free: float = field(init=False)
    devices: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.free, self.devices = self.cpus, [1.0] * int(self.gpus)

    @property
    def empty(self) -> bool:
        """Whether nothing of ours is on it."""
        return self.free == self.cpus and all(part == 1.0 for part in self.devices)

    def could(self, shape: Shape) -> bool:
        """Whether the shape fits when nothing else is there."""
        return self.cpus >= max(shape.cpus, 1.0) and self.gpus >= shape.gpus

    def take(self, shape: Shape) -> Place | None:
        """Room for a worker, or None."""
        cpus = shape.cpus or self.cpus
        if self.free < cpus or not self.could(shape) or (not shape.cpus and not self.empty):
            return None
        share = shape.gpus % 1.0
        fitting = [i for i, part in enumerate(self.devices) if part >= (share or 1.0) - 1e-9]
        fitting.sort(key=lambda i: self.devices[i])  # the fullest that still has room, as Ray does
        chosen = tuple(fitting[: 1 if share else int(shape.gpus)]) if shape.gpus else ()
        if shape.gpus and len(chosen) < (1 if share else int(shape.gpus)):
            return None
        self.free -= cpus
        for device in chosen:
            self.devices[device] -= share or 1.0
        return Place(self, cpus, shape.gpus, chosen)


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker holds of a node."""

    node: Node
    cpus: float
    gpus: float
    devices: tuple[int, ...]

    def free(self) -> None:
        """Give it back."""
        self.node.free += self.cpus
        for device in self.devices:
            part = self.node.devices[device] + (self.gpus % 1.0 or 1.0)
            self.node.devices[device] = 1.0 if part > 1.0 - 1e-9 else part


def find(nodes: Sequence[Node], shape: Shape, *, first: str = "") -> Place | None:
    """A place on the node ``first`` if it has room, else on the one with most free CPUs.

    Nodes with GPUs are kept for trials that ask for some.
    """
    order = sorted(
        nodes, key=lambda node: (node.id != first, bool(node.gpus) != bool(shape.gpus), -node.free)
    )
    return next((place for node in order if (place := node.take(shape)) is not None), None)
