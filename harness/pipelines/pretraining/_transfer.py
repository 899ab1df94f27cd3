"""What a network takes over from the stage before: weights, statistics, momentum."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.errors import CheckpointError, IncompatibleError
from harness.models.network import Network, load


def inherit_momentum(new: torch.optim.Optimizer, old: Iterable[torch.optim.Optimizer]) -> int:
    """Give an optimiser the state (momentum, moments) that older ones of its kind hold.

    Matched by parameter, so that a parameter that is new keeps none. Returns how many took it.
    """
    held = {
        id(parameter): optimizer.state[parameter]
        for optimizer in old
        if type(optimizer) is type(new)
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter in optimizer.state
    }
    taken = 0
    for group in new.param_groups:
        for parameter in group["params"]:
            if id(parameter) in held:
                new.state[parameter] = held[id(parameter)]
                taken += 1
    return taken


def read_checkpoint(path: str) -> Mapping[str, Tensor]:
    """A state dict from a file that ``torch.save`` wrote, bare or under the key ``model``.

    Raises CheckpointError where the file is absent, is no such file, or holds something else.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"checkpoint {path} does not exist; give the path of a saved state dict.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"checkpoint {path} cannot be read as a state dict: {line}") from None
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"checkpoint {path} holds no state dict (a mapping of names to tensors).")
    return state


def load_checkpoint(network: Network, path: str) -> None:
    """Load a complete saved state. Raises CheckpointError, with every difference where it does not fit."""
    state = read_checkpoint(path)
    try:
        load(network, state, where=f"checkpoint {path}")
    except IncompatibleError as error:
        raise CheckpointError(str(error)) from None


def train_only(network: Network, prefix: str) -> None:
    """Freeze all but the parameters whose names begin with ``prefix``; "" frees every one.

    Statistics of normalisation go on adapting, as in the paper's warm-up.
    """
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(prefix))


def mean_over_inputs(old: Tensor, like: Tensor) -> Tensor | None:
    """A first layer's weight for other input channels: the mean over the old ones, repeated.

    None where the outputs or the kernel differ as well, so that nothing can be kept.
    """
    fits = old.shape[:1] + old.shape[2:] == like.shape[:1] + like.shape[2:]
    return old.mean(1, keepdim=True).expand_as(like).clone() if fits else None


@torch.no_grad()
def fill_stem(network: Network, old: Tensor) -> bool:
    """Mean-initialise the stem of a network from an older stem's weight; False if it cannot be."""
    stem = network.get_submodule(network.stem)
    if not isinstance(stem, nn.Conv2d | nn.Linear):
        return False
    weight = mean_over_inputs(old, stem.weight)
    if weight is None:
        return False
    stem.weight.copy_(weight)
    return True
