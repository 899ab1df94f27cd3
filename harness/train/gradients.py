"""Parameters that are to be trained and get no gradient: what a first step says of a configuration."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from harness.contracts.pipeline import Learner

NO_GRADIENT = "no_gradient"
"""The key of a trial's metadata: by stage, what :meth:`Silent.record` holds."""


@dataclass(frozen=True, slots=True)
class Silent:
    """``without`` of ``of`` tensors got no gradient, or zeros alone; ``first`` is the first one's name."""

    without: int
    of: int
    first: str = ""

    def record(self) -> dict[str, Any]:
        """Plain values for a row."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.of - self.without} of {self.of} tensors train: {self.first}"
            f"{' and others get' if self.without > 1 else ' gets'} no gradient"
        )


@torch.no_grad()
def silent(learner: Learner) -> Silent:
    """What the gradients that lie in the network now say; waits for the device once."""
    known = {id(parameter): name for name, parameter in learner.model.named_parameters()}
    groups = [group["params"] for optimizer in learner.optimizers for group in optimizer.param_groups]
    trained = [p for group in groups for p in group if p.requires_grad]
    moves = [
        torch.zeros((), device=p.device) if p.grad is None else (p.grad != 0).any().to(torch.float32)
        for p in trained
    ]
    said = torch.stack(moves).cpu().tolist() if moves else []
    dead = [known.get(id(p), "a parameter") for p, moved in zip(trained, said, strict=True) if not moved]
    return Silent(len(dead), len(trained), dead[0] if dead else "")
